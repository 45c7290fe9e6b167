#include "base/json.h"
#include "base/name_text.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;

void add_entry(cli::Table& table, const Json& entry) {
    std::string name = printable(text_to_name(entry.value("name", "")));
    if (entry.contains("target")) name += " -> " + printable(text_to_name(entry.value("target", "")));
    std::string time = cli::local_time(number_or(entry, "mtime_ns", 0));
    table.add({cli::mode_text(entry.value("type", ""), static_cast<uint32_t>(number_or(entry, "mode", 0))), std::to_string(number_or(entry, "nlink", 0)),
               std::to_string(number_or(entry, "uid", 0)), std::to_string(number_or(entry, "gid", 0)),
               std::to_string(number_or(entry, "size", 0)), time.substr(0, 19), name});
}

Result<Report> ls(const Arguments& arguments) {
    cli::VolumePath path = HF_TRY(cli::resolve_path(arguments.text("PATH")));
    auto service = HF_TRY(cli::StoreService::connect(path.volume, cli::StoreService::Start::transient));
    Report report;
    report.json = HF_TRY(service.call({{"verb", "ls"}, {"path", name_to_text(path.relative)}, {"at", HF_TRY(arguments.moment_or("--at", "now"))}}));
    cli::Table table({"MODE", ">LINKS", ">UID", ">GID", ">SIZE", "MODIFIED", "NAME"});
    for (const Json& entry : report.json.at("entries")) add_entry(table, entry);
    report.text = table.empty() ? "" : table.text();
    return report;
}

}  // namespace

const Command ls_command = {
    "ls",
    "list a directory as it was",
    "holdfast ls /srv/data/reports --at 2026-03-01T14:03",
    {{"PATH", Parameter::Kind::required, "", "a directory or file; it need not exist any more"}, {"--at", Parameter::Kind::optional, "M", moment_help}},
    ls};

}  // namespace holdfast::tools

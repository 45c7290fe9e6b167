#include "base/json.h"
#include "base/name_text.h"
#include "base/text.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;

constexpr uint64_t default_limit = 1000;

Result<Report> log(const Arguments& arguments) {
    cli::VolumePath path = HF_TRY(cli::resolve_path(arguments.text("PATH")));
    Json request = {{"verb", "log"}, {"path", name_to_text(path.relative)}};
    uint64_t limit = HF_TRY(arguments.number_or("--limit", default_limit));
    request["limit"] = limit;
    auto service = HF_TRY(cli::StoreService::connect(path.volume, cli::StoreService::Start::transient));
    Report report;
    report.json = HF_TRY(service.call(request));
    cli::Table table({"TIME", "POSITION", "EVENT", ">SIZE", "PATH", ""});
    for (const Json& version : report.json.at("versions")) {
        std::string size = version.contains("size") ? human_bytes(version["size"].get<uint64_t>()) : "";
        table.add({cli::local_time(number_or(version, "time_ns", 0)), cli::lsn_text(number_or(version, "lsn", 0)), printable(version.value("event", "")),
                   size, printable(text_to_name(version.value("path", ""))), printable(text_to_name(version.value("detail", "")))});
    }
    size_t count = report.json.at("versions").size();
    report.json["limit"] = limit;
    report.text = table.empty() ? "Nothing happened to " + printable(path.absolute) + " in the time that is kept.\n" : table.text();
    if (count >= limit) report.text += "These are the newest " + std::to_string(count) + "; --limit shows more.\n";
    return report;
}

}  // namespace

const Command log_command = {
    "log",
    "what happened to a file or directory, across renames and deletions",
    "holdfast log /srv/data/report.odt",
    {{"PATH", Parameter::Kind::required, "", "the path; it need not exist any more"},
     {"--limit", Parameter::Kind::optional, "COUNT", "only the newest COUNT entries, by default 1000"}},
    log};

}  // namespace holdfast::tools

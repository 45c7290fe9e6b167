#include "base/name_text.h"
#include "tools/cli/changes.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

Result<Report> diff(const Arguments& arguments) {
    cli::VolumePath path = HF_TRY(cli::resolve_path(arguments.text("PATH")));
    Json request = {{"verb", "diff"},
                    {"path", name_to_text(path.relative)},
                    {"from", HF_TRY(arguments.moment_or("--from", ""))},
                    {"to", HF_TRY(arguments.moment_or("--to", "now"))}};
    auto service = HF_TRY(cli::StoreService::connect(path.volume, cli::StoreService::Start::transient));
    cli::Progress progress("comparing", arguments.json());
    Report report;
    report.json = HF_TRY(service.call(request, [&](const Json& message) { progress.update(message); }));
    for (const Json& change : report.json.at("changes")) report.text += cli::change_line(change);
    report.exit = report.json.at("changes").empty() ? cli::ExitCode::success : cli::ExitCode::difference;
    return report;
}

}  // namespace

const Command diff_command = {
    "diff",
    "what changed between two moments; the exit code is 1 when something did",
    "holdfast diff /srv/data --from before-upgrade --to now",
    {{"PATH", Parameter::Kind::required, "", "a file, a directory or the whole tree"},
     {"--from", Parameter::Kind::required, "M", moment_help},
     {"--to", Parameter::Kind::optional, "M", "the later moment, by default now"}},
    diff};

}  // namespace holdfast::tools

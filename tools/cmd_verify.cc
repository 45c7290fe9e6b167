#include "base/name_text.h"
#include "base/text.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;

Result<Report> verify(const Arguments& arguments) {
    journal::Volume volume = HF_TRY(cli::resolve_volume(arguments.text("VOLUME")));
    auto service = HF_TRY(cli::StoreService::connect(volume, cli::StoreService::Start::transient));
    cli::Progress progress("checking", arguments.json());
    Report report;
    report.json = HF_TRY(service.call({{"verb", "verify"}}, [&](const Json& message) { progress.update(message); }));
    auto number = [&](const char* name) { return report.json.value(name, uint64_t{0}); };
    const Json& problems = report.json.at("problems");
    report.text = "Checked " + cli::counted(number("segments"), "journal segment", "journal segments") + " with " +
                  cli::counted(number("journal_records"), "record", "records") + ", " + cli::counted(number("undo_records"), "undo record", "undo records") + ", " +
                  cli::counted(number("objects"), "object", "objects") + " and " + human_bytes(number("bytes")) + " of the image: ";
    if (problems.empty()) {
        report.text += "no problem was found.\n";
        return report;
    }
    uint64_t count = problems.size() + number("problems_left_out");
    report.text += cli::counted(count, "problem", "problems") + ".\n";
    for (const Json& problem : problems) report.text += "  " + printable(problem.get<std::string>()) + "\n";
    if (number("problems_left_out") > 0) report.text += "  and " + std::to_string(number("problems_left_out")) + " more\n";
    report.exit = cli::ExitCode::difference;
    return report;
}

}  // namespace

const Command verify_command = {
    "verify",
    "check journal, history and image of a volume; the exit code is 1 when something is wrong",
    "holdfast verify /srv/data",
    {{"VOLUME", Parameter::Kind::required, "", "the protected directory, its store or id"}},
    verify};

}  // namespace holdfast::tools

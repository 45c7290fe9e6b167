#include "base/json.h"
#include "base/name_text.h"
#include "base/text.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;

// A store that is too damaged to be opened cannot check itself; what keeps it closed is the problem that was found.
Result<Json> verify_or_failure(const cli::StoreService& service, const JsonServer::Progress& show) {
    auto answer = service.call({{"verb", "verify"}}, show);
    if (answer || answer.error().code != ErrorCode::unavailable) return answer;
    auto status = service.call({{"verb", "status"}});
    if (!status || status->value("state", "") != "failed" || !status->contains("failure")) return answer;
    return Json{{"problems", Json::array({(*status)["failure"]})}};
}

std::string examined_text(const Json& answer) {
    if (!answer.contains("segments")) return "The store cannot be opened: ";
    auto number = [&](const char* name) { return number_or(answer, name, 0); };
    return "Checked " + cli::counted(number("segments"), "journal segment", "journal segments") + " with " +
           cli::counted(number("journal_records"), "record", "records") + ", " + cli::counted(number("undo_records"), "undo record", "undo records") + ", " +
           cli::counted(number("objects"), "object", "objects") + " and " + human_bytes(number("bytes")) + " of the image: ";
}

Result<Report> verify(const Arguments& arguments) {
    journal::Volume volume = HF_TRY(cli::resolve_volume(arguments.text("VOLUME")));
    auto service = HF_TRY(cli::StoreService::connect(volume, cli::StoreService::Start::transient));
    cli::Progress progress("checking", arguments.json());
    Report report;
    report.json = HF_TRY(verify_or_failure(service, [&](const Json& message) { progress.update(message); }));
    const Json& problems = report.json.at("problems");
    report.text = examined_text(report.json);
    if (problems.empty()) {
        report.text += "no problem was found.\n";
        return report;
    }
    uint64_t left_out = number_or(report.json, "problems_left_out", 0);
    uint64_t count = problems.size() + left_out;
    report.text += cli::counted(count, "problem", "problems") + ".\n";
    for (const Json& problem : problems) report.text += "  " + printable(problem.get<std::string>()) + "\n";
    if (left_out > 0) report.text += "  and " + std::to_string(left_out) + " more\n";
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

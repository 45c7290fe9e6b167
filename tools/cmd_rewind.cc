#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "base/json.h"
#include "base/name_text.h"
#include "base/text.h"
#include "journal/grant.h"
#include "tools/cli/changes.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;

// A preview shows this many changes; the numbers above them are of all.
constexpr size_t shown_changes_max = 20;

std::string number_text(const Json& answer) {
    std::string text = cli::counted(number_or(answer, "files", 0), "object", "objects") + ", " + human_bytes(number_or(answer, "bytes", 0));
    std::string kinds;
    for (const char* kind : {"created", "removed", "renamed"}) {
        if (uint64_t count = number_or(answer, kind, 0); count > 0) kinds += (kinds.empty() ? "" : ", ") + std::to_string(count) + " " + kind;
    }
    return kinds.empty() ? text : text + " (" + kinds + ")";
}

// What is left out, or leads to it, or came from there before it was.
std::string kept_text(const Json& answer) {
    const std::string text = cli::names_text(answer.value("kept", Json::array()));
    return text.empty() ? "" : "Stays as it is, because of what is left out: " + text + ".\n";
}

std::string preview_text(const Json& preview, const std::string& path) {
    uint64_t time_ns = number_or(preview, "time_ns", 0);
    std::string text = "Rewinding " + printable(path) + " to " + cli::lsn_text(number_or(preview, "lsn", 0)) +
                       (time_ns > 0 ? ", " + cli::local_time(time_ns) : "") + ", touches " + number_text(preview) + ".\n";
    const Json changes = preview.value("changes", Json::array());
    size_t shown = std::min(changes.size(), shown_changes_max);
    for (size_t index = 0; index < shown; ++index) text += "  " + cli::change_line(changes[index]);
    uint64_t total = preview.value("changes_total", static_cast<uint64_t>(changes.size()));
    if (total > shown) text += "  and " + cli::counted(total - shown, "other change", "other changes") + "\n";
    return text + kept_text(preview);
}

Result<bool> confirmed(const std::string& preview) {
    if (!::isatty(STDIN_FILENO))
        return Error{ErrorCode::invalid_argument, "rewind changes the present: look at it with --dry-run and give --yes to do it"};
    std::fprintf(stderr, "%sGo on? [y/N] ", preview.c_str());
    std::string answer;
    std::getline(std::cin, answer);
    return answer == "y" || answer == "Y" || answer == "yes";
}

std::string undo_text(const Json& answer, const std::string& path) {
    return "`holdfast rewind " + printable(path) + " --to " + cli::lsn_text(number_or(answer, "undo_lsn", 0)) + "` brings back what was there.\n";
}

void tell_outcome(Report& report, const std::string& path) {
    const Json& answer = report.json;
    report.text += "Rewound " + number_text(answer) + ".\n" + kept_text(answer);
    const Json verified = answer.value("verified", Json::object());
    std::vector<std::string> problems;
    for (const Json& sentence : answer.value("problems", Json::array())) problems.push_back(sentence.get<std::string>());
    for (const Json& sentence : verified.value("differences", Json::array())) problems.push_back(sentence.get<std::string>());
    if (problems.empty() && verified.contains("objects"))
        report.text += cli::counted(number_or(verified, "objects", 0), "object was", "objects were") + " compared with that moment and found equal.\n";
    for (const std::string& problem : problems) report.text += "  " + printable(problem) + "\n";
    if (!problems.empty()) {
        report.text += "What is listed above differs from that moment: something else changed it meanwhile. Rewinding again is safe.\n";
        report.exit = cli::ExitCode::difference;
    }
    report.text += undo_text(answer, path);
}

bool changes_nothing(const Json& preview) {
    return number_or(preview, "files", 0) == 0 && number_or(preview, "changes_total", 0) == 0 && number_or(preview, "bytes", 0) == 0;
}

Result<Report> rewind(const Arguments& arguments) {
    cli::VolumePath path = HF_TRY(cli::resolve_path(arguments.text("PATH")));
    std::string to = HF_TRY(arguments.moment_or("--to", ""));
    auto service = HF_TRY(cli::StoreService::connect(path.volume, cli::StoreService::Start::transient));
    Json request = {{"verb", "rewind"}, {"path", name_to_text(path.relative)}, {"to", to}, {"dry_run", true}};
    cli::Progress progress("rewinding", arguments.json());
    auto show = [&](const Json& message) { progress.update(message); };
    Report report;
    report.json = HF_TRY(service.call(request, show));
    std::string preview = preview_text(report.json, path.absolute);
    bool is_dry = arguments.given("--dry-run");
    report.json["dry_run"] = is_dry;
    if (changes_nothing(report.json)) {
        report.text = printable(path.absolute) + " is already as it was at that moment.\n" + kept_text(report.json);
        return report;
    }
    report.text = preview;
    if (is_dry) return report;
    if (!arguments.given("--yes")) {
        progress.clear();
        if (!HF_TRY(confirmed(preview))) {
            report.text = "Nothing was changed.\n";
            report.json["dry_run"] = true;
            return report;
        }
        report.text.clear();
    }
    // The very moment that was shown: an age would have moved on.
    request["to"] = cli::lsn_text(number_or(report.json, "lsn", 0));
    request["dry_run"] = false;
    const auto grant = HF_TRY(journal::Grant::give(path.volume.id, path.volume.directory));
    report.json = HF_TRY(service.call(request, show));
    report.json["dry_run"] = false;
    tell_outcome(report, path.absolute);
    return report;
}

}  // namespace

const Command rewind_command = {
    "rewind",
    "bring a file, a directory or the whole tree back, in place",
    "holdfast rewind /srv/data/reports --to before-upgrade",
    {{"PATH", Parameter::Kind::required, "", "what to rewind; a rewind is recorded and can be rewound"},
     {"--to", Parameter::Kind::required, "M", moment_help},
     {"--dry-run", Parameter::Kind::flag, "", "only tell what it would touch"},
     {"--yes", Parameter::Kind::flag, "", "do it without asking; needed where there is no terminal"}},
    rewind};

}  // namespace holdfast::tools

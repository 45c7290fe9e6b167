#include <signal.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/name_text.h"
#include "journal/bookmark_name.h"
#include "tools/cli/programs.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;
using cli::StoreService;

constexpr uint64_t hook_timeout_ns = 60'000'000'000;

// An application that was quiesced must be let go on whatever happens to this command, so the usual ways to interrupt
// it wait until it is done. Everything in between has a time limit.
class Uninterrupted {
public:
    Uninterrupted() {
        sigset_t ends;
        ::sigemptyset(&ends);
        for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::sigaddset(&ends, signal);
        ::sigprocmask(SIG_BLOCK, &ends, &before_);
    }
    ~Uninterrupted() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_;
};

Result<Json> create_between_hooks(const Arguments& arguments, const journal::Volume& volume, const std::string& name) {
    Json request = {{"verb", "bookmark"}, {"name", name_to_text(name)}};
    if (!arguments.given("--quiesce") && !arguments.given("--resume")) return cli::capture_call(volume, request);
    int timeout_ms = static_cast<int>(std::min<uint64_t>(HF_TRY(arguments.duration_ns_or("--hook-timeout", hook_timeout_ns)) / 1'000'000, INT32_MAX));
    Uninterrupted until_resumed;
    Result<Json> made = Json();
    Status quiesced = arguments.given("--quiesce") ? cli::run_hook("the quiesce command", arguments.text("--quiesce"), timeout_ms) : ok();
    if (quiesced) made = cli::capture_call(volume, request);
    // Also when quiescing failed: it may have got half-way.
    Status resumed = arguments.given("--resume") ? cli::run_hook("the resume command", arguments.text("--resume"), timeout_ms) : ok();
    if (!quiesced) {
        std::string sentence = "no bookmark was made: " + quiesced.error().message;
        if (!resumed) sentence += "; and " + resumed.error().message;
        return Error{quiesced.error().code, std::move(sentence)};
    }
    if (made && !resumed) return Error{resumed.error().code, "the bookmark " + printable(name) + " was made, but " + resumed.error().message};
    return made;
}

Result<Report> create(const Arguments& arguments) {
    std::string name = arguments.text_or("NAME", journal::bookmark_name_of("bookmark", system_clock().realtime_ns()));
    HF_TRY(journal::check_bookmark_name(name));
    journal::Volume volume = HF_TRY(cli::volume_or_current(arguments.text("--volume")));
    // Before anything is quiesced for it.
    HF_TRY(journal::check_is_source(volume, "a bookmark names a moment of the source: make it there, and it comes here with the journal"));
    Json made = HF_TRY(create_between_hooks(arguments, volume, name));
    uint64_t lsn = number_or(made, "lsn", 0), time_ns = number_or(made, "time_ns", 0);
    Report report;
    report.text = "Bookmark " + printable(name) + " at " + cli::lsn_text(lsn) + ", " + cli::local_time(time_ns) + ".\n";
    report.json = {{"name", name_to_text(name)}, {"lsn", lsn}, {"time_ns", time_ns}};
    return report;
}

Result<StoreService> service_of(const Arguments& arguments) {
    journal::Volume volume = HF_TRY(cli::volume_or_current(arguments.text("--volume")));
    return StoreService::connect(volume, StoreService::Start::transient);
}

Result<Report> list(const Arguments& arguments) {
    StoreService service = HF_TRY(service_of(arguments));
    Report report;
    report.json = HF_TRY(service.call({{"verb", "bookmarks"}}));
    cli::Table table({"NAME", "TIME", "POSITION", ""});
    for (const Json& bookmark : report.json.at("bookmarks")) {
        table.add({printable(text_to_name(bookmark.value("name", ""))), cli::local_time(number_or(bookmark, "time_ns", 0)),
                   cli::lsn_text(number_or(bookmark, "lsn", 0)), bookmark.value("offered", true) ? "" : "outside the window"});
    }
    report.text = table.empty() ? "There is no bookmark.\n" : table.text();
    return report;
}

Result<Report> rename(const Arguments& arguments) {
    HF_TRY(journal::check_bookmark_name(arguments.text("TO")));
    StoreService service = HF_TRY(service_of(arguments));
    HF_TRY(service.call({{"verb", "bookmark-rename"}, {"from", name_to_text(arguments.text("FROM"))}, {"to", name_to_text(arguments.text("TO"))}}));
    Report report;
    report.text = "Bookmark " + printable(arguments.text("FROM")) + " is now " + printable(arguments.text("TO")) + ".\n";
    report.json = {{"from", name_to_text(arguments.text("FROM"))}, {"to", name_to_text(arguments.text("TO"))}};
    return report;
}

Result<Report> remove(const Arguments& arguments) {
    StoreService service = HF_TRY(service_of(arguments));
    HF_TRY(service.call({{"verb", "bookmark-delete"}, {"name", name_to_text(arguments.text("NAME"))}}));
    Report report;
    report.text = "Bookmark " + printable(arguments.text("NAME")) + " is deleted; the moment itself stays as long as the window reaches it.\n";
    report.json = {{"name", name_to_text(arguments.text("NAME"))}};
    return report;
}

const Parameter volume_parameter = {"--volume", Parameter::Kind::optional, "DIR",
                                    "the protected directory, its store or id; by default the one around the current directory"};

}  // namespace

const Command bookmark_create_command = {
    "bookmark create",
    "give this very moment a name",
    "holdfast bookmark create before-upgrade --volume /srv/data --quiesce 'systemctl stop shop' --resume 'systemctl start shop'",
    {{"NAME", Parameter::Kind::optional, "", "by default made from date and time"},
     volume_parameter,
     {"--quiesce", Parameter::Kind::optional, "COMMAND", "run before, with /bin/sh; when it fails no bookmark is made"},
     {"--resume", Parameter::Kind::optional, "COMMAND", "run after, always, also when something failed"},
     {"--hook-timeout", Parameter::Kind::optional, "AGE", "how long each of the two commands may take, by default 60s"}},
    create};

const Command bookmark_list_command = {"bookmark list", "the bookmarks of a volume, oldest first", "holdfast bookmark list --volume /srv/data", {volume_parameter}, list};

const Command bookmark_rename_command = {
    "bookmark rename",
    "give a bookmark another name",
    "holdfast bookmark rename before-upgrade 2026-upgrade --volume /srv/data",
    {{"FROM", Parameter::Kind::required, "", "its name"}, {"TO", Parameter::Kind::required, "", "its new name"}, volume_parameter},
    rename};

const Command bookmark_delete_command = {
    "bookmark delete",
    "delete a bookmark, not the moment",
    "holdfast bookmark delete before-upgrade --volume /srv/data",
    {{"NAME", Parameter::Kind::required, "", "its name"}, volume_parameter},
    remove};

}  // namespace holdfast::tools

#include <cerrno>

#include "base/clock.h"
#include "base/json.h"
#include "base/name_text.h"
#include "base/text.h"
#include "tools/cli/mounts.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;
using journal::Volume;

constexpr uint64_t filling_percent = 80;

// What one volume's services say of themselves; null where one does not run. Status never starts anything.
struct Answers {
    bool mounted = false;
    Json capture, store;
    std::vector<std::string> not_bound;  // of what is left out
    std::string silent;  // of one that hangs: a sentence
};

Result<Json> status_of(const std::string& socket, std::string& silent) {
    auto answer = json_call(socket, {{"verb", "status"}});
    if (answer) return answer;
    if (answer.error().sys_errno == ETIMEDOUT) silent += (silent.empty() ? "" : "; ") + answer.error().message;
    if (answer.error().code == ErrorCode::unavailable || answer.error().code == ErrorCode::not_found) return Json();
    return std::move(answer).error();
}

Result<Answers> ask(const Volume& volume) {
    Answers answers;
    if (!volume.is_replica()) {
        const auto mounts = HF_TRY(read_mount_table());
        answers.mounted = cli::is_captured(mounts, volume.directory);
        for (const std::string& path : volume.left_out.paths())
            if (answers.mounted && cli::mount_at(mounts, volume.directory + "/" + path) == nullptr) answers.not_bound.push_back(path);
        answers.capture = HF_TRY(status_of(journal::capture_socket(volume.id), answers.silent));
    }
    answers.store = HF_TRY(status_of(journal::store_socket(volume.id), answers.silent));
    return answers;
}

// Of a gap that capture itself has begun; null without one.
Json gap_of(const Answers& answers) {
    return answers.capture.is_object() && answers.capture.contains("gap") ? answers.capture["gap"] : Json();
}

// One word or two for the worst thing that is true.
std::string state_of(const Volume& volume, const Answers& answers) {
    if (!answers.silent.empty()) return "not answering";
    if (volume.is_replica()) return answers.store.is_null() ? "not following" : answers.store.value("state", "unknown");
    if (!answers.mounted) return "not mounted";
    if (answers.capture.is_null()) return "capture is starting";
    if (answers.capture.value("fenced", false)) return "journal failed";
    if (const Json gap = gap_of(answers); gap.is_object()) {
        const std::string state = gap.value("state", "");
        return state == "paused" ? "history paused" : state == "healing" ? "healing" : "not recording";
    }
    if (answers.capture.value("in_gap", false)) return "not recording";
    if (answers.capture.value("alone", false)) return answers.capture.value("when_alone", "") == "block" ? "waiting for a replica" : "degraded";
    if (answers.store.is_null()) return "store is starting";
    return answers.store.value("state", "unknown");
}

void copy_member(Json& to, const Json& from, const char* name) {
    to[name] = from.is_object() && from.contains(name) ? from[name] : Json();
}

Json volume_to_json(const Volume& volume, const Answers& answers) {
    Json json = {{"role", journal::to_string(volume.role)},     {"store", name_to_text(volume.store)},
                 {"id", journal::to_string(volume.id)},         {"mounted", answers.mounted},
                 {"state", state_of(volume, answers)}};
    json["directory"] = volume.is_replica() ? Json() : Json(name_to_text(volume.directory));
    json["in_gap"] = answers.capture.is_object() && answers.capture.value("in_gap", false);
    json["gap"] = gap_of(answers);
    copy_member(json, answers.store, "healed");
    for (const char* name : {"published", "durable", "journal_bytes", "journal_bytes_max", "fenced", "alone", "times_alone", "waiting"}) copy_member(json, answers.capture, name);
    for (const char* name : {"applied", "checkpoint", "window_begin", "window_begin_time_ns", "undo_bytes", "graveyard_bytes", "index_bytes", "bookmarks",
                             "past_mounts", "evidence", "failure", "confined", "standby"})
        copy_member(json, answers.store, name);
    json["capture_confined"] = answers.capture.is_object() && answers.capture.contains("confined") ? answers.capture["confined"] : Json();
    if (!answers.silent.empty()) json["failure"] = name_to_text(answers.silent);
    if (json["published"].is_null()) copy_member(json, answers.store, "published");
    const auto published = number_at(json, "published"), applied = number_at(json, "applied");
    json["lag_bytes"] = published && applied ? Json(*published - std::min(*published, *applied)) : Json();
    json["window_age_ns"] = volume.window_age_ns;
    json["history_bytes_max"] = volume.window_bytes_max;
    json["durability"] = journal::to_string(volume.durability.mode);
    json["when_alone"] = journal::when_alone_text(volume.durability);
    json["full_policy"] = journal::to_string(volume.full_policy);
    json["leave_out"] = cli::names_json(volume.left_out.paths());
    json["leave_out_missing"] = cli::names_json(answers.not_bound);
    return json;
}

std::string bytes_cell(const Json& volume, const char* name) {
    const auto bytes = number_at(volume, name);
    return bytes ? human_bytes(*bytes) : "-";
}

std::string count_cell(const Json& volume, const char* name) {
    const auto count = number_at(volume, name);
    return count ? std::to_string(*count) : "-";
}

std::string table_text(const Json& volumes) {
    cli::Table table({"DIRECTORY", "STATE", "SINCE", ">BEHIND", ">JOURNAL", ">HISTORY", ">BOOKMARKS", "STORE"});
    for (const Json& volume : volumes) {
        const auto begin_ns = number_at(volume, "window_begin_time_ns");
        // Before anything was recorded there is no time to show, only the state in which the directory was found.
        std::string since = !begin_ns ? "-" : *begin_ns == 0 ? "first copy" : cli::local_time(*begin_ns).substr(0, 19);
        table.add({volume["directory"].is_null() ? "(replica)" : printable(text_to_name(volume["directory"].get<std::string>())), volume["state"].get<std::string>(), since, bytes_cell(volume, "lag_bytes"),
                   bytes_cell(volume, "journal_bytes"), bytes_cell(volume, "undo_bytes"), count_cell(volume, "bookmarks"),
                   printable(text_to_name(volume["store"].get<std::string>()))});
    }
    return table.text();
}

// How a gap ends.
std::string gap_text(const Json& gap) {
    if (!gap.is_object()) return "";
    const uint64_t since_ns = number_or(gap, "since_ns", 0);
    const std::string since = since_ns == 0 ? "" : " History is paused since " + cli::local_time(since_ns).substr(0, 19) + ".";
    const std::string state = gap.value("state", "");
    const std::string objects = std::to_string(number_or(gap, "objects", 0));
    if (state == "paused") return since + " It goes on by itself as soon as the journal has room; " + objects + " objects were touched until now.";
    if (state == "healing") return since + " What was touched is being compared; then it goes on.";
    return since + " What was touched is not known any more: it goes on with the next mount, which compares everything (`holdfast unprotect`, then `holdfast protect`).";
}

// Before the journal is full.
std::string filling_text(const std::string& name, const Json& volume) {
    const uint64_t used = number_or(volume, "journal_bytes", 0), most = number_or(volume, "journal_bytes_max", 0);
    if (most == 0 || used < most / 100 * filling_percent) return "";
    const std::string policy = volume["full_policy"].get<std::string>();
    const std::string then = policy == "block"     ? "whoever changes something waits"
                             : policy == "degrade" ? "replicas that keep it lose their place, and history pauses while the store takes nothing"
                                                   : "history pauses until the store has caught up";
    return name + ": its journal is " + std::to_string(used / (most / 100)) + " % full; when it is full, " + then + ".\n";
}

std::string left_out_text(const std::string& name, const Json& volume) {
    std::string text;
    if (!volume["leave_out"].empty()) text += name + ": left out: " + cli::names_text(volume["leave_out"]) + ".\n";
    // While a mount is being put together nothing is bound yet, and nobody can write there either.
    if (!volume["leave_out_missing"].empty() && volume["state"] != "capture is starting")
        text += name + ": not left out now: " + cli::names_text(volume["leave_out_missing"]) + ", because a directory above was renamed or what is there is no directory; what is written there is "
                "recorded. The next `holdfast unprotect` and `holdfast protect` leave it out again.\n";
    return text;
}

// A standby directory, and what is wrong with it.
std::string standby_text(const std::string& name, const Json& volume) {
    const Json& standby = volume["standby"];
    if (!standby.is_object()) return "";
    const std::string state = standby.value("state", ""), why = printable(standby.value("why", ""));
    if (state == "refused") return name + ": there is no standby directory: " + why + "\n";
    const std::string directory = printable(text_to_name(standby.value("directory", "")));
    std::string text = name + ": the standby directory " + directory;
    if (state == "comparing") text += " is being compared with the replica, " + std::to_string(number_or(standby, "objects", 0)) + " objects and " + human_bytes(number_or(standby, "bytes_compared", 0)) + " until now";
    if (state == "following") text += " follows, " + human_bytes(number_or(volume, "applied", 0) - std::min(number_or(volume, "applied", 0), number_or(standby, "position", 0))) + " behind";
    if (state == "unreachable") text += " does not follow" + (why.empty() ? std::string(" yet") : ": " + why);
    if (standby.value("lacks_attributes", false)) text += "; its file system has no room for some extended attributes, which it lacks";
    return text + ".\n";
}

// Sentences below the table for what needs somebody to act.
std::string remarks(const Json& volumes) {
    std::string text;
    for (const Json& volume : volumes) {
        std::string name = printable(text_to_name(volume[volume["directory"].is_null() ? "store" : "directory"].get<std::string>()));
        if (volume["in_gap"].get<bool>()) text += name + ": changes are not being recorded now; moments of this gap will not be offered." + gap_text(volume["gap"]) + "\n";
        if (!volume["in_gap"].get<bool>()) text += filling_text(name, volume);
        text += left_out_text(name, volume) + standby_text(name, volume);
        if (volume["failure"].is_string()) text += name + ": " + printable(volume["failure"].get<std::string>()) + "\n";
        if (volume["state"] == "degraded") text += name + ": no replica keeps up or answers, so fsync waits for none until one has caught up.\n";
        if (volume["state"] == "waiting for a replica")
            text += name + ": no replica keeps up or answers; " + count_cell(volume, "waiting") + " calls of fsync wait until one does, `holdfast durability " + name + " async` lets them go.\n";
        if (volume["state"] == "journal failed") text += name + ": the disk of the journal failed; nothing is recorded until it is mounted again.\n";
        if (volume["state"] == "not following") text += name + ": its store service does not run, so what comes from the source is kept but not applied.\n";
        if (volume["state"] == "not mounted")
            text += name + ": nothing is recorded; `holdfast protect " + name + " --store " + printable(text_to_name(volume["store"].get<std::string>())) + "` goes on.\n";
    }
    return text;
}

Result<Report> status(const Arguments& arguments) {
    Json volumes = Json::array();
    Json unreadable = Json::array();
    std::string text;
    if (arguments.given("DIR")) {
        Volume volume = HF_TRY(cli::resolve_volume(arguments.text("DIR")));
        volumes.push_back(volume_to_json(volume, HF_TRY(ask(volume))));
    } else {
        for (const journal::RegistryEntry& entry : HF_TRY(journal::registry_entries())) {
            if (entry.volume) {
                volumes.push_back(volume_to_json(*entry.volume, HF_TRY(ask(*entry.volume))));
                continue;
            }
            unreadable.push_back({{"id", journal::to_string(entry.id)}, {"store", name_to_text(entry.store)}, {"error", name_to_text(entry.volume.error().message)}});
            text += "The store " + printable(entry.store) + " cannot be read: " + printable(entry.volume.error().message) + "\n";
        }
    }
    Report report;
    report.text = (volumes.empty() ? std::string("No directory is protected on this host.\n") : table_text(volumes)) + remarks(volumes) + text;
    // All of it is shown, and a script that asks whether all is well hears that nobody knows.
    for (const Json& volume : volumes)
        if (volume["state"] == "not answering") report.exit = cli::ExitCode::unavailable;
    report.json = {{"volumes", std::move(volumes)}};
    if (!unreadable.empty()) report.json["unreadable"] = std::move(unreadable);
    return report;
}

}  // namespace

const Command status_command = {
    "status",
    "how the protected directories of this host are",
    "holdfast status --json",
    {{"DIR", Parameter::Kind::optional, "", "only this volume: its directory, store or id"}},
    status};

}  // namespace holdfast::tools

#include "replicator/engine/gap_news.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::replicator {

namespace {

std::string duration(const char* word, const journal::GapReport& report) {
    return report.since_ns == 0 ? "for some time" : word + iso8601_utc(report.since_ns);
}

std::string since(const journal::GapReport& report) {
    return duration("since ", report);
}

const char* cause(const journal::GapReport& report) {
    return report.reason == HF_GAP_JOURNAL_FAILED ? "the journal's disk failed" : "the journal is full and its store takes nothing from it";
}

constexpr const char* only_a_mount = "what changed meanwhile is not known, so only a comparison of everything ends it (`holdfast unprotect`, then `holdfast protect`)";

}  // namespace

void GapNews::look(const journal::VolumeId& volume, const std::string& name, const journal::GapReport& report) {
    // Whoever looks for the first time begins with a history that goes on.
    Told& told = told_.try_emplace(volume, Told{report.changes & ~1u}).first->second;
    if (told.changes > report.changes) told = {report.changes & ~1u};  // a table of its own run
    told.changes = std::max(told.changes, report.changes - std::min(report.changes, 2u));
    while (told.changes < report.changes) {
        const bool begins = ++told.changes % 2 != 0;
        const bool is_current = told.changes == report.changes;
        begins ? tell_of_begin(name, report, is_current) : tell_of_end(name, report, is_current);
        told.needs_mount = begins && is_current && report.needs_mount;
    }
    if (!report.is_open() || !report.needs_mount || told.needs_mount) return;
    told.needs_mount = true;
    events_.raise(EventCode::history_needs_mount, {.volume = name, .why = std::string("nothing is recorded ") + since(report) + ", and " + only_a_mount});
}

// Of one that is over already the report tells when and why as well: it was the last.
void GapNews::tell_of_begin(const std::string& name, const journal::GapReport& report, bool is_current) {
    std::string why = "nothing is recorded " + since(report) + ", because " + cause(report);
    if (is_current) why += report.needs_mount ? std::string("; ") + only_a_mount : "; it goes on by itself when there is room";
    events_.raise(EventCode::history_paused, {.volume = name, .why = std::move(why)});
}

void GapNews::tell_of_end(const std::string& name, const journal::GapReport& report, bool is_current) {
    std::string why = "what changed meanwhile was compared and recorded";
    if (is_current && report.needs_mount) why = "everything was compared when it was mounted";
    else if (is_current)
        why = "nothing was recorded " + duration("from ", report) + " until " + iso8601_utc(report.until_ns) + "; " + std::to_string(report.objects) + " objects and " +
              std::to_string(report.names) + " names that changed meanwhile were compared";
    events_.raise(EventCode::history_goes_on, {.volume = name, .why = std::move(why)});
}

}  // namespace holdfast::replicator

// What people are told of gaps (docs/events.md): when the capture process stopped recording, why, and when it went on. Words in the head
// page of the in-flight table, so they share its fate: of another boot, another volume, or a capture process that does not know them, they are zero.
//
// Thread rule: written by the capture process alone, `changes` last; read by any thread of any process. All zeros is the initial state.
#pragma once

#include <atomic>
#include <cstdint>

#include "journal/format.h"

namespace holdfast::journal {

// As of one moment, or of the change after the one that `changes` names: then the next look finds that as well.
struct GapReport {
    uint32_t changes = 0;      // odd: nothing is recorded
    bool needs_mount = false;  // what was touched is not known: only the next mount ends it
    uint32_t reason = 0;       // hf_gap_reason
    uint64_t since_ns = 0;     // realtime; 0: not known
    uint64_t until_ns = 0;     // of the one that is over
    uint64_t objects = 0, names = 0;  // compared to end it; 0 where everything was

    bool is_open() const { return changes % 2 != 0; }
};

struct alignas(64) GapWords {
    std::atomic<uint32_t> changes;
    std::atomic<uint32_t> needs_mount;
    std::atomic<uint32_t> reason;
    std::atomic<uint64_t> since_ns, until_ns, objects, names;

    GapReport report() const {
        GapReport report;
        report.changes = changes.load();
        report.needs_mount = needs_mount.load() != 0;
        report.reason = reason.load();
        report.since_ns = since_ns.load();
        report.until_ns = until_ns.load();
        report.objects = objects.load();
        report.names = names.load();
        return report;
    }
    // Neither is counted when it is so already.
    void begins(hf_gap_reason why, uint64_t now_ns, bool only_a_mount_ends_it) {
        if (changes.load() % 2 != 0) return;
        objects = names = 0;
        needs_mount = only_a_mount_ends_it ? 1 : 0;
        reason = static_cast<uint32_t>(why);
        since_ns = now_ns;
        changes.fetch_add(1);
    }
    void ends(uint64_t now_ns) {
        if (changes.load() % 2 == 0) return;
        until_ns = now_ns;
        changes.fetch_add(1);
    }
};

}  // namespace holdfast::journal

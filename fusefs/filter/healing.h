// Ends a gap while the mount is in use: what the worker does for the store service, which compares (docs/decisions/0014).
//
// A pass: take() makes every change wait and hands over what was touched; let_go() lets them go on, and what they touch is for the next
// pass; append() records what was found to differ; done(). The last pass does not let go: it is exact, and end_gap() follows.
// Whoever compares opens nothing itself: open_places() and open_file() show what was taken, on a mount through which nothing can be changed.
// A pass that is left without done() or end_gap() (the object ends) gives back what it took.
//
// Thread rule: one thread, the gate is opened by who closed it. One Healing at a time.
// Lock order: the gate before everything else.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>

#include "fusefs/filter/gate.h"
#include "fusefs/filter/shared.h"
#include "journal/healing.h"

namespace holdfast::fusefs {

// A journal has room for healing while it takes at most half of what it may.
constexpr uint64_t healing_bytes_max(uint64_t journal_bytes_max, uint64_t segment_bytes) {
    return std::max(journal_bytes_max / 2, journal::journal_segments_min * segment_bytes);
}

class Healing {
public:
    Healing(Shared& shared, const journal::WriterOptions& limits) : shared_(shared), limits_(limits) {}
    ~Healing() { give_back(); }
    Healing(const Healing&) = delete;
    Healing& operator=(const Healing&) = delete;

    journal::HealState state() const;
    // Errors: unavailable (there is no gap that could end so); then nothing waits.
    Result<journal::Touched> take();
    void let_go() { closed_.reset(); }
    // Each of ASKED as a place only. Errors: invalid_argument when nothing waits.
    Result<journal::HealOpened> open_places(std::span<const journal::TouchedPlace> asked);
    // For reading. Errors: permission (EPERM: it was not shown since take(), or is no regular file), not_found (it is gone).
    Result<UniqueFd> open_file(const FileHandle& handle) const;
    // RECORDS as in journal/healing.h; as many as there is room for, from the front. Errors: io, corrupt.
    Result<journal::HealAppended> append(ByteSpan records);
    void done();
    // Errors: as Recorder::end_gap(); invalid_argument when nothing waits.
    Result<journal::Lsn> end_gap();

    bool holds() const { return closed_.has_value(); }

private:
    void forget();
    void give_back();
    Result<UniqueFd> open_place(const journal::TouchedPlace& asked) const;

    Shared& shared_;
    const journal::WriterOptions limits_;
    std::optional<Gate::Closed> closed_;
    std::vector<journal::TouchedObject> taken_;
    journal::Touched told_;                  // what places are counted by
    std::unordered_set<std::string> shown_;  // handles
};

}  // namespace holdfast::fusefs

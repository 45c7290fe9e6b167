// Finds the last position that two histories share, by halving the addresses between one where they agree and one where they do not.
//
// The question at an address x is: what is your last position at or below x? While both have the same history up to x the
// answers are equal; once one of them has a record beyond the fork at or below x they never are again. So the answers fall
// into two halves, and thirty questions find the place in eight gigabytes of journal, without a list of either history.
//
// Thread rule: one thread.
#pragma once

#include <optional>

#include "replicator/protocol/messages.h"

namespace holdfast::replicator {

class ForkSearch {
public:
    // Between OLDEST, the first address that both can still tell a position of, and NEWEST, at which or below both end. The
    // first question is for NEWEST, the second for OLDEST.
    ForkSearch(Lsn oldest, Lsn newest) : low_(oldest), high_(newest) {}

    // The address to ask about; nothing when the search is over.
    std::optional<Lsn> question() const;
    // Both sides' answers to question(); nothing from a side that cannot tell.
    void answer(const std::optional<Position>& ours, const std::optional<Position>& theirs);
    // REQUIRES: question() is nothing.
    const std::optional<Position>& shared() const { return shared_; }

private:
    enum class Stage { newest, oldest, halving, over };

    Stage stage_ = Stage::newest;
    Lsn low_, high_;  // they agree at low_ (once that is known) and differ at high_
    std::optional<Position> shared_;
};

}  // namespace holdfast::replicator

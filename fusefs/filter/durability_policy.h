// Whether an fsync of a volume waits for a replica: what the volume's durability (journal/durability.h) makes of acknowledgements
// and time.
//
//     together ──somebody waits, and T passes without progress──> alone
//        ^                                                          │
//        └── it has all that was published then ── returning <──────┘ a replica acknowledges, and is within near_bytes of the end
//                                                     │
//                                                     └── T without progress ──> alone
//
// Alone is what people are told of ("degraded"). Under `degrade` nobody waits then; under `block` T is only how long it takes until
// people are told. Returning still is alone for them, but an fsync waits again: so when a replica has what was published at that
// moment, everything that any fsync ever promised is there, and the volume is together again in the exact sense.
//
// Thread rule: one thread at a time. No clock inside: times are the caller's, monotonic.
#pragma once

#include <cstdint>
#include <optional>

#include "journal/durability.h"
#include "journal/ids.h"

namespace holdfast::fusefs {

inline constexpr uint64_t near_bytes = 1 << 20;  // what the engine sends in one piece, so on its way at once
inline constexpr uint64_t told_alone_after_ns = 10'000'000'000;  // under `block`

class DurabilityPolicy {
public:
    struct Seen {
        journal::Lsn acknowledged = 0, published = 0;
        uint64_t now_ns = 0;
    };

    // IS_ALONE: how it was when another process decided this.
    DurabilityPolicy(const journal::Durability& durability, bool is_alone) : durability_(durability), state_(is_alone ? State::alone : State::together) {}

    // Takes effect at once. From async to a mode that waits, a volume whose replica is far behind begins alone: it is no use to
    // wait for a first copy.
    void change(const journal::Durability& durability, const Seen& seen);
    // To be called before and after anything is decided, whenever something may have changed and at the latest at deadline_ns().
    void look(const Seen& seen, bool somebody_waits);

    // As of the last look: an fsync whose records end at BELOW may return, and so may all whose records end at or below free_below().
    bool lets_go(journal::Lsn below) const { return below <= free_below(); }
    journal::Lsn free_below() const { return waits() ? acknowledged_ : journal::lsn_max; }
    bool is_alone() const { return durability_.waits() && state_ != State::together; }
    // When a look finds something new by time alone; nothing unless somebody waits.
    std::optional<uint64_t> deadline_ns(bool somebody_waits) const;
    const journal::Durability& durability() const { return durability_; }

private:
    enum class State { together, alone, returning };

    bool waits() const { return durability_.waits() && (state_ != State::alone || durability_.blocks()); }
    uint64_t patience_ns() const { return durability_.blocks() ? told_alone_after_ns : durability_.degrade_after_ns; }

    journal::Durability durability_;
    State state_;
    journal::Lsn acknowledged_ = 0;
    journal::Lsn goal_ = 0;     // while returning
    uint64_t quiet_since_ns_ = 0;  // nothing was acknowledged since, while somebody waited
};

}  // namespace holdfast::fusefs

// From the text of a moment to an address, with the store as it is now.
//
// Whoever asks for a moment means what has happened, not what the store has taken in so far. So where the answer may
// depend on records that are published and not applied yet (now, a bookmark made a moment ago, a time of just now), the
// follower is waited for, at most resolve_wait_ms; after that the answer is an error and never an older moment.
// Thread rule: any thread.
#pragma once

#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "rewind/moment.h"
#include "rewind/service/follower.h"

namespace holdfast::rewind {

inline constexpr uint64_t resolve_wait_ms = 10'000;

class Moments {
public:
    Moments(const Follower& follower, const Bookmarks& bookmarks, const Clock& clock)
        : follower_(follower), bookmarks_(bookmarks), clock_(clock) {}

    Result<Moment> resolve(std::string_view text) const;

private:
    Status wait_for(const MomentText& text) const;

    const Follower& follower_;
    const Bookmarks& bookmarks_;
    const Clock& clock_;
};

}  // namespace holdfast::rewind

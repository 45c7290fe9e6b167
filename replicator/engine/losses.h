// Whether the end of a connection is worth an event: each reason is told once until the stream goes again, and none while the peer is at
// rest on purpose, in maintenance or outside its hours, which it says with its goodbye and again whenever it is asked. A peer that does not
// come back from there is an alarm after rest_quiet_ns.
//
// Thread rule: a plain value. A clock is the caller's.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "replicator/protocol/messages.h"

namespace holdfast::replicator {

inline constexpr uint64_t rest_quiet_ns = 4ULL * 3600 * 1'000'000'000;

// How the end of a session is told to people and commands. Busy means that the peer is at rest, and nothing else.
ErrorCode code_of(Reason reason);

class Losses {
public:
    enum class Tell { nothing, rest, loss };
    Tell ended(const Error& why, uint64_t now_ns);
    void streams() { *this = {}; }

private:
    std::string told_;
    uint64_t quiet_until_ns_ = 0;
};

}  // namespace holdfast::replicator

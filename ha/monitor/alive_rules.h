// How a host finds out whether the other one still serves (S-20 to S-27): what is asked in a round, how often, and for how long everything must fail.
// Thread rule: plain values. Times are nanoseconds.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace holdfast::ha {

enum class AliveLevel : uint8_t {
    ping,         // the host's address answers an echo request
    application,  // its engine answers, the application's services run, and a real question to it is answered
    custom,       // a script of the administrator's says so
};
inline constexpr std::array alive_levels{AliveLevel::ping, AliveLevel::application, AliveLevel::custom};
const char* to_string(AliveLevel level);

struct AliveRules {
    uint64_t interval_ns = 30'000'000'000;
    uint64_t timeout_ns = 300'000'000'000;
    uint64_t ping_wait_ns = 2'000'000'000;
    std::array<bool, alive_levels.size()> asks{true, true, false};

    bool asks_for(AliveLevel level) const { return asks[static_cast<size_t>(level)]; }
    // What is not answered until then is answered with no.
    uint64_t round_ns_max() const { return interval_ns; }
    bool operator==(const AliveRules&) const = default;
};

// For hosts on one switch, where a lost answer means something: by its name only, never by default.
inline constexpr AliveRules fail_fast_rules{1'000'000'000, 5'000'000'000, 500'000'000, {true, true, false}};

// A round must fit into the timeout several times, or one lost packet would be a lost host. Errors: invalid_argument.
inline constexpr uint64_t rounds_min = 3;
Status check_alive_rules(const AliveRules& rules);

}  // namespace holdfast::ha

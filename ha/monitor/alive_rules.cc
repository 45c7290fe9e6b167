#include "ha/monitor/alive_rules.h"

#include <algorithm>

namespace holdfast::ha {

const char* to_string(AliveLevel level) {
    switch (level) {
        case AliveLevel::ping: return "ping";
        case AliveLevel::application: return "application";
        case AliveLevel::custom: return "custom";
    }
    return "?";
}

Status check_alive_rules(const AliveRules& rules) {
    const auto wrong = [](const char* what) { return Error{ErrorCode::invalid_argument, what}; };
    if (rules.interval_ns < 100'000'000) return wrong("the interval of the rounds is less than 100 ms");
    if (rules.timeout_ns / rounds_min < rules.interval_ns) return wrong("the timeout must be at least three intervals, so that one lost answer is no lost host");
    if (rules.ping_wait_ns == 0 || rules.ping_wait_ns > rules.interval_ns) return wrong("the wait for a ping must be shorter than the interval of the rounds");
    if (std::none_of(rules.asks.begin(), rules.asks.end(), [](bool asked) { return asked; })) return wrong("nothing is asked in a round");
    return ok();
}

}  // namespace holdfast::ha

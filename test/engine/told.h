// What an event log tells, for tests of who raises events.
#pragma once

#include <string>

#include "replicator/engine/events.h"

namespace holdfast::test {

// The numbers of all codes in their order, each followed by a space: "121 122 ".
inline std::string codes_told(const replicator::EventLog& log) {
    std::string codes;
    const Json all = log.after(0);
    for (const Json& event : all["events"]) codes += event["code"].get<std::string>().substr(5) + " ";
    return codes;
}

}  // namespace holdfast::test

// What a replica's store says of its standby directory, and when that is worth an event: when it has not followed for standby_patience_ns, told once for each
// reason, and when it follows again after that. One that is being compared follows.
//
// Thread rule: a plain value. A clock is the caller's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"
#include "replicator/engine/events.h"

namespace holdfast::replicator {

// A disk that is mounted late, a store that has just been opened.
inline constexpr uint64_t standby_patience_ns = 20'000'000'000;

struct StandbySaid {
    std::string state;  // "": there is none, or nothing is known of it
    std::string why;    // it does not follow
    uint64_t position = 0;
};
// Of the store's answer (`standby`, rewind/service). What makes no sense is nothing.
StandbySaid standby_said(const Json& answer);

class StandbyNews {
public:
    struct News {
        EventCode code;
        std::string why;
    };
    std::optional<News> look(const StandbySaid& said, uint64_t now_ns);

private:
    std::optional<uint64_t> since_ns_;  // it does not follow
    std::string told_;
};

}  // namespace holdfast::replicator

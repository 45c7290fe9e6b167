// What an fsync of a volume waits for, and for how long when no replica answers (docs/guarantees.md says what each mode promises).
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::journal {

// The numbers stand in memory that processes share (journal/acknowledged.h).
enum class DurabilityMode : uint32_t {
    async = 0,      // for no replica
    semi_sync = 1,  // until a replica has the records in its memory
    sync = 2,       // until a replica has them on its disk
};
const char* to_string(DurabilityMode mode);
Result<DurabilityMode> parse_durability_mode(std::string_view text);

inline constexpr uint64_t degrade_after_ns_min = 1'000'000'000, degrade_after_ns_max = 24 * 3600 * degrade_after_ns_min;

struct Durability {
    DurabilityMode mode = DurabilityMode::async;
    // When an fsync has waited so long and no acknowledgement came, it returns without a replica, and so do later ones until
    // a replica has caught up. 0: it waits until one answers.
    uint64_t degrade_after_ns = 10 * degrade_after_ns_min;

    bool waits() const { return mode != DurabilityMode::async; }
    bool blocks() const { return degrade_after_ns == 0; }
    bool operator==(const Durability&) const = default;
};

// What is done when no replica answers: "block" or "degrade:10s", in whole seconds between the limits above.
std::string when_alone_text(const Durability& durability);
Result<uint64_t> parse_when_alone(std::string_view text);

}  // namespace holdfast::journal

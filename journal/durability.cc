#include "journal/durability.h"

#include "base/text.h"

namespace holdfast::journal {
namespace {

constexpr std::string_view block_word = "block", degrade_word = "degrade:";
constexpr uint64_t second_ns = 1'000'000'000;

}  // namespace

const char* to_string(DurabilityMode mode) {
    switch (mode) {
        case DurabilityMode::async: return "async";
        case DurabilityMode::semi_sync: return "semi-sync";
        case DurabilityMode::sync: return "sync";
    }
    return "unknown";
}

Result<DurabilityMode> parse_durability_mode(std::string_view text) {
    for (const DurabilityMode mode : {DurabilityMode::async, DurabilityMode::semi_sync, DurabilityMode::sync})
        if (text == to_string(mode)) return mode;
    return Error{ErrorCode::invalid_argument, quoted(text) + " is no durability; it is async, semi-sync or sync"};
}

std::string when_alone_text(const Durability& durability) {
    return durability.blocks() ? std::string(block_word) : std::string(degrade_word) + std::to_string(durability.degrade_after_ns / second_ns) + "s";
}

Result<uint64_t> parse_when_alone(std::string_view text) {
    if (text == block_word) return uint64_t{0};
    const Error wrong{ErrorCode::invalid_argument, quoted(text) + " is nothing to do when no replica answers; it is block, or degrade: with a time from 1s to 1d, as degrade:10s"};
    if (!text.starts_with(degrade_word)) return wrong;
    const auto after_ns = parse_duration_ns(text.substr(degrade_word.size()));
    return after_ns && *after_ns >= degrade_after_ns_min && *after_ns <= degrade_after_ns_max ? Result<uint64_t>(*after_ns) : Result<uint64_t>(wrong);
}

}  // namespace holdfast::journal

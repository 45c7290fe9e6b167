// Small conversions between values and text for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast {

// NAME between quotes with every byte that is not printable ASCII escaped: safe in logs and on terminals.
std::string quoted(std::string_view name);
// Exact matches, because for a std::string the standard library's std::quoted would be found and preferred.
inline std::string quoted(const std::string& name) { return quoted(std::string_view(name)); }
inline std::string quoted(std::string& name) { return quoted(std::string_view(name)); }

// 1536 -> "1.5 KiB".
std::string human_bytes(uint64_t bytes);

// "64M", "10G", "4096" -> bytes (K, M, G, T are powers of 1024).
Result<uint64_t> parse_bytes(std::string_view text);

// "90s", "15m", "2h", "7d" -> nanoseconds.
Result<uint64_t> parse_duration_ns(std::string_view text);

// Nanoseconds since 1970 as UTC ISO 8601 with milliseconds: "2026-03-01T14:03:20.123Z".
std::string iso8601_utc(uint64_t realtime_ns);

// "2026-03-01", "2026-03-01T14:03", "2026-03-01T14:03:20[.fraction]", each with an optional "Z" or "+hh:mm";
// without a zone the machine's local time is meant. Up to nine digits of fraction.
Result<uint64_t> parse_iso8601_ns(std::string_view text);

std::string hex(const void* bytes, size_t size);
Result<std::string> unhex(std::string_view text);

}  // namespace holdfast

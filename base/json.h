// JSON as services and commands exchange it, and an error as a part of it: {"error": {"code", "message", "errno"?}}.
// Thread rule: pure.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast {

using Json = nlohmann::json;

// One line. Names travel as UTF-8 (base/name_text.h); a stray byte elsewhere becomes U+FFFD rather than an exception.
std::string line_of(const Json& message);

// What OBJECT says of KEY, when that is a whole number that is not negative; nothing when it says something else, or nothing. To convert whatever stands there
// instead is undefined for 1e50, and ends in an exception for a text.
std::optional<uint64_t> number_at(const Json& object, std::string_view key);
uint64_t number_or(const Json& object, std::string_view key, uint64_t fallback);

Json json_of(const Error& error);
// BODY is the member "error". What it does not say is an I/O error without a sentence.
Error error_of(const Json& body);

}  // namespace holdfast

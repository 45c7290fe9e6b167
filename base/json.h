// JSON as services and commands exchange it, and an error as a part of it: {"error": {"code", "message", "errno"?}}.
// Thread rule: pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace holdfast {

using Json = nlohmann::json;

// One line. Names travel as UTF-8 (base/name_text.h); a stray byte elsewhere becomes U+FFFD rather than an exception.
std::string line_of(const Json& message);

Json json_of(const Error& error);
// BODY is the member "error". What it does not say is an I/O error without a sentence.
Error error_of(const Json& body);

}  // namespace holdfast

// SHA-256 in hex, by which two hosts compare what they do not show each other.
// Thread rule: any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace holdfast::ha {

std::optional<std::string> digest_of_text(std::string_view text);
// Nothing: it cannot be read, or is larger than such files are.
std::optional<std::string> digest_of_file(const std::string& path);

}  // namespace holdfast::ha

// An address with its prefix, "192.0.2.10/24" or "2001:db8::10/64".
// Thread rule: plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace holdfast::ha {

struct IpAddress {
    bool is_v6 = false;
    std::vector<uint8_t> bytes;  // 4 or 16
    unsigned prefix = 0;

    // As the system writes it: the one text of each address.
    std::string text() const;
    std::string text_without_prefix() const;
    // The network that it is of, with its prefix.
    IpAddress subnet() const;
    bool operator==(const IpAddress&) const = default;
};
// Nothing: it is none, or has no prefix.
std::optional<IpAddress> parse_ip_address(const std::string& text);

}  // namespace holdfast::ha

#include "ha/scenario/ip_address.h"

#include <arpa/inet.h>

#include <charconv>

namespace holdfast::ha {

std::string IpAddress::text_without_prefix() const {
    char text[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(is_v6 ? AF_INET6 : AF_INET, bytes.data(), text, sizeof text);
    return text;
}

std::string IpAddress::text() const {
    return text_without_prefix() + "/" + std::to_string(prefix);
}

IpAddress IpAddress::subnet() const {
    IpAddress network = *this;
    for (size_t bit = prefix; bit < bytes.size() * 8; ++bit) network.bytes[bit / 8] = static_cast<uint8_t>(network.bytes[bit / 8] & ~(0x80U >> bit % 8));
    return network;
}

std::optional<IpAddress> parse_ip_address(const std::string& text) {
    const size_t slash = text.find('/');
    if (slash == text.npos) return std::nullopt;
    IpAddress address;
    const char* last = text.data() + text.size();
    const auto [end, failed] = std::from_chars(text.data() + slash + 1, last, address.prefix);
    address.is_v6 = text.find(':') < slash;
    address.bytes.resize(address.is_v6 ? 16 : 4);
    const bool is_read = ::inet_pton(address.is_v6 ? AF_INET6 : AF_INET, text.substr(0, slash).c_str(), address.bytes.data()) == 1;
    if (failed != std::errc() || end != last || !is_read || address.prefix > address.bytes.size() * 8) return std::nullopt;
    return address;
}

}  // namespace holdfast::ha

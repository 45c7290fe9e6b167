// Addresses, interfaces, and what names lead to from here.
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <vector>

#include "base/unique_fd.h"
#include "ha/facts/gather.h"
#include "ha/scenario/ip_address.h"

namespace holdfast::ha {

namespace {

// Where Debian's ways of configuring a network keep addresses.
constexpr const char* configuration_places[] = {"/etc/network/interfaces", "/etc/network/interfaces.d", "/etc/netplan", "/etc/systemd/network", "/etc/NetworkManager/system-connections"};

std::optional<IpAddress> address_of(const sockaddr* from, const sockaddr* mask) {
    if (from == nullptr || mask == nullptr || (from->sa_family != AF_INET && from->sa_family != AF_INET6)) return std::nullopt;
    const bool is_v6 = from->sa_family == AF_INET6;
    const auto bytes_of = [&](const sockaddr* any) {
        const auto* first = is_v6 ? reinterpret_cast<const uint8_t*>(&reinterpret_cast<const sockaddr_in6*>(any)->sin6_addr) : reinterpret_cast<const uint8_t*>(&reinterpret_cast<const sockaddr_in*>(any)->sin_addr);
        return std::vector<uint8_t>(first, first + (is_v6 ? 16 : 4));
    };
    IpAddress address{is_v6, bytes_of(from), 0};
    for (const uint8_t byte : bytes_of(mask)) address.prefix += static_cast<unsigned>(__builtin_popcount(byte));
    return address;
}

void gather_interfaces(Json& facts) {
    struct ifaddrs* first = nullptr;
    if (::getifaddrs(&first) != 0) return;
    facts["network"]["addresses"] = Json::array();
    for (const struct ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
        Json& interface = facts["network"]["interfaces"][one->ifa_name];
        interface["is_up"] = (one->ifa_flags & IFF_UP) != 0;
        interface["has_carrier"] = (one->ifa_flags & IFF_RUNNING) != 0;
        interface["is_loopback"] = (one->ifa_flags & IFF_LOOPBACK) != 0;
        uint64_t mtu = 0;
        if (std::ifstream("/sys/class/net/" + std::string(one->ifa_name) + "/mtu") >> mtu) interface["mtu"] = mtu;
        if (!interface.contains("subnets")) interface["subnets"] = Json::array();
        const auto address = address_of(one->ifa_addr, one->ifa_netmask);
        if (!address) continue;
        facts["network"]["addresses"].push_back(address->text());
        interface["subnets"].push_back(address->subnet().text());
    }
    ::freeifaddrs(first);
}

void gather_name(const std::string& name, Json& facts) {
    struct addrinfo wanted {};
    wanted.ai_socktype = SOCK_STREAM;
    struct addrinfo* first = nullptr;
    const int failed = ::getaddrinfo(name.c_str(), nullptr, &wanted, &first);
    if (failed != 0 && failed != EAI_NONAME) return;  // nobody answers
    std::set<std::string> found;
    for (const struct addrinfo* one = first; one != nullptr; one = one->ai_next) {
        char text[NI_MAXHOST];
        if (::getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0) found.insert(text);
    }
    if (first != nullptr) ::freeaddrinfo(first);
    facts["network"]["resolves"][name] = found;
}

// Files in which ADDRESS stands as a word of its own.
Json configured_in(const std::string& address) {
    Json files = Json::array();
    const auto look = [&](const std::filesystem::path& path) {
        std::ifstream file(path);
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        const auto goes_on = [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) || c == '.' || c == ':'; };
        for (size_t at = text.find(address); at != text.npos; at = text.find(address, at + 1)) {
            const size_t end = at + address.size();
            if ((at > 0 && goes_on(text[at - 1])) || (end < text.size() && goes_on(text[end]))) continue;
            files.push_back(path.string());
            return;
        }
    };
    for (const std::filesystem::path place : configuration_places) {
        std::error_code failed;
        if (std::filesystem::is_regular_file(place, failed)) look(place);
        for (std::filesystem::directory_iterator entry(place, failed), end; !failed && entry != end; entry.increment(failed))
            if (entry->is_regular_file(failed)) look(entry->path());
    }
    return files;
}

}  // namespace

void gather_network(const Scenario& scenario, Json& facts) {
    gather_interfaces(facts);
    const UniqueFd unprivileged(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP)), raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
    facts["network"]["may_ping"] = unprivileged || raw;
    for (const Identity& identity : scenario.identities) {
        if (identity.kind == IdentityKind::dns) gather_name(identity.address, facts);
        if (identity.kind != IdentityKind::address) continue;
        const auto address = parse_ip_address(identity.address);
        if (!address) continue;
        facts["network"]["configured_in"][address->text_without_prefix()] = configured_in(address->text_without_prefix());
        facts["subnets"][identity.address] = address->subnet().text();
    }
}

}  // namespace holdfast::ha

#include "replicator/engine/address.h"

#include <netdb.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>

#include "base/text.h"

namespace holdfast::replicator {

namespace {

constexpr int backlog = 64;

struct HostAndPort { std::string host, port; };

// The resolver would take more than 65535, and mean another port.
bool is_port(std::string_view text) {
    return !text.empty() && text.size() <= 5 && text.find_first_not_of("0123456789") == text.npos && std::stoul(std::string(text)) <= 65535;
}

Result<HostAndPort> split(const std::string& text) {
    const auto bad = [&] {
        return Error{ErrorCode::invalid_argument, quoted(text) + " is no address; write host:port, or [address]:port for IPv6"};
    };
    HostAndPort parts{text, std::to_string(default_port)};
    if (text.starts_with('[')) {
        const size_t end = text.find(']');
        if (end == text.npos) return bad();
        parts.host = text.substr(1, end - 1);
        if (end + 1 < text.size()) {
            if (text[end + 1] != ':') return bad();
            parts.port = text.substr(end + 2);
        }
    } else if (const size_t colon = text.rfind(':'); colon != text.npos) {
        if (text.find(':') != colon) return bad();
        parts.host = text.substr(0, colon);
        parts.port = text.substr(colon + 1);
    }
    if (parts.host.empty() || !is_port(parts.port)) return bad();
    return parts;
}

}  // namespace

Result<std::vector<SocketAddress>> resolve(const std::string& text, bool for_listening) {
    const HostAndPort parts = HF_TRY(split(text));
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (for_listening ? AI_PASSIVE : 0);
    addrinfo* found = nullptr;
    if (const int failed = ::getaddrinfo(parts.host.c_str(), parts.port.c_str(), &hints, &found); failed != 0)
        return Error{ErrorCode::not_found, "the address " + quoted(text) + " leads nowhere: " + ::gai_strerror(failed)};
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
    std::vector<SocketAddress> addresses;
    for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
        SocketAddress address;
        memcpy(&address.bytes, entry->ai_addr, entry->ai_addrlen);
        address.length = entry->ai_addrlen;
        addresses.push_back(address);
    }
    return addresses;
}

std::string host_of(const SocketAddress& address) {
    char host[NI_MAXHOST];
    if (::getnameinfo(&address.get(), address.length, host, sizeof host, nullptr, 0, NI_NUMERICHOST) != 0) return "unknown";
    return host;
}

Result<UniqueFd> listen_on(const SocketAddress& address) {
    UniqueFd fd(::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd) return errno_error(errno, "make a socket");
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd.get(), &address.get(), address.length) != 0) return errno_error(errno, "listen on " + host_of(address));
    if (::listen(fd.get(), backlog) != 0) return errno_error(errno, "listen on " + host_of(address));
    return fd;
}

}  // namespace holdfast::replicator

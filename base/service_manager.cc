#include "base/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace holdfast {

namespace {

std::string taken_from_environment(const char* name) {
    const char* value = ::getenv(name);
    const std::string text = value == nullptr ? "" : value;
    ::unsetenv(name);
    return text;
}

// A path, or after '@' a name that no file system has.
UniqueFd connected(const std::string& where) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (where.size() < 2 || where.size() >= sizeof address.sun_path || (where[0] != '/' && where[0] != '@')) return {};
    where.copy(address.sun_path, where.size());
    if (where[0] == '@') address.sun_path[0] = 0;
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + where.size());
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return {};
    return socket;
}

}  // namespace

ServiceManager ServiceManager::from_environment() {
    ServiceManager manager;
    manager.socket_ = connected(taken_from_environment("NOTIFY_SOCKET"));
    const std::string pid = taken_from_environment("WATCHDOG_PID"), usec = taken_from_environment("WATCHDOG_USEC");
    // Meant for another process when it names one.
    if (pid.empty() || std::strtoull(pid.c_str(), nullptr, 10) == static_cast<unsigned long long>(::getpid())) manager.watchdog_ns_ = std::strtoull(usec.c_str(), nullptr, 10) * 1000;
    return manager;
}

void ServiceManager::tell(std::string_view state) const {
    if (socket_) (void)!::send(socket_.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace holdfast

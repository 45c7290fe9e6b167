#include "base/service_manager.h"

#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/unix_socket.h"
#include "test/support/scratch.h"

using namespace holdfast;
using holdfast::test::ScratchDirectory;

namespace {

struct Environment {
    Environment(const char* socket, const char* usec, const char* pid) {
        set("NOTIFY_SOCKET", socket);
        set("WATCHDOG_USEC", usec);
        set("WATCHDOG_PID", pid);
    }
    ~Environment() {
        for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
    }
    static void set(const char* name, const char* value) {
        if (value != nullptr) ::setenv(name, value, 1);
    }
};

std::string heard(const UniqueFd& socket) {
    char piece[200];
    const ssize_t got = ::recv(socket.get(), piece, sizeof piece, MSG_DONTWAIT);
    return got < 0 ? "" : std::string(piece, static_cast<size_t>(got));
}

}  // namespace

TEST_CASE("service manager: it is told what it asked to be told, and children are not asked") {
    ScratchDirectory scratch;
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM, 0));
    sockaddr_un address = unix_address(scratch / "notify").value();
    socklen_t length = sizeof address;
    std::string name = scratch / "notify";
    SECTION("at a path") {}
    SECTION("at a name without a file") {
        name = "@" + scratch.path();
        address = unix_address(name).value();
        address.sun_path[0] = 0;
        length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    }
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
    const Environment environment(name.c_str(), "3000000", nullptr);
    const ServiceManager manager = ServiceManager::from_environment();
    manager.tell("READY=1");
    CHECK(heard(socket) == "READY=1");
    CHECK(manager.watchdog_ns() == 3'000'000'000);
    for (const char* gone : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) CHECK(::getenv(gone) == nullptr);
}

TEST_CASE("service manager: without one, or with one that is gone, nothing is told and nothing fails") {
    const std::string too_long(200, 'x');
    for (const char* socket : {(const char*)nullptr, "", "/", "relative", "@", "/nowhere/at/all", too_long.c_str()}) {
        const Environment environment(socket, nullptr, nullptr);
        const ServiceManager manager = ServiceManager::from_environment();
        manager.tell("READY=1");
        CHECK(manager.watchdog_ns() == 0);
    }
}

TEST_CASE("service manager: a watchdog is ours when it names us or nobody") {
    const std::string us = std::to_string(::getpid());
    const struct { const char* pid; const char* usec; uint64_t ns; } table[] = {
        {us.c_str(), "1", 1000}, {nullptr, "2", 2000}, {"1", "3", 0}, {us.c_str(), nullptr, 0}, {us.c_str(), "soon", 0}};
    for (const auto& row : table) {
        const Environment environment(nullptr, row.usec, row.pid);
        CHECK(ServiceManager::from_environment().watchdog_ns() == row.ns);
    }
}

TEST_CASE("service manager: one that takes nothing is not waited for") {
    ScratchDirectory scratch;
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM, 0));
    const sockaddr_un address = unix_address(scratch / "notify").value();
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    const Environment environment((scratch / "notify").c_str(), nullptr, nullptr);
    const ServiceManager manager = ServiceManager::from_environment();
    for (int i = 0; i < 10'000; ++i) manager.tell("WATCHDOG=1");
    CHECK(heard(socket) == "WATCHDOG=1");
}

// The launcher with an engine of the test's own, in a process of its own: its exit status is that of the engine, which is the number of the first
// line that found something else than it should.
#include "replicator/launch/launcher.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <netinet/in.h>
#include <sys/wait.h>

#include "base/unix_socket.h"
#include "journal/volume.h"
#include "replicator/engine/config.h"
#include "replicator/launch/task.h"
#include "test/engine/sockets.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

#define EXPECT(condition) \
    if (!(condition)) return __LINE__ % 250 + 1

int free_port() {
    const SocketAddress address = test::address_of(test::listening());
    return ntohs(reinterpret_cast<const sockaddr_in&>(address.bytes).sin_port);
}

class Host {
public:
    Host() {
        ::setenv("HOLDFAST_STATE_DIR", scratch.path().c_str(), 1);
        ::setenv("HOLDFAST_RUN_DIR", (scratch / "run").c_str(), 1);
        configure("");
    }
    ~Host() {
        ::unsetenv("HOLDFAST_STATE_DIR");
        ::unsetenv("HOLDFAST_RUN_DIR");
    }
    void configure(const std::string& more) const { std::ofstream(scratch / "holdfastd.toml") << "name = \"alpha\"\nlisten = \"127.0.0.1:" << port << "\"\n" << more; }

    // The exit status of a launcher whose engine does BODY.
    int launched(const std::function<int(const Places&)>& body) const {
        const pid_t child = ::fork();
        if (child == 0) {
            sigset_t set;
            sigemptyset(&set);
            for (const int number : {SIGTERM, SIGINT, SIGHUP, replaced_signal}) sigaddset(&set, number);
            ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
            const auto ended = launch(scratch / "holdfastd.toml", [&](Handed handed, const Places& places) {
                Outside::set_instance(std::make_unique<Outside>(std::move(handed)));
                return body(places);
            });
            if (!ended) std::fprintf(stderr, "launch: %s\n", ended.error().message.c_str());
            ::_exit(ended ? *ended : 255);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }

    test::ScratchDirectory scratch;
    const int port = free_port();
};

std::string contents(const std::string& path) {
    std::ifstream stream(path);
    return {std::istreambuf_iterator<char>(stream), {}};
}

bool is_refused(const auto& result) {
    return !result && result.error().code == ErrorCode::permission;
}

}  // namespace

TEST_CASE("launcher: the engine has what listens, the configuration, and its exit status is the launcher's") {
    Host host;
    CHECK(host.launched([&](const Places& places) {
        Outside& outside = *Outside::instance();
        EXPECT(outside.take_api_listener());
        EXPECT(outside.take_peer_listener());
        const auto config = outside.configuration("the file");
        EXPECT(config && config->name == "alpha");
        // What was not taken does not matter yet.
        host.configure("nonsense = 7\n");
        EXPECT(outside.configuration("the file"));
        EXPECT(outside.is_to_be_replaced().error().code == ErrorCode::invalid_argument);
        EXPECT(outside.configuration("the file"));
        EXPECT(!places.all.empty());
        return 42;
    }) == 42);
    CHECK(!std::filesystem::exists(journal::engine_socket()));
}

TEST_CASE("launcher: runs what the configuration names and nothing else") {
    Host host;
    const std::string out = host.scratch / "out", named = host.scratch / "hook";
    std::ofstream(named) << "#!/bin/sh\ncat > " << out << "\n";
    std::filesystem::permissions(named, std::filesystem::perms::owner_all);
    host.configure("[[notify]]\nexec = [\"" + named + "\"]\n");
    CHECK(host.launched([&](const Places&) {
        auto started = Started::start({.kind = Task::Kind::hook, .command = {named}, .input = "told"});
        EXPECT(started && started->wait(10'000) && started->exited_with(0));
        EXPECT(contents(out) == "told");
        EXPECT(is_refused(Started::start({.kind = Task::Kind::hook, .command = {named, "--more"}})));
        EXPECT(is_refused(Started::start({.kind = Task::Kind::hook, .command = {"/bin/true"}})));
        EXPECT(is_refused(Started::start({.kind = Task::Kind::run_store, .store = "/etc"}, UniqueFd(::dup(0)))));
        EXPECT(is_refused(Started::start({.kind = Task::Kind::run_store, .store = "/etc", .standby = "/etc"}, UniqueFd(::dup(0)))));
        EXPECT(is_refused(Started::start({.kind = Task::Kind::make_store, .store = "/etc/new"}, UniqueFd(::dup(0)))));
        EXPECT(is_refused(connect_unix(journal::engine_socket())));
        EXPECT(is_refused(connect_unix(journal::store_socket(journal::random_volume_id()))));
        return 0;
    }) == 0);
}

TEST_CASE("launcher: the store of a replica is served by the name that the configuration has, and by its real one") {
    Host host;
    std::filesystem::create_directories(host.scratch / "disk/replica");
    std::filesystem::create_directory_symlink(host.scratch / "disk", host.scratch / "link");
    const std::string real = host.scratch / "disk/replica", named = host.scratch / "link/replica";
    const journal::VolumeId id = journal::random_volume_id();
    host.configure("[[keep]]\nvolume = \"" + journal::to_string(id) + "\"\nfrom = \"beta\"\nstore = \"" + named + "\"\n");
    ::setenv("HOLDFAST_STORE_BIN", "/bin/true", 1);
    CHECK(host.launched([&](const Places&) {
        for (const std::string& store : {real, named}) {
            auto started = Started::start({.kind = Task::Kind::take_store_back, .store = store});
            EXPECT(started && started->wait(10'000) && started->exited_with(0));
        }
        auto made = Started::start({.kind = Task::Kind::make_store, .store = named, .volume = id}, UniqueFd(::dup(0)));
        EXPECT(made && made->wait(10'000));
        EXPECT(is_refused(Started::start({.kind = Task::Kind::run_store, .store = "/etc", .standby = "/etc"}, UniqueFd(::dup(0)))));
        EXPECT(is_refused(Started::start({.kind = Task::Kind::make_store, .store = named, .volume = journal::random_volume_id()}, UniqueFd(::dup(0)))));
        EXPECT(is_refused(Started::start({.kind = Task::Kind::take_store_back, .store = host.scratch / "disk"})));
        // As many descriptors as it needs.
        EXPECT(is_refused(Started::start({.kind = Task::Kind::take_store_back, .store = real}, UniqueFd(::dup(0)))));
        EXPECT(connect_unix(journal::store_socket(id)).error().code == ErrorCode::unavailable);
        return 0;
    }) == 0);
    ::unsetenv("HOLDFAST_STORE_BIN");
}

TEST_CASE("launcher: a program that hangs is killed when the engine says so") {
    Host host;
    host.configure("[[notify]]\nexec = [\"/bin/sleep\", \"100\"]\n");
    CHECK(host.launched([&](const Places&) {
        const Task task{.kind = Task::Kind::hook, .command = {"/bin/sleep", "100"}};
        auto started = Started::start(task);
        EXPECT(started && !started->wait(50));
        started->kill();
        EXPECT(started->wait(10'000) && started->describe_end() == "was killed by signal 9");
        return 0;
    }) == 0);
}

TEST_CASE("launcher: another engine takes the place of one that may not reach what the configuration leads to") {
    Host host;
    const std::string store = host.scratch / "replica", first = host.scratch / "first";
    const int ended = host.launched([&](const Places& places) {
        Outside& outside = *Outside::instance();
        const auto reaches = [&] { return std::any_of(places.all.begin(), places.all.end(), [&](const Place& place) { return place.path == store; }); };
        if (std::filesystem::exists(first)) {
            EXPECT(reaches());
            const auto again = outside.is_to_be_replaced();
            EXPECT(again && !*again);
            EXPECT(outside.take_peer_listener());
            return 7;
        }
        std::ofstream(first) << "was here";
        EXPECT(!reaches());
        const auto same = outside.is_to_be_replaced();
        EXPECT(same && !*same);
        host.configure("[[keep]]\nvolume = \"" + journal::to_string(journal::random_volume_id()) + "\"\nfrom = \"beta\"\nstore = \"" + store + "\"\n");
        const auto replaced = outside.is_to_be_replaced();
        EXPECT(replaced && *replaced);
        return 0;
    });
    CHECK(ended == 7);
}

TEST_CASE("launcher: SIGTERM reaches the engine") {
    Host host;
    CHECK(host.launched([&](const Places&) {
        ::kill(::getppid(), SIGTERM);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        const timespec patience{10, 0};
        EXPECT(::sigtimedwait(&set, nullptr, &patience) == SIGTERM);
        return 3;
    }) == 3);
}

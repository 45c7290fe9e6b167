// What is given up is given up for good, so it is done in a process of its own, whose exit status is the number of the first line that found
// something else than it should.
#include "replicator/launch/confinement.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/capabilities.h"
#include "base/landlock.h"
#include "replicator/engine/address.h"
#include "replicator/engine/loop.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

#define EXPECT(condition) \
    if (!(condition)) return __LINE__ % 250 + 1

int in_process(const std::function<int()>& body) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body());
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int opened(const std::string& path, int flags) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    if (fd >= 0) ::close(fd);
    return fd;
}

bool is_refused(long result, int error) {
    return result < 0 && errno == error;
}

}  // namespace

TEST_CASE("engine confinement: it goes on with its ring, its threads, its stores, and looks up names; and with nothing else") {
    test::ScratchDirectory scratch;
    ::setenv("HOLDFAST_STATE_DIR", scratch.path().c_str(), 1);
    for (const char* name : {"engine", "volumes", "replica", "outside"}) std::filesystem::create_directory(scratch / name);
    std::ofstream(scratch / "outside/file") << "text";
    Config config;
    KeepRule rule;
    rule.store = scratch / "replica";
    config.keep.push_back(rule);
    CHECK(in_process([&] {
        const auto loop = Loop::open();
        EXPECT(loop);
        prepare_libraries();
        const auto confined = confine_engine(places_for(config));
        EXPECT(confined && confined->has_call_filter);
        EXPECT(effective_capabilities() && *effective_capabilities() == 0);
        bool has_turned = false;
        std::thread([&] { (*loop)->post([&] { has_turned = true, (*loop)->stop(); }); }).join();
        (*loop)->run();
        EXPECT(has_turned);
        EXPECT(!Loop::open());
        EXPECT(opened(scratch / "replica/file", O_RDWR | O_CREAT) >= 0);
        EXPECT(resolve("localhost:1", false));
        EXPECT(!resolve("no-such-host.invalid:1", false));
        EXPECT(is_refused(::chmod((scratch / "outside/file").c_str(), 0777), EPERM));
        EXPECT(is_refused(::socket(AF_UNIX, SOCK_STREAM, 0), EPERM));
        char name[] = "true";
        char* words[] = {name, nullptr};
        EXPECT(is_refused(::execve("/bin/true", words, environ), EPERM));
        if (confined->landlock == 0) return 0;
        EXPECT(is_refused(opened(scratch / "outside/file", O_RDONLY), EACCES));
        EXPECT(is_refused(opened(scratch / "outside/new", O_RDWR | O_CREAT), EACCES));
        EXPECT(is_refused(opened("/etc/passwd", O_RDONLY), EACCES));
        return 0;
    }) == 0);
    ::unsetenv("HOLDFAST_STATE_DIR");
}

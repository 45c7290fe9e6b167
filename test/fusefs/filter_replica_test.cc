// Fsyncs that wait for a replica, through the mount. The test stands in the engine's place: it says what the replica has.
#include <poll.h>

#include <optional>

#include "test/fusefs/filter_mount.h"

namespace holdfast::test {
namespace {

constexpr uint64_t second = 1'000'000'000;
const journal::Durability blocking{journal::DurabilityMode::sync, 0}, degrading{journal::DurabilityMode::sync, second};

// A mount, and the words in which engine and filter meet.
struct Bench {
    FilterMount mount;
    std::unique_ptr<journal::InflightTable> table;
    std::vector<pid_t> callers;

    explicit Bench(const journal::Durability& durability, journal::WriterOptions options = {}) : mount(Recording::journal, options, journal::FullPolicy::stop_protection, durability) {
        auto opened = journal::InflightTable::open_existing(mount.scratch / "inflight");
        REQUIRE(opened.has_value());
        table = std::move(*opened);
    }
    ~Bench() {
        for (const pid_t pid : callers) ::kill(pid, SIGKILL);
        for (const pid_t pid : callers) ::waitpid(pid, nullptr, 0);
    }
    journal::AcknowledgedWords& words() { return table->head().acknowledged; }
    // The replica has everything, on its disk or only in its memory.
    void acknowledge(bool on_disk = true) {
        const journal::Lsn all = table->head().published.load();
        words().acknowledge(*words().claim("beta"), all, on_disk ? all : 0);
    }
    // A process of its own, which writes and calls fsync: it ends with 0, or the errno of that.
    pid_t fsync_elsewhere(const std::string& name, int flags = 0) {
        const std::string path = mount / name;
        const pid_t pid = ::fork();
        if (pid == 0) {
            ::close_range(3, ~0U, 0);  // the mount's device, which a process that waits for the mount must not keep
            const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | flags, 0600);
            if (::write(fd, "x", 1) != 1) ::_exit(errno);
            ::_exit(flags != 0 || ::fsync(fd) == 0 ? 0 : errno);
        }
        callers.push_back(pid);
        return pid;
    }
    void await_waiting(uint64_t count) {
        for (int tries = 0; words().state.waiting.load() != count; ++tries) {
            REQUIRE(tries < 10'000);
            ::poll(nullptr, 0, 1);
        }
    }
    // Nothing, when it waits after so long.
    std::optional<int> end_of(pid_t pid, int timeout_ms = 30'000) {
        int status = 0;
        pid_t ended = 0;
        for (int waited_ms = 0; (ended = ::waitpid(pid, &status, WNOHANG)) == 0; ++waited_ms) {
            if (waited_ms >= timeout_ms) return std::nullopt;
            ::poll(nullptr, 0, 1);
        }
        REQUIRE(ended == pid);
        std::erase(callers, pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    bool is_waiting(pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) == 0; }
};

}  // namespace

TEST_CASE("filter: I5: fsync and synchronous writes return when a replica has them on its disk, and not before", "[mount]") {
    for (const int flags : {0, O_SYNC, O_DSYNC}) {
        INFO(flags);
        Bench bench(blocking);
        const pid_t caller = bench.fsync_elsewhere("a", flags);
        bench.await_waiting(1);
        bench.acknowledge(false);
        ::poll(nullptr, 0, 100);  // real time: what is shown is that nothing happens in it
        CHECK(bench.is_waiting(caller));
        // After a synchronous write some kernels call for an fsync besides, which records the file's times.
        std::optional<int> end;
        while (!end) {
            bench.acknowledge();
            end = bench.end_of(caller, 10);
        }
        CHECK(*end == 0);
        CHECK(bench.words().state.waiting == 0);
        bench.mount.unmount();
    }
}

TEST_CASE("filter: while more fsyncs wait for a replica than there are threads, everything else goes on", "[mount]") {
    Bench bench(blocking);
    std::vector<pid_t> callers;
    for (int i = 0; i < 12; ++i) callers.push_back(bench.fsync_elsewhere("w" + std::to_string(i)));
    bench.await_waiting(12);
    const UniqueFd file(::open((bench.mount / "free").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    REQUIRE(file);
    CHECK(::write(file.get(), "readable", 8) == 8);
    char text[8];
    CHECK(::pread(file.get(), text, 8, 0) == 8);
    CHECK(::rename((bench.mount / "free").c_str(), (bench.mount / "renamed").c_str()) == 0);
    for (const pid_t caller : callers) CHECK(bench.is_waiting(caller));
    bench.acknowledge();
    for (const pid_t caller : callers) CHECK(bench.end_of(caller) == 0);
}

TEST_CASE("filter: a caller that is killed while it waits for a replica ends, other signals wait", "[mount]") {
    Bench bench(blocking);
    const pid_t killed = bench.fsync_elsewhere("a"), stopped = bench.fsync_elsewhere("b");
    bench.await_waiting(2);
    ::kill(killed, SIGKILL);
    CHECK(bench.end_of(killed) == -SIGKILL);
    bench.await_waiting(1);
    CHECK(bench.is_waiting(stopped));
    bench.acknowledge();
    CHECK(bench.end_of(stopped) == 0);
}

TEST_CASE("filter: without a replica fsync returns after the time that was set, and later ones at once", "[mount]") {
    Bench bench(degrading);
    const auto begun_ns = system_clock().monotonic_ns();
    CHECK(bench.end_of(bench.fsync_elsewhere("a")) == 0);
    CHECK(system_clock().monotonic_ns() - begun_ns >= second);
    CHECK(bench.words().state.is_alone());
    CHECK(bench.words().state.times_alone() == 1);
    const auto again_ns = system_clock().monotonic_ns();
    for (int i = 0; i < 5; ++i) CHECK(bench.end_of(bench.fsync_elsewhere("b")) == 0);
    CHECK(system_clock().monotonic_ns() - again_ns < second);
    // It catches up, and fsync waits for it again.
    bench.acknowledge();
    const pid_t caller = bench.fsync_elsewhere("c");
    bench.await_waiting(1);
    CHECK_FALSE(bench.words().state.is_alone());
    bench.acknowledge();
    CHECK(bench.end_of(caller) == 0);
    CHECK(bench.words().state.times_alone() == 1);
}

TEST_CASE("filter: a gap ends the waiting for a replica, which cannot get what is not recorded", "[mount]") {
    journal::WriterOptions small;
    small.segment_bytes = 2 << 20;
    small.journal_bytes_max = 12 << 20;
    Bench bench(blocking, small);
    const pid_t caller = bench.fsync_elsewhere("a");
    bench.await_waiting(1);
    const UniqueFd file(::open((bench.mount / "much").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    const std::string piece(1 << 20, 'x');
    for (int i = 0; i < 20; ++i) REQUIRE(::write(file.get(), piece.data(), piece.size()) == static_cast<ssize_t>(piece.size()));
    CHECK(bench.end_of(caller) == 0);
    CHECK(bench.end_of(bench.fsync_elsewhere("b")) == 0);
}

TEST_CASE("filter: an ended connection ends the waiting", "[mount]") {
    Bench bench(blocking);
    const pid_t caller = bench.fsync_elsewhere("a");
    bench.await_waiting(1);
    REQUIRE(::umount2(bench.mount.live.c_str(), MNT_FORCE | MNT_DETACH) == 0);
    const int end = bench.end_of(caller).value_or(0);
    CHECK((end == ECONNABORTED || end == ENOTCONN || end == EIO));
}

}  // namespace holdfast::test

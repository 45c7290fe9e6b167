// A journal that takes nothing more, under each policy.
#include <poll.h>

#include "test/fusefs/filter_mount.h"

namespace holdfast::test {
namespace {

journal::WriterOptions small_journal() {
    journal::WriterOptions options;
    options.segment_bytes = 2 << 20;
    options.journal_bytes_max = 12 << 20;
    return options;
}

// Far more than the journal holds. Returns the bytes that were written.
size_t write_much(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    const std::string piece(128 << 10, 'x');
    size_t done = 0;
    while (fd && done < (32u << 20) && ::write(fd.get(), piece.data(), piece.size()) == static_cast<ssize_t>(piece.size()))
        done += piece.size();
    return done;
}

}  // namespace

TEST_CASE("filter: under stop_protection a full journal begins a gap and the application goes on", "[mount]") {
    FilterMount mount(Recording::journal, small_journal(), journal::FullPolicy::stop_protection);
    CHECK(write_much(mount / "a") == 32u << 20);
    mount.unmount();
    size_t gaps = 0;
    const auto seen = mount.records();
    for (const auto& one : seen) gaps += one.type == "GAP_BEGIN" ? 1 : 0;
    CHECK(gaps == 1);
    CHECK(seen.back().type == "GAP_BEGIN");
}

TEST_CASE("filter: under degrade a writer waits for a full journal that stands still, and then goes on in a gap", "[mount]") {
    FilterMount mount(Recording::journal, small_journal(), journal::FullPolicy::degrade);
    const auto began = std::chrono::steady_clock::now();
    CHECK(write_much(mount / "a") == 32u << 20);
    CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(FilterMount::degrade_patience_ms));
    mount.unmount();
    const auto seen = mount.records();
    CHECK(seen.back().type == "GAP_BEGIN");
}

TEST_CASE("filter: under block writers wait for a full journal while readers are served", "[mount]") {
    FilterMount mount(Recording::journal, small_journal(), journal::FullPolicy::block);
    {
        const UniqueFd fd(::open((mount / "r").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
        REQUIRE(::write(fd.get(), "readable", 8) == 8);
    }
    // More writers than the filter has threads.
    constexpr int writers = 6;
    pid_t pids[writers];
    for (int i = 0; i < writers; ++i) {
        pids[i] = ::fork();
        if (pids[i] == 0) ::_exit(write_much(mount / ("w" + std::to_string(i))) > 0 ? 0 : 1);
    }
    ::poll(nullptr, 0, 2000);  // real time: what is shown is that nothing happens in it
    for (const pid_t pid : pids) CHECK(::waitpid(pid, nullptr, WNOHANG) == 0);
    char text[8];
    const UniqueFd fd(::open((mount / "r").c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(fd);
    CHECK(::pread(fd.get(), text, 8, 0) == 8);
    struct stat status {};
    CHECK(::stat((mount / "none").c_str(), &status) != 0);
    // A writer that is killed does not wait for space.
    for (const pid_t pid : pids) {
        ::kill(pid, SIGKILL);
        CHECK(::waitpid(pid, nullptr, 0) == pid);
    }
}

}  // namespace holdfast::test

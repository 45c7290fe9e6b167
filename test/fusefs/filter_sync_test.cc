// What fsync promises through the mount: when it answers, data and records are on the disk (I5).
#include <sys/syscall.h>

#include "test/fusefs/filter_mount.h"

namespace holdfast::test {
namespace {

// Of cachestat(2), which the C library does not know yet.
struct CacheRange { uint64_t offset, length; };
struct CacheState { uint64_t cached, dirty, under_writeback, evicted, recently_evicted; };
constexpr long cachestat_call = 451;

// Pages of the file at PATH that the disk does not hold yet; 0 where the kernel cannot say.
uint64_t pages_in_memory_only(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(fd.valid());
    CacheRange whole{0, 0};
    CacheState state{};
    if (::syscall(cachestat_call, fd.get(), &whole, &state, 0) != 0) return 0;
    return state.dirty + state.under_writeback;
}

}  // namespace

TEST_CASE("filter: I5: when fsync, fdatasync or a synchronous write answers, data and records are on the disk", "[mount]") {
    journal::WriterOptions options;
    options.sync_interval_ms = 3'600'000;  // nothing gets durable by itself
    FilterMount mount(Recording::journal, options);
    auto table = journal::InflightTable::open_existing(mount.scratch / "inflight");
    REQUIRE(table.has_value());
    const journal::SharedHead& head = (*table)->head();
    const std::string bytes(100'000, 'x');
    using Sync = int (*)(int);
    struct Row { const char* name; int flags; Sync sync; };
    for (const Row& row : {Row{"fsync", 0, ::fsync}, Row{"fdatasync", 0, ::fdatasync}, Row{"O_DSYNC", O_DSYNC, nullptr}, Row{"O_SYNC", O_SYNC, nullptr}}) {
        INFO(row.name);
        const UniqueFd file(::open((mount / row.name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | row.flags, 0600));
        REQUIRE(file.valid());
        const journal::Lsn before = head.published.load();
        REQUIRE(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
        if (row.sync) {
            CHECK(head.durable.load() <= before);
            REQUIRE(row.sync(file.get()) == 0);
        }
        // Only a sync moves it, and every sync takes in all that was recorded before.
        CHECK(head.durable.load() > before);
        CHECK(pages_in_memory_only(mount.backing(row.name)) == 0);
    }
    mount.unmount();
}

}  // namespace holdfast::test

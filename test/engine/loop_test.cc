#include "replicator/engine/loop.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "test/engine/loop_thread.h"
#include "test/engine/sockets.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace {

constexpr uint64_t ms = 1'000'000;

// The results of an operation that was begun.
using Results = std::vector<int>;
Loop::Done into(Results& results) {
    return [&](int result) { results.push_back(result); };
}

}  // namespace

TEST_CASE("loop: what several threads post is called once, and what one thread posts in its order") {
    constexpr size_t threads = 4, posts = 2000;
    std::vector<std::vector<size_t>> called(threads);
    LoopThread bench;
    std::vector<std::thread> posters;
    for (size_t thread = 0; thread < threads; ++thread)
        posters.emplace_back([&, thread] {
            for (size_t i = 0; i < posts; ++i) bench.loop().post([&, thread, i] { called[thread].push_back(i); });
        });
    for (std::thread& poster : posters) poster.join();
    bench.on_loop([] {});
    for (const auto& numbers : called) {
        REQUIRE(numbers.size() == posts);
        CHECK(std::is_sorted(numbers.begin(), numbers.end()));
    }
}

TEST_CASE("loop: a callback may post, and is not called back from within") {
    bool is_inside = false, was_inside = false, is_called = false;
    LoopThread bench;
    bench.on_loop([&] {
        is_inside = true;
        bench.loop().post([&] {
            was_inside = is_inside;
            is_called = true;
        });
        is_inside = false;
    });
    CHECK(bench.comes_true([&] { return is_called; }));
    CHECK_FALSE(was_inside);
}

TEST_CASE("loop: timers come in the order in which they are due, not that in which they were set") {
    std::vector<int> order;
    LoopThread bench;
    // All due before the loop looks at them again.
    bench.on_loop([&] {
        bench.loop().after(3 * ms, [&] { order.push_back(3); });
        bench.loop().after(1 * ms, [&] { order.push_back(1); });
        bench.loop().after(2 * ms, [&] { order.push_back(2); });
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    });
    REQUIRE(bench.comes_true([&] { return order.size() == 3; }));
    CHECK(order == std::vector<int>{1, 2, 3});
}

TEST_CASE("loop: a timer that was cancelled is never called, not even by one that is due at the same time") {
    std::vector<int> called;
    LoopThread bench;
    bench.on_loop([&] {
        const auto before = bench.loop().after(1 * ms, [&] { called.push_back(0); });
        bench.loop().cancel(before);
        const auto other = bench.loop().after(2 * ms, [&] { called.push_back(2); });
        bench.loop().after(1 * ms, [&, other] {
            called.push_back(1);
            bench.loop().cancel(other);
        });
        bench.loop().after(3 * ms, [&] { called.push_back(3); });
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    });
    REQUIRE(bench.comes_true([&] { return !called.empty() && called.back() == 3; }));
    CHECK(called == std::vector<int>{1, 3});
    bench.on_loop([&] { bench.loop().cancel(12345); });  // of which there is none
}

TEST_CASE("loop: a timer does not come before its time, and one may set the next") {
    uint64_t begun = 0, came = 0;
    LoopThread bench;
    bench.on_loop([&] {
        begun = bench.loop().now_ns();
        bench.loop().after(20 * ms, [&] { bench.loop().after(20 * ms, [&] { came = bench.loop().now_ns(); }); });
    });
    REQUIRE(bench.comes_true([&] { return came != 0; }));
    CHECK(came - begun >= 40 * ms);
}

TEST_CASE("loop: a connection is accepted, bytes go through it, and its end is seen") {
    const UniqueFd server = listening();
    const SocketAddress address = address_of(server);
    UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), accepted;
    Results accepts, connects, sends, receives;
    std::byte room[100];
    LoopThread bench;
    Loop& loop = bench.loop();
    bench.on_loop([&] {
        loop.accept(server.get(), into(accepts));
        loop.connect(client.get(), address.get(), address.length, into(connects));
    });
    REQUIRE(bench.comes_true([&] { return !accepts.empty() && !connects.empty(); }));
    CHECK(connects == Results{0});
    REQUIRE(accepts[0] >= 0);
    accepted.reset(accepts[0]);

    const std::string_view hello = "hello";
    bench.on_loop([&] {
        loop.receive(accepted.get(), room, into(receives));
        loop.send(client.get(), bytes_of(hello), into(sends));
    });
    REQUIRE(bench.comes_true([&] { return !receives.empty() && !sends.empty(); }));
    CHECK(sends == Results{5});
    CHECK(receives == Results{5});
    CHECK(memcmp(room, "hello", 5) == 0);

    bench.on_loop([&] { loop.receive(accepted.get(), room, into(receives)); });
    client.reset();
    REQUIRE(bench.comes_true([&] { return receives.size() == 2; }));
    CHECK(receives[1] == 0);
}

TEST_CASE("loop: shutting a socket down ends each of its operations exactly once") {
    Results receives, sends, accepts;
    const UniqueFd server = listening();
    const SocketPair pair;
    std::vector<std::byte> room(100), much(64 << 20);
    LoopThread bench;
    bench.on_loop([&] {
        bench.loop().receive(pair.left.get(), room, into(receives));
        bench.loop().send(pair.left.get(), much, into(sends));
        bench.loop().accept(server.get(), into(accepts));
    });
    ::shutdown(pair.left.get(), SHUT_RDWR);
    ::shutdown(server.get(), SHUT_RDWR);
    REQUIRE(bench.comes_true([&] { return !receives.empty() && !sends.empty() && !accepts.empty(); }));
    CHECK_FALSE(bench.comes_true([&] { return receives.size() + sends.size() + accepts.size() > 3; }, std::chrono::milliseconds(50)));
    CHECK(receives == Results{0});
    CHECK(accepts[0] < 0);
    CHECK(sends[0] < static_cast<int>(much.size()));
}

TEST_CASE("loop: a refused connection and a descriptor that is none are results, not failures of the loop") {
    SocketAddress address;
    {
        const UniqueFd server = listening();
        address = address_of(server);
    }
    const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    Results connects, receives;
    std::byte room[10];
    LoopThread bench;
    bench.on_loop([&] {
        bench.loop().connect(client.get(), address.get(), address.length, into(connects));
        bench.loop().receive(-1, room, into(receives));
    });
    REQUIRE(bench.comes_true([&] { return !connects.empty() && !receives.empty(); }));
    CHECK(connects == Results{-ECONNREFUSED});
    CHECK(receives == Results{-EBADF});
}

TEST_CASE("loop: more operations than the ring has entries are begun at once") {
    constexpr size_t count = 3 * ring_entries;
    Results receives;
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) == 0);
    const UniqueFd left(ends[0]), right(ends[1]);
    std::vector<std::byte> room(count);
    LoopThread bench;
    bench.on_loop([&] {
        for (size_t i = 0; i < count; ++i) bench.loop().receive(left.get(), MutableByteSpan(room).subspan(i, 1), into(receives));
    });
    for (size_t i = 0; i < count; ++i) REQUIRE(::send(right.get(), "x", 1, 0) == 1);
    CHECK(bench.comes_true([&] { return receives.size() == count; }));
}

TEST_CASE("loop: stop ends run, and what was not called by then is dropped with what it holds") {
    const auto held = std::make_shared<int>(0);
    bool is_called = false;
    {
        LoopThread bench;
        CHECK_FALSE(bench.loop().is_stopping());
        bench.on_loop([&] { bench.loop().after(3'600'000 * ms, [&, held] { is_called = true; }); });
        bench.end();
        CHECK(bench.loop().is_stopping());
        bench.loop().post([&, held] { is_called = true; });
        CHECK(held.use_count() == 3);
    }
    CHECK(held.use_count() == 1);
    CHECK_FALSE(is_called);
}

TEST_CASE("loop: its ring opens no file and makes no socket, and nothing can be registered with it") {
    auto loop = Loop::open();
    REQUIRE(loop);
    // Of the test's own, because a ring that is not restricted does what it is told.
    ScratchDirectory scratch;
    const std::string victim = scratch / "file";
    std::ofstream(victim) << "text";
    // Whoever is in the process has the ring by its descriptor, and maps it as the library has.
    int found = 0;
    for (int fd = 3; fd < 256; ++fd) {
        char kind[64] = {};
        if (::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), kind, sizeof kind - 1) < 0 || std::string_view(kind) != "anon_inode:[io_uring]") continue;
        ++found;
        io_uring_probe probe{};
        CHECK(::syscall(SYS_io_uring_register, fd, IORING_REGISTER_PROBE, &probe, 0) < 0);
        CHECK(errno == EACCES);
        for (const uint8_t operation : {IORING_OP_OPENAT, IORING_OP_SOCKET, IORING_OP_RENAMEAT, IORING_OP_UNLINKAT, IORING_OP_WRITE, IORING_OP_NOP}) {
            // Of the same settings, so that the ring lies where this one's does.
            io_uring other{};
            REQUIRE(io_uring_queue_init(ring_entries, &other, 0) == 0);
            const auto place = [&](unsigned* ours) { return reinterpret_cast<char*>(ours) - static_cast<char*>(other.sq.ring_ptr); };
            auto* ring = static_cast<char*>(::mmap(nullptr, other.sq.ring_sz, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING));
            auto* entries = static_cast<io_uring_sqe*>(::mmap(nullptr, ring_entries * sizeof(io_uring_sqe), PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES));
            REQUIRE((ring != MAP_FAILED && entries != MAP_FAILED));
            auto& tail = *reinterpret_cast<unsigned*>(ring + place(other.sq.ktail));
            auto& ready = *reinterpret_cast<unsigned*>(ring + place(other.cq.ktail));
            auto* completions = reinterpret_cast<io_uring_cqe*>(ring + (reinterpret_cast<char*>(other.cq.cqes) - static_cast<char*>(other.sq.ring_ptr)));
            const unsigned index = tail % ring_entries, before = ready;
            entries[index] = {};
            entries[index].opcode = operation;
            entries[index].fd = AT_FDCWD;
            entries[index].addr = reinterpret_cast<uint64_t>(victim.c_str());
            reinterpret_cast<unsigned*>(ring + place(other.sq.array))[index] = index;
            std::atomic_ref<unsigned>(tail).store(tail + 1);
            REQUIRE(::syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) == 1);
            REQUIRE(std::atomic_ref<unsigned>(ready).load() == before + 1);
            CHECK(completions[before % (2 * ring_entries)].res == -EACCES);
            ::munmap(ring, other.sq.ring_sz);
            ::munmap(entries, ring_entries * sizeof(io_uring_sqe));
            io_uring_queue_exit(&other);
        }
    }
    CHECK(found == 1);
    CHECK(std::filesystem::exists(victim));
}

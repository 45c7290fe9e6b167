#include "journal/writer.h"

#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "test/support/journal_bench.h"

namespace holdfast::journal {
namespace {

using test::bench_options;
using test::first_numbers;
using test::gap_begin;
using test::JournalBench;
using test::NumberedWrite;

constexpr uint64_t segment = HF_SEGMENT_BYTES_MIN;
constexpr size_t large = 512 << 10;  // three of these fill a segment

// One record in the first segment, which is sealed and cut. Returns the chain behind it.
ChainHash::Value write_first_segment(JournalBench& bench) {
    REQUIRE(bench.open().has_value());
    REQUIRE(bench.write(0).has_value());
    bench.close();
    auto first = bench.memory().open(segment_name(0), Disk::Open::existing);
    return (*read_seal(**first, 0, segment))->chain_after;
}

TEST_CASE("writer: what was appended is published, in order and at the address that was returned") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    const auto first = bench.write(0);
    const auto second = bench.write(1);
    REQUIRE(first.has_value());
    REQUIRE(second.has_value());
    CHECK(*first == HF_SEGMENT_HEADER_BYTES);
    CHECK(*second == *first + NumberedWrite(0, 4096).length());
    CHECK(bench.writer().published() == *second + NumberedWrite(1, 4096).length());
    CHECK(bench.writer().reserved() == bench.writer().published());
    const auto numbers = bench.read_all();
    REQUIRE(numbers.has_value());
    CHECK(*numbers == first_numbers(2));
}

TEST_CASE("writer: readers see nothing beyond the oldest open ticket") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    const NumberedWrite slow(0, 100), quick(1, 100);
    const auto ticket = bench.writer().reserve(slow.length());
    REQUIRE(ticket.has_value());
    REQUIRE(bench.writer().append(quick.record()).has_value());
    CHECK(bench.writer().published() == 0);
    CHECK(bench.read_all()->empty());
    REQUIRE(bench.writer().commit(*ticket, slow.record()).has_value());
    CHECK(*bench.read_all() == first_numbers(2));
}

TEST_CASE("writer: an abandoned address holds a VOID, which readers skip") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    const auto ticket = bench.writer().reserve(HF_RECORD_BYTES_MAX);
    REQUIRE(ticket.has_value());
    REQUIRE(bench.write(0).has_value());
    REQUIRE(bench.writer().abandon(*ticket).has_value());
    CHECK(*bench.read_all() == first_numbers(1));
    CHECK(bench.writer().published() == bench.writer().reserved());
}

TEST_CASE("writer: a record may be shorter than what was reserved for it") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    const auto ticket = bench.writer().reserve(NumberedWrite(0, 100'000).length());
    REQUIRE(ticket.has_value());
    REQUIRE(bench.writer().commit(*ticket, NumberedWrite(0, 10'000).record()).has_value());
    REQUIRE(bench.write(1).has_value());
    CHECK(*bench.read_all() == first_numbers(2));
}

TEST_CASE("writer: a record carries the time at which its address was taken") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    const uint64_t then = bench.clock().realtime_ns();
    const NumberedWrite write(0, 8);
    const auto ticket = bench.writer().reserve(write.length());
    REQUIRE(ticket.has_value());
    bench.clock().advance(1'000'000);
    REQUIRE(bench.writer().commit(*ticket, write.record()).has_value());
    auto reader = bench.reader();
    const auto record = reader.next();
    REQUIRE(record.has_value());
    REQUIRE(record->has_value());
    CHECK((*record)->time_ns == then);
}

TEST_CASE("writer: segments follow each other, sealed, cut and chained") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    for (uint64_t i = 0; i < 10; ++i) REQUIRE(bench.write(i, large).has_value());
    CHECK(*bench.read_all() == first_numbers(10));
    REQUIRE(bench.writer().sync(lsn_max).has_value());
    bench.close();
    CHECK(*bench.read_all(false) == first_numbers(10));

    ChainHash::Value chain{};
    for (uint64_t index = 0; index < 4; ++index) {
        auto file = bench.memory().open(segment_name(index), Disk::Open::existing);
        REQUIRE(file.has_value());
        const auto seal = read_seal(**file, index, segment);
        REQUIRE(seal.has_value());
        REQUIRE(seal->has_value());
        CHECK((*seal)->chain_before == chain);
        CHECK((*seal)->record_count == (index < 3 ? 3 : 1));
        chain = (*seal)->chain_after;
    }
    CHECK(bench.memory().list()->size() == 4);  // no spare is left behind
}

TEST_CASE("writer: the next one goes on in a segment of its own, with the chain it was given") {
    JournalBench bench;
    const ChainHash::Value chain = write_first_segment(bench);
    REQUIRE(bench.open({1, chain}).has_value());
    CHECK(bench.writer().published() == segment);
    CHECK(bench.writer().durable() == segment);
    REQUIRE(bench.write(1).has_value());
    CHECK(*bench.read_all() == first_numbers(2));
    bench.close();
    auto second = bench.memory().open(segment_name(1), Disk::Open::existing);
    CHECK((*read_seal(**second, 1, segment))->chain_before == chain);
}

TEST_CASE("writer: a reader's position reaches the published address, across openings too") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    auto reader = bench.reader();
    CHECK(JournalBench::numbers_from(reader)->empty());
    CHECK(reader.position() == bench.writer().published());
    for (uint64_t i = 0; i < 4; ++i) REQUIRE(bench.write(i, large).has_value());
    CHECK(JournalBench::numbers_from(reader)->size() == 4);
    CHECK(reader.position() == bench.writer().published());
    bench.close();
    CHECK(JournalBench::numbers_from(reader)->empty());
    CHECK(reader.position() == 2 * segment);
    REQUIRE(bench.open({2, {}}).has_value());
    CHECK(JournalBench::numbers_from(reader)->empty());
    CHECK(reader.position() == bench.writer().published());
}

TEST_CASE("writer: it refuses to begin where something is, and options that cannot work") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    bench.close();
    const auto again = bench.open();
    REQUIRE_FALSE(again.has_value());
    CHECK(again.error().code == ErrorCode::corrupt);

    for (int which = 0; which < 3; ++which) {
        auto options = bench_options();
        if (which == 0) options.segment_bytes = 3 << 20;
        if (which == 1) options.journal_bytes_max = 4 * segment - 1;
        if (which == 2) options.sync_interval_ms = 0;
        JournalBench other(options);
        const auto refused = other.open();
        REQUIRE_FALSE(refused.has_value());
        CHECK(refused.error().code == ErrorCode::invalid_argument);
    }
}

TEST_CASE("writer: the table says whether it closed in order, and belongs to this boot after the first record") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    CHECK(bench.table().head().clean.load() == 0);
    const auto boot = current_boot_id();
    CHECK(memcmp(bench.table().head().boot_id, boot.data(), boot.size()) != 0);
    REQUIRE(bench.write(0).has_value());
    CHECK(memcmp(bench.table().head().boot_id, boot.data(), boot.size()) == 0);
    bench.close();
    CHECK(bench.table().head().clean.load() == 1);
    CHECK(bench.table().head().durable.load() == segment);
}

TEST_CASE("writer: at the limit of the journal reserve fails, a gap can still be told, and release helps") {
    auto options = bench_options();
    options.journal_bytes_max = 5 * segment;
    JournalBench bench(options);
    REQUIRE(bench.open().has_value());
    uint64_t written = 0;
    Result<Lsn> last = bench.write(written, large);
    while (last) last = bench.write(++written, large);
    CHECK(last.error().code == ErrorCode::no_space);
    // Five files, of which one is the reserve; each of the others holds three writes.
    CHECK(written == 12);
    CHECK(bench.writer().used_bytes() <= options.journal_bytes_max);
    CHECK_FALSE(bench.writer().is_fenced());
    CHECK_FALSE(bench.writer().wait_for_space(NumberedWrite(0, large).length(), 0));

    // The rest of the segment takes it; so does the reserve when there is no rest.
    while (bench.writer().reserved() % segment + encoded_length(gap_begin().body) + HF_SEGMENT_END_BYTES <= segment)
        REQUIRE(bench.writer().append(gap_begin()).has_value());
    REQUIRE(bench.writer().append(gap_begin()).has_value());
    CHECK(bench.writer().reserved() > 4 * segment);
    const auto small = bench.writer().reserve(64);
    REQUIRE_FALSE(small.has_value());
    CHECK(small.error().code == ErrorCode::no_space);

    REQUIRE(bench.writer().sync(lsn_max).has_value());
    REQUIRE(bench.writer().release_below(bench.writer().published()).has_value());
    REQUIRE(bench.writer().wait_for_space(NumberedWrite(0, large).length(), 10'000));
    REQUIRE(bench.write(written, large).has_value());
    CHECK(*bench.read_all(true, 4 * segment) == std::vector<uint64_t>{written});
}

TEST_CASE("writer: on a full disk reserve fails, and goes on when others have made room") {
    auto options = bench_options();
    options.sync_interval_ms = 1;  // how often the disk is looked at again
    JournalBench bench(options);
    bench.memory().set_capacity(4 * segment + segment / 2);
    REQUIRE(bench.open().has_value());
    uint64_t written = 0;
    Result<Lsn> last = bench.write(written, large);
    while (last) last = bench.write(++written, large);
    CHECK(last.error().code == ErrorCode::no_space);
    CHECK_FALSE(bench.writer().is_fenced());
    CHECK(written == 9);
    REQUIRE(bench.writer().append(gap_begin()).has_value());
    bench.memory().set_capacity(UINT64_MAX);
    REQUIRE(bench.writer().wait_for_space(NumberedWrite(0, large).length(), 10'000));
    REQUIRE(bench.write(written, large).has_value());
    CHECK(*bench.read_all() == first_numbers(10));
}

TEST_CASE("writer: a disk that is full from the start is an error of open, and leaves nothing behind") {
    JournalBench bench;
    bench.memory().set_capacity(segment + segment / 2);
    const auto opened = bench.open();
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().code == ErrorCode::no_space);
    CHECK(bench.memory().list()->empty());
    bench.memory().set_capacity(3 * segment);
    CHECK(bench.open().has_value());
}

TEST_CASE("writer: a journal over its limit can be opened, so that it can be emptied") {
    auto options = bench_options();
    options.journal_bytes_max = 4 * segment;
    JournalBench bench(options);
    Lsn end = 0;
    for (uint64_t index = 0; index < 6; ++index) {
        REQUIRE(bench.open({index, {}}).has_value());
        const auto lsn = bench.write(index, large * 2);
        REQUIRE(lsn.has_value());
        end = *lsn;
        bench.close();
    }
    REQUIRE(bench.open({6, {}}).has_value());
    REQUIRE(bench.write(6).has_value());
    CHECK(bench.writer().used_bytes() > options.journal_bytes_max);
    REQUIRE(bench.writer().sync(lsn_max).has_value());
    REQUIRE(bench.writer().release_below(end).has_value());
    CHECK(bench.writer().used_bytes() <= options.journal_bytes_max);
}

TEST_CASE("writer: release takes whole durable segments, and never the one before the current") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    for (uint64_t i = 0; i < 10; ++i) REQUIRE(bench.write(i, large).has_value());
    auto first_on_disk = [&] { return Reader::extent(bench.memory())->first_segment; };
    REQUIRE(bench.writer().release_below(lsn_max).has_value());
    CHECK(first_on_disk() == 0);  // nothing is durable yet
    REQUIRE(bench.writer().sync(lsn_max).has_value());
    REQUIRE(bench.writer().release_below(segment - 1).has_value());
    CHECK(first_on_disk() == 0);
    REQUIRE(bench.writer().release_below(segment).has_value());
    CHECK(first_on_disk() == 1);
    REQUIRE(bench.writer().release_below(lsn_max).has_value());
    CHECK(first_on_disk() == 2);
    auto reader = bench.reader();
    const auto gone = reader.next();
    REQUIRE_FALSE(gone.has_value());
    CHECK(gone.error().code == ErrorCode::not_found);
}

TEST_CASE("writer: one sync makes everything below durable, and costs nothing when it already is") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    for (uint64_t i = 0; i < 3; ++i) REQUIRE(bench.write(i).has_value());
    CHECK(bench.writer().durable() == 0);
    const uint64_t before = bench.memory().sync_count();
    REQUIRE(bench.writer().sync(lsn_max).has_value());
    CHECK(bench.writer().durable() == bench.writer().published());
    CHECK(bench.memory().sync_count() == before + 1);
    REQUIRE(bench.writer().sync(lsn_max).has_value());
    CHECK(bench.memory().sync_count() == before + 1);
}

TEST_CASE("writer: without anybody asking, records become durable") {
    auto options = bench_options();
    options.sync_interval_ms = 1;
    JournalBench bench(options);
    REQUIRE(bench.open().has_value());
    REQUIRE(bench.write(0).has_value());
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (bench.writer().durable() < bench.writer().published() && std::chrono::steady_clock::now() < deadline)
        std::this_thread::yield();
    CHECK(bench.writer().durable() == bench.writer().published());
}

TEST_CASE("writer: sync waits for records that others are still writing below") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    const NumberedWrite slow(0, 100);
    const auto ticket = bench.writer().reserve(slow.length());
    REQUIRE(ticket.has_value());
    const auto quick = bench.write(1);
    REQUIRE(quick.has_value());
    std::atomic<bool> synced{false};
    std::thread syncer([&] {
        const bool is_fine = bench.writer().sync(lsn_max).has_value();
        synced = is_fine;
    });
    CHECK_FALSE(synced.load());
    REQUIRE(bench.writer().commit(*ticket, slow.record()).has_value());
    syncer.join();
    CHECK(synced.load());
    CHECK(bench.writer().durable() == bench.writer().reserved());
}

TEST_CASE("writer: many threads reserve, commit, abandon and sync at once, and every record is there once") {
    const uint64_t seed = std::random_device{}();
    INFO("seed " << seed);
    auto options = bench_options();
    options.sync_interval_ms = 1;
    JournalBench bench(options);
    REQUIRE(bench.open().has_value());
    constexpr uint64_t threads_count = 4, per_thread = 400;
    std::atomic<uint64_t> failures{0};
    std::atomic<bool> is_done{false};
    std::vector<uint64_t> followed;
    std::thread follower([&] {
        auto reader = bench.reader();
        Lsn known = 0;
        for (;;) {
            const bool is_last = is_done;
            auto numbers = JournalBench::numbers_from(reader);
            if (!numbers) { ++failures; return; }
            followed.insert(followed.end(), numbers->begin(), numbers->end());
            if (is_last) return;
            known = bench.table().wait_published(std::max(known, reader.position()), 10);
        }
    });
    std::vector<std::thread> threads;
    for (uint64_t thread = 0; thread < threads_count; ++thread) {
        threads.emplace_back([&, thread] {
            std::mt19937_64 random(seed + thread);
            for (uint64_t i = 0; i < per_thread; ++i) {
                const NumberedWrite write(i * threads_count + thread, random() % 30'000 + 8);
                const auto ticket = bench.writer().reserve(write.length());
                if (!ticket) { ++failures; return; }
                if (random() % 8 == 0) {
                    const auto wasted = bench.writer().reserve(64);
                    if (!wasted || !bench.writer().abandon(*wasted)) ++failures;
                }
                if (!bench.writer().commit(*ticket, write.record())) ++failures;
                const Lsn end = ticket->lsn + ticket->length;
                if (random() % 32 == 0 && !(bench.writer().sync(end) && bench.writer().durable() >= end)) ++failures;
                if (random() % 64 == 0 && !bench.writer().release_below(0)) ++failures;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    is_done = true;
    follower.join();
    CHECK(failures.load() == 0);
    auto sorted = followed;
    std::sort(sorted.begin(), sorted.end());
    CHECK(sorted == first_numbers(threads_count * per_thread));
    bench.close();
    CHECK(*bench.read_all(false) == followed);
}

TEST_CASE("writer: what a predecessor left unsynced goes to the disk with the first sync") {
    JournalBench bench;
    REQUIRE(bench.open().has_value());
    REQUIRE(bench.write(0).has_value());
    bench.close();
    REQUIRE(bench.open({1, {}, HF_SEGMENT_HEADER_BYTES}).has_value());
    CHECK(bench.writer().durable() == HF_SEGMENT_HEADER_BYTES);
    REQUIRE(bench.write(1).has_value());
    const uint64_t before = bench.memory().sync_count();
    REQUIRE(bench.writer().sync(lsn_max).has_value());
    CHECK(bench.memory().sync_count() - before == 2);
    CHECK(bench.writer().durable() == bench.writer().published());
}

TEST_CASE("writer: what a predecessor sealed and did not come to cut is cut with the first sync, also when all of it is on the disk") {
    JournalBench bench;
    const ChainHash::Value chain = write_first_segment(bench);
    auto first = bench.memory().open(segment_name(0), Disk::Open::existing);
    const uint64_t cut_bytes = *(*first)->size();
    REQUIRE((*first)->truncate(segment).has_value());
    REQUIRE(bench.open({1, chain, lsn_max, {{0, cut_bytes - HF_SEGMENT_END_BYTES}}}).has_value());
    REQUIRE(bench.write(1).has_value());
    REQUIRE(bench.writer().sync(lsn_max).has_value());
    CHECK(*(*first)->size() == cut_bytes);
    CHECK(*bench.read_all() == first_numbers(2));
}

TEST_CASE("writer: spares of a predecessor are taken over when they are whole, and made anew when not") {
    for (const bool is_whole : {true, false}) {
        INFO("whole: " << is_whole);
        JournalBench killed;
        REQUIRE(killed.open().has_value());
        REQUIRE(killed.write(0).has_value());
        const auto disk = killed.memory().after_process_crash();
        auto spare = disk->contents(spare_name(1));
        if (!is_whole) spare.resize(spare.size() / 2), disk->set_contents(spare_name(1), spare);
        JournalBench bench(bench_options(), disk.get());
        bench.clock().advance(1'000'000'000);  // what is made now says so
        REQUIRE(bench.open({1, {}}).has_value());
        const auto segment = disk->contents(segment_name(1));
        CHECK(segment.size() == bench.options().segment_bytes);
        const bool is_same = std::equal(segment.begin(), segment.begin() + HF_SEGMENT_HEADER_BYTES, spare.begin());
        CHECK(is_same == is_whole);
        REQUIRE(bench.write(1).has_value());
        CHECK(disk->list()->size() == 3);  // two segments and the reserve
    }
}

}  // namespace
}  // namespace holdfast::journal

#include "replicator/engine/replica_journal.h"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "journal/chain_at.h"
#include "journal/cursor.h"
#include "test/support/scratch.h"
#include "test/support/shipped_journal.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace fs = std::filesystem;

namespace {

constexpr uint64_t segment_bytes = ShippedJournal::segment_bytes;

struct Bench {
    ScratchDirectory scratch;
    const std::string store = fs::canonical(scratch.path()).string() + "/store";

    Bench() { ::setenv("HOLDFAST_STATE_DIR", (scratch / "state").c_str(), 1); }
    ~Bench() { ::unsetenv("HOLDFAST_STATE_DIR"); }

    Result<std::unique_ptr<ReplicaJournal>> open(const journal::VolumeId& id = bench_volume) const { return ReplicaJournal::open(store, id, segment_bytes); }
    Disk& disk() { return *(disk_ = open_disk(store).value()); }
    void save_mark(bool is_complete, const rewind::RepairPoint& point) { REQUIRE(rewind::save_repair_mark(disk(), {is_complete, point})); }
    bool has_mark() { return rewind::load_repair_mark(disk()).value().has_value(); }
    void write_term(const std::string& text) const { std::ofstream(store + "/term", std::ios::trunc) << text; }

private:
    std::unique_ptr<Disk> disk_;
};

rewind::RepairPoint point_in(ShippedJournal& source, uint64_t index) {
    const Lsn begin = index * segment_bytes;
    return {begin + 5000, 77, begin, journal::chain_at(source.disk(), bench_volume, segment_bytes, begin).value()};
}

// The store keeps trusted attributes.
bool is_skipped() {
    if (::geteuid() == 0) return false;
    WARN("skipped: needs root for trusted xattrs");
    return true;
}

}  // namespace

TEST_CASE("replica journal: a new one is made, empty, and greets so; an old one is opened as it is") {
    if (is_skipped()) return;
    const Bench bench;
    {
        const auto replica = bench.open();
        REQUIRE(replica);
        const Hello hello = (*replica)->greeting().value();
        CHECK(hello.role == Role::replica);
        CHECK(hello.volume == bench_volume);
        CHECK(hello.segment_bytes == segment_bytes);
        CHECK(hello.is_empty);
        CHECK(hello.end.lsn == 0);
        CHECK((*replica)->term() == 1);
    }
    REQUIRE(bench.open());
    CHECK((*bench.open())->greeting()->is_empty);
}

TEST_CASE("replica journal: what came is there after it is opened again, and it greets with where the stream goes on") {
    if (is_skipped()) return;
    const Bench bench;
    ShippedJournal source(1, 200, 20'000);
    Hello before;
    {
        const auto replica = bench.open().value();
        REQUIRE(source.ship_all(replica->inbound(), 64 << 10));
        before = replica->greeting().value();
        CHECK_FALSE(before.is_empty);
        CHECK(before.end.lsn == source.end());
        CHECK(before.oldest == 0);
        CHECK(replica->inbound().durable() == source.end());
        // Positions are boundaries of records, as the source names them.
        for (const auto& record : {source.records()[3], source.records()[100]}) {
            const auto position = replica->position(record.lsn + 1).value();
            REQUIRE(position);
            CHECK(position->lsn == record.lsn);
        }
        CHECK(replica->position(UINT64_MAX).value()->lsn == source.end());
    }
    CHECK(bench.open().value()->greeting().value() == before);
}

TEST_CASE("replica journal: a segment of which only the header came is begun anew") {
    if (is_skipped()) return;
    const Bench bench;
    ShippedJournal source(1, 600, 20'000);
    const auto replica = bench.open().value();
    while (replica->inbound().received() != segment_bytes + HF_SEGMENT_HEADER_BYTES) REQUIRE(source.ship_next(replica->inbound(), 64 << 10).value());
    CHECK(replica->greeting()->end.lsn == segment_bytes);
    CHECK(replica->inbound().received() == segment_bytes);
    REQUIRE(source.ship_all(replica->inbound(), 64 << 10));
    CHECK(replica->greeting()->end.lsn == source.end());
}

TEST_CASE("replica journal: segments that the store has applied are released, others are not") {
    if (is_skipped()) return;
    const Bench bench;
    ShippedJournal source(1, 1000, 20'000);
    REQUIRE(source.segment_count() >= 3);
    const auto replica = bench.open().value();
    REQUIRE(source.ship_all(replica->inbound(), 64 << 10));
    REQUIRE(replica->greeting());
    REQUIRE(replica->release());
    CHECK(replica->inbound().begin() == 0);
    REQUIRE(journal::save_cursor(*open_disk(bench.store + "/journal/cursors").value(), bench_volume, journal::store_consumer, segment_bytes + 5000));
    REQUIRE(replica->release());
    CHECK(replica->inbound().begin() == segment_bytes);
}

TEST_CASE("replica journal: the highest term survives, and a damaged one is not guessed") {
    if (is_skipped()) return;
    const Bench bench;
    {
        const auto replica = bench.open().value();
        REQUIRE(replica->persist_term(7));
        CHECK(replica->term() == 7);
    }
    CHECK(bench.open().value()->term() == 7);
    REQUIRE(bench.open().value()->persist_term(UINT64_MAX));
    CHECK(bench.open().value()->term() == UINT64_MAX);
    using namespace std::string_literals;
    for (const std::string& bad : {""s, "\n"s, "0\n"s, "7"s, "7\n\n"s, "7 \n"s, " 7\n"s, "-7\n"s, "0x7\n"s, "seven\n"s, "7\n\0x"s, "18446744073709551616\n"s, std::string(100, '7')}) {
        CAPTURE(bad);
        bench.write_term(bad);
        const auto opened = bench.open();
        REQUIRE_FALSE(opened);
        CHECK(opened.error().code == ErrorCode::corrupt);
        CHECK_THAT(opened.error().message, Catch::Contains("term"));
    }
    bench.write_term("9\n");
    CHECK(bench.open().value()->term() == 9);
}

TEST_CASE("replica journal: a store of another volume, of another segment size, or of something else is not touched") {
    if (is_skipped()) return;
    const Bench bench;
    REQUIRE(bench.open());
    CHECK_FALSE(bench.open(journal::random_volume_id()));
    CHECK_FALSE(ReplicaJournal::open(bench.store, bench_volume, 2 * segment_bytes));
    CHECK(bench.open());
    fs::create_directory(bench.scratch / "other");
    std::ofstream(bench.scratch / "other/file") << "x";
    CHECK_FALSE(ReplicaJournal::open(fs::canonical(bench.scratch / "other"), journal::random_volume_id(), segment_bytes));
    CHECK(fs::exists(bench.scratch / "other/file"));
}

TEST_CASE("replica journal: while a repair is under way it greets as unsound, and what it has is left alone") {
    if (is_skipped()) return;
    Bench bench;
    ShippedJournal source(1, 600, 20'000);
    REQUIRE(source.segment_count() >= 2);
    const auto replica = bench.open().value();
    REQUIRE(source.ship_all(replica->inbound(), 64 << 10));
    CHECK_FALSE(replica->greeting()->is_unsound);
    bench.save_mark(false, point_in(source, 1));
    const auto again = replica->greeting().value();
    CHECK(again.is_unsound);
    CHECK(again.end.lsn == source.end());
    CHECK(bench.has_mark());
    CHECK(bench.open().value()->greeting()->is_unsound);
    // The store says that it is done, and it is not.
    CHECK(replica->repaired(segment_bytes + 5000).error().code == ErrorCode::corrupt);
}

TEST_CASE("replica journal: after a repair it stands where the moment's segment begins, whenever it is opened again, until it holds something durably") {
    if (is_skipped()) return;
    for (const bool is_opened_again : {false, true}) {
        CAPTURE(is_opened_again);
        Bench bench;
        ShippedJournal source(1, 600, 20'000), other(2, 600, 20'000);
        const auto point = point_in(source, 1);
        auto replica = bench.open().value();
        const auto open_again = [&] {
            replica.reset();
            replica = bench.open().value();
        };
        REQUIRE(other.ship_all(replica->inbound(), 64 << 10));
        bench.save_mark(true, point);
        if (is_opened_again) open_again();
        const Hello hello = is_opened_again ? replica->greeting().value() : replica->repaired(point.at).value();
        CHECK_FALSE(hello.is_empty);
        CHECK_FALSE(hello.is_unsound);
        CHECK(hello.oldest == segment_bytes);
        CHECK(hello.end == Position{segment_bytes, point.begin_chain});
        // It cannot go back to before the moment, whatever its store could before the repair.
        CHECK(hello.window_begin == point.at);
        CHECK(replica->position(UINT64_MAX).value() == hello.end);
        CHECK(bench.has_mark());

        // A header alone is nothing yet.
        REQUIRE(source.ship_next(replica->inbound(), 64 << 10).value());
        REQUIRE(replica->sync());
        CHECK(bench.has_mark());
        CHECK(replica->greeting().value() == hello);
        REQUIRE(source.ship_next(replica->inbound(), 64 << 10).value());
        REQUIRE(source.ship_next(replica->inbound(), 64 << 10).value());
        // Nothing was told as durable: an end here begins anew.
        if (is_opened_again) {
            open_again();
            CHECK(replica->greeting().value() == hello);
            CHECK(bench.has_mark());
            REQUIRE(source.ship_next(replica->inbound(), 64 << 10).value());
            REQUIRE(source.ship_next(replica->inbound(), 64 << 10).value());
        }
        const Lsn received = replica->inbound().received();
        REQUIRE(received > segment_bytes + HF_SEGMENT_HEADER_BYTES);
        CHECK(replica->sync().value() == received);
        CHECK_FALSE(bench.has_mark());
        if (is_opened_again) open_again();
        const Hello later = replica->greeting().value();
        CHECK(later.end.lsn == received);
        CHECK(later.window_begin == point.at);
        REQUIRE(source.ship_all(replica->inbound(), 64 << 10));
        CHECK(replica->greeting()->end.lsn == source.end());
    }
}

TEST_CASE("replica journal: a second repair begins anew once more, in the same segment too") {
    if (is_skipped()) return;
    Bench bench;
    ShippedJournal source(1, 600, 20'000), other(2, 600, 20'000);
    const auto replica = bench.open().value();
    const auto first = point_in(other, 1), second = point_in(source, 1);
    bench.save_mark(true, first);
    REQUIRE(replica->repaired(first.at));
    for (int i = 0; i < 3; ++i) REQUIRE(other.ship_next(replica->inbound(), 64 << 10).value());
    REQUIRE(replica->sync());
    REQUIRE_FALSE(bench.has_mark());
    bench.save_mark(true, second);
    CHECK(replica->repaired(second.at)->end == Position{segment_bytes, second.begin_chain});
    REQUIRE(source.ship_all(replica->inbound(), 64 << 10));
    CHECK(replica->greeting()->end.lsn == source.end());
}

TEST_CASE("replica journal: a damaged mark is not guessed") {
    if (is_skipped()) return;
    Bench bench;
    REQUIRE(bench.open());
    std::ofstream(bench.store + "/repairing") << "{}";
    CHECK(bench.open().error().code == ErrorCode::corrupt);
}

TEST_CASE("replica journal: a damaged one is refused until a repair is wanted, and then given up, also when that is cut off in the middle") {
    if (is_skipped()) return;
    ShippedJournal source(1, 1000, 20'000);
    REQUIRE(source.segment_count() >= 3);
    const auto damage = GENERATE(0, 1, 2, 3);
    const bool is_cut_off = GENERATE(false, true);
    CAPTURE(damage, is_cut_off);
    Bench bench;
    REQUIRE(source.ship_all(bench.open().value()->inbound(), 64 << 10));
    const std::string journal = bench.store + "/journal/", second = journal + journal::segment_name(1);
    if (damage == 0) fs::remove(second);
    if (damage == 1) fs::resize_file(second, 0);
    if (damage == 2) fs::resize_file(second, fs::file_size(second) - 8);
    if (damage == 3) std::fstream(second, std::ios::in | std::ios::out) << "not a segment";
    const auto count = [&] { return std::count_if(fs::directory_iterator(journal), fs::directory_iterator(), [](const auto& entry) { return entry.path().extension() == ".seg"; }); };
    const auto before = count();
    REQUIRE_FALSE(bench.open());
    CHECK(count() == before);

    REQUIRE(ReplicaJournal::want_repair(bench.store));
    if (is_cut_off) fs::remove(journal + journal::segment_name(source.segment_count() - 1));
    const auto replica = bench.open();
    REQUIRE(replica);
    CHECK(count() == 0);
    const Hello hello = (*replica)->greeting().value();
    CHECK(hello.is_unsound);
    CHECK(hello.end.lsn == 0);
    // Which is where the repair finds it.
    const rewind::RepairPoint point = point_in(source, 2);
    bench.save_mark(true, point);
    CHECK((*replica)->repaired(point.at)->end == Position{point.begin, point.begin_chain});
    CHECK(ReplicaJournal::want_repair(bench.store).error().code == ErrorCode::busy);
}

TEST_CASE("replica journal: what it is sent on to keeps its segments, from the first on and from where it is") {
    if (is_skipped()) return;
    const Bench bench;
    ShippedJournal source(1, 1000, 20'000);
    const auto replica = bench.open().value();
    REQUIRE(replica->keep_for({"delta"}));
    REQUIRE(source.ship_all(replica->inbound(), 64 << 10));
    REQUIRE(replica->greeting());
    const auto disk = open_disk(bench.store + "/journal/cursors").value();
    REQUIRE(journal::save_cursor(*disk, bench_volume, journal::store_consumer, source.end()));
    REQUIRE(replica->release());
    CHECK(replica->inbound().begin() == 0);
    REQUIRE(journal::save_cursor(*disk, bench_volume, "replica-delta", segment_bytes));
    REQUIRE(replica->keep_for({"delta"}));  // asked again at every start, it does not begin anew
    REQUIRE(replica->release());
    CHECK(replica->inbound().begin() == segment_bytes);
}

TEST_CASE("replica journal: a cursor beyond its end, of a history that was given up, is taken back when it is opened") {
    if (is_skipped()) return;
    const Bench bench;
    ShippedJournal source(1, 200, 20'000);
    REQUIRE(source.ship_all(bench.open().value()->inbound(), 64 << 10));
    const auto disk = open_disk(bench.store + "/journal/cursors").value();
    REQUIRE(journal::save_cursor(*disk, bench_volume, "replica-delta", source.end() + 5 * segment_bytes));
    REQUIRE(journal::save_cursor(*disk, bench_volume, "replica-gamma", 5000));
    REQUIRE(bench.open());
    auto found = journal::load_cursors(*disk, bench_volume).value();
    std::sort(found.begin(), found.end());
    std::erase_if(found, [](const auto& cursor) { return cursor.first == journal::store_consumer; });
    CHECK(found == std::vector<std::pair<std::string, Lsn>>{{"replica-delta", source.end()}, {"replica-gamma", 5000}});
}

#include "replicator/engine/source_journal.h"

#include <catch2/catch.hpp>

#include "test/engine/source_bench.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace {

constexpr uint64_t segment_bytes = JournalBuilder::segment_bytes;

using Bench = SourceBench;

}  // namespace

TEST_CASE("source journal: one that was not mounted since the host started says so, and one of another volume is refused") {
    Bench bench;
    const auto unmounted = SourceJournal::open(bench.volume, "beta");
    REQUIRE_FALSE(unmounted);
    CHECK(unmounted.error().code == ErrorCode::unavailable);
    CHECK_THAT(unmounted.error().message, Catch::Contains("/srv/data"));
    CHECK(bench.cursors().empty());

    bench.mount();
    journal::Volume other = bench.volume;
    other.id = journal::random_volume_id();
    CHECK(SourceJournal::open(other, "beta").error().code == ErrorCode::foreign);
    CHECK(bench.cursors().empty());
}

TEST_CASE("source journal: the first opening for a peer keeps all that is there, a later one what the peer has not taken") {
    Bench bench(5);
    bench.mount();
    const Lsn oldest = 5 * segment_bytes;
    {
        const auto source = bench.open();
        CHECK(bench.cursors() == Cursors{{"replica-beta", oldest}});
        REQUIRE(source->save_cursor(6 * segment_bytes, source->history()));
    }
    (void)bench.open();
    CHECK(bench.cursors() == Cursors{{"replica-beta", 6 * segment_bytes}});
    (void)bench.open("gamma");
    auto cursors = bench.cursors();
    std::sort(cursors.begin(), cursors.end());
    CHECK(cursors == Cursors{{"replica-beta", 6 * segment_bytes}, {"replica-gamma", oldest}});
    CHECK(replicas_waited_for(bench.volume).value().size() == 2);
}

TEST_CASE("source journal: forgetting a replica ends what its peer keeps, once") {
    Bench bench;
    bench.mount();
    (void)bench.open();
    (void)bench.open("gamma");
    REQUIRE(forget_replica(bench.volume, "beta"));
    CHECK(replicas_waited_for(bench.volume).value() == std::vector<std::string>{"gamma"});
    const auto again = forget_replica(bench.volume, "beta");
    REQUIRE_FALSE(again);
    CHECK(again.error().code == ErrorCode::not_found);
    CHECK_THAT(again.error().message, Catch::Contains("beta"));
    // Only replicas: not the store's cursor, nor whatever a name may lead to.
    REQUIRE(journal::save_cursor(*open_disk(bench.scratch / "cursors").value(), bench.volume.id, journal::store_consumer, 0));
    for (const char* name : {"", "store", "../inflight", "gamma/"}) CHECK(forget_replica(bench.volume, name).error().code == ErrorCode::not_found);
    CHECK(bench.cursors().size() == 2);
}

TEST_CASE("source journal: how full it is follows from what is kept, not from what was written") {
    for (const uint64_t first : {0, 7}) {
        Bench bench(first);
        bench.mount();
        const uint64_t kept = bench.builder.end() - first * segment_bytes;
        bench.volume.journal_bytes_max = 4 * kept;
        CHECK(bench.open()->kept_percent().value() == 25);
        bench.volume.journal_bytes_max = kept / 2;
        CHECK(bench.open()->kept_percent().value() >= 200);
        bench.volume.journal_bytes_max = UINT64_MAX;
        CHECK(bench.open()->kept_percent().value() == 0);
    }
}

TEST_CASE("source journal: only a replica that has not taken the journal is told to fill it") {
    Bench bench;
    bench.mount();
    bench.volume.journal_bytes_max = bench.builder.end();
    const auto slow = bench.open("slow"), quick = bench.open("quick"), cut_off = bench.open("cut-off");
    REQUIRE(quick->save_cursor(quick->published(), quick->history()));
    REQUIRE(forget_replica(bench.volume, "cut-off"));
    CHECK(slow->kept_percent().value() == 100);
    CHECK(quick->kept_percent().value() == 0);
    CHECK(cut_off->kept_percent().value() == 0);
}

TEST_CASE("source journal: it greets with its volume, its oldest address and its end") {
    Bench bench(2);
    bench.mount();
    const auto source = bench.open();
    const Hello hello = source->greeting().value();
    CHECK(hello.role == Role::source);
    CHECK(hello.volume == bench.volume.id);
    CHECK(hello.segment_bytes == segment_bytes);
    CHECK(hello.oldest == 2 * segment_bytes);
    CHECK(hello.end.lsn == bench.builder.end());
    CHECK(hello.end == source->position(bench.builder.end()).value());

    // What is not published yet is not there.
    bench.table->head().published = bench.ends[0];
    CHECK(source->published() == bench.ends[0]);
    CHECK(source->greeting()->end.lsn == bench.ends[0]);
}

TEST_CASE("source journal: a position is the last boundary at or below an address, and what is not published has none") {
    Bench bench;
    bench.mount();
    bench.table->head().published = bench.ends[1];
    const auto source = bench.open();
    const auto at = [&](Lsn lsn) { return source->position(lsn).value()->lsn; };
    CHECK(at(bench.ends[0]) == bench.ends[0]);
    CHECK(at(bench.ends[0] + 1) == bench.ends[0]);
    CHECK(at(bench.ends[1] - 1) == bench.ends[0]);
    CHECK(at(bench.ends[2]) == bench.ends[1]);
    CHECK(at(UINT64_MAX) == bench.ends[1]);
    CHECK(source->position(bench.ends[0])->value().chain != source->position(bench.ends[1])->value().chain);
}

TEST_CASE("source journal: what is read is what was published, from any boundary on") {
    Bench bench;
    bench.mount();
    bench.table->head().published = bench.ends[1];
    const auto source = bench.open();
    const Lsn begin = journal::segment_first_record(2, segment_bytes);
    const auto piece = source->read(begin, 1 << 20);
    REQUIRE(piece);
    CHECK(piece->records.first == begin);
    CHECK(piece->records.end == bench.ends[1]);
    CHECK(piece->records.bytes.size() == bench.ends[1] - begin);
}

TEST_CASE("source journal: who waits is woken by what is published, or told that nothing was") {
    Bench bench;
    bench.mount();
    bench.table->head().published = bench.ends[0];
    const auto source = bench.open();
    CHECK(source->wait_published(bench.ends[0], 1) == bench.ends[0]);
    CHECK(source->wait_published(0, 60'000) == bench.ends[0]);
    bench.table->head().published = bench.ends[1];
    bench.table->wake_readers();
    CHECK(source->wait_published(bench.ends[0], 60'000) == bench.ends[1]);
}

TEST_CASE("source journal: for a repair it keeps the segment that holds the moment, and says where that begins and where it ends itself") {
    Bench bench(3);
    bench.mount();
    const auto source = bench.open();
    const Lsn begin = 5 * segment_bytes;
    for (const Lsn at : {begin, begin + HF_SEGMENT_HEADER_BYTES, bench.ends[0], bench.ends[2]}) {
        CAPTURE(at);
        REQUIRE(source->save_cursor(at, source->history()));  // wherever it was
        const auto offer = source->offer_repair(at, 99);
        REQUIRE(offer);
        CHECK(offer->point.at == at);
        CHECK(offer->point.time_ns == 99);
        CHECK(offer->point.begin == source->position(begin).value());
        CHECK(offer->self == source->greeting().value());
        CHECK(bench.cursors() == Cursors{{"replica-beta", begin}});
    }
}

TEST_CASE("source journal: a moment that it does not keep, cannot name, or has not reached is no offer") {
    Bench bench(3);
    bench.mount();
    const auto source = bench.open();
    CHECK(source->offer_repair(2 * segment_bytes + 5000, 1).error().code == ErrorCode::not_found);
    CHECK(source->offer_repair(bench.ends[2] + 8, 1).error().code == ErrorCode::unavailable);
    // Nothing is kept that says what the chain was before the newest segment.
    for (const uint64_t index : {3, 4}) REQUIRE(bench.disk->remove(journal::segment_name(index)));
    const auto unknown = source->offer_repair(bench.ends[0], 1);
    REQUIRE_FALSE(unknown);
    CHECK(unknown.error().code == ErrorCode::unavailable);
    CHECK_THAT(unknown.error().message, Catch::Contains("chain"));
}

TEST_CASE("source journal: of a replica that is sent on only what is durable here is told and sent") {
    Bench bench;
    bench.volume.role = journal::VolumeRole::replica;
    bench.mount();
    bench.table->head().durable = bench.ends[0];
    const auto source = bench.open();
    CHECK(source->published() == bench.ends[0]);
    CHECK(source->greeting()->end.lsn == bench.ends[0]);
    CHECK(source->position(UINT64_MAX).value()->lsn == bench.ends[0]);
    CHECK(source->read(journal::segment_first_record(2, segment_bytes), 1 << 20)->records.end == bench.ends[0]);
    bench.table->head().durable = bench.ends[1];
    bench.table->wake_readers();
    CHECK(source->wait_published(bench.ends[0], 60'000) == bench.ends[1]);
    CHECK(source->read(bench.ends[0], 1 << 20)->records.end == bench.ends[1]);
}

TEST_CASE("source journal: a replica that is sent on and goes back says so at every call until it greets anew, and keeps all that it has meanwhile") {
    Bench bench;
    bench.volume.role = journal::VolumeRole::replica;
    bench.mount();
    bench.table->head().durable = bench.builder.end();
    const auto source = bench.open();
    REQUIRE(source->greeting());
    REQUIRE(source->save_cursor(2 * segment_bytes, source->history()));
    const uint32_t before = source->history();
    CHECK_FALSE(source->has_gone_back());

    for (const bool is_over : {false, true}) {
        CAPTURE(is_over);
        bench.table->head().cuts += 1;  // it begins, it ends
        CHECK(source->has_gone_back());
        CHECK(source->read(2 * segment_bytes, 1 << 20).error().code == ErrorCode::unavailable);
        CHECK(source->position(UINT64_MAX).error().code == ErrorCode::unavailable);
        CHECK(source->greeting().has_value() == is_over);
    }
    CHECK_FALSE(source->has_gone_back());
    CHECK(source->read(2 * segment_bytes, 1 << 20));

    REQUIRE(source->save_cursor(2 * segment_bytes, before));  // late, of what was acknowledged before
    CHECK(bench.cursors() == Cursors{{"replica-beta", 0}});
}

TEST_CASE("source journal: a replica that has nothing yet is not sent on, and keeps what will come") {
    Bench bench;
    bench.volume.role = journal::VolumeRole::replica;
    bench.mount();
    bench.table->head().published = 0;
    for (uint64_t index = 0; index < 3; ++index) REQUIRE(bench.disk->remove(journal::segment_name(index)));
    const auto source = bench.open();
    CHECK(bench.cursors() == Cursors{{"replica-beta", 0}});
    CHECK(source->greeting().error().code == ErrorCode::unavailable);
    CHECK(source->kept_percent().value() == 0);
}

#include "replicator/protocol/receiver.h"

#include <catch2/catch.hpp>

#include "test/replicator/find_action.h"

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

constexpr uint64_t segment_bytes = 2 << 20;

Hello greeting(Role role, Lsn end, Lsn window_begin = 0) {
    Hello hello;
    hello.role = role;
    hello.volume = {{7}};
    hello.segment_bytes = segment_bytes;
    hello.window_begin = window_begin;
    hello.end.lsn = end;
    return hello;
}

Received from_source(Message message, uint64_t term = 1) {
    return {term, 0, std::move(message)};
}

// A replica that ends at END and was greeted by a source.
Receiver greeted(Lsn end, Lsn window_begin = 0) {
    Receiver receiver(greeting(Role::replica, end, window_begin), 1, 0);
    receiver.start(0);
    REQUIRE(receiver.on_message(from_source(greeting(Role::source, 10'000)), 0).empty());
    return receiver;
}

Receiver streaming_from(Lsn end) {
    Receiver receiver = greeted(end);
    receiver.on_message(from_source(Verdict{Outcome::resume, end, ""}), 0);
    REQUIRE(receiver.is_streaming());
    return receiver;
}

Records records(Lsn first, Lsn end) {
    return {first, end, std::vector<std::byte>(64)};
}

// A moment in the source's second segment.
const RepairBegins point{segment_bytes + 5000, 77, {segment_bytes, {3}}};

Receiver promised_repair() {
    Receiver receiver = greeted(8000);
    REQUIRE(receiver.on_message(from_source(Verdict{Outcome::repair, point.at, ""}), 0).empty());
    return receiver;
}

Receiver repairing() {
    Receiver receiver = promised_repair();
    const Actions actions = receiver.on_message(from_source(point), 0);
    REQUIRE(find<BeginRepair>(actions));
    REQUIRE(find<BeginRepair>(actions)->point == point);
    REQUIRE(receiver.is_repairing());
    return receiver;
}

}  // namespace

TEST_CASE("receiver: a probe is answered with the position that the journal names") {
    Receiver receiver = greeted(8000);
    CHECK(find<AskPosition>(receiver.on_message(from_source(Probe{5000}), 0))->at == 5000);
    const Actions actions = receiver.on_position(5000, Position{4900, {}}, 0);
    const auto* answer = find_sent<PositionIs>(actions);
    REQUIRE(answer);
    CHECK(answer->is_known);
    CHECK(answer->asked == 5000);
    CHECK(answer->position.lsn == 4900);
}

TEST_CASE("receiver: an older source may begin an empty replica with its journal's first byte, when that tells everything") {
    Hello empty = greeting(Role::replica, 0);
    empty.is_empty = true;
    Receiver receiver(empty, 1, 0);
    receiver.start(0);
    Hello older = greeting(Role::source, 10'000);
    older.version_oldest = older.version = HF_WIRE_VERSION_OLDEST;
    CHECK(receiver.on_message(from_source(older), 0).empty());
    CHECK(receiver.on_message(from_source(Verdict{Outcome::resume, 0, ""}), 0).empty());
    CHECK(receiver.is_streaming());
    CHECK(find<StoreRecords>(receiver.on_message(from_source(records(0, 9000)), 0))->records.end == 9000);
}

TEST_CASE("receiver: records are stored, synced and acknowledged in three steps") {
    Receiver receiver = streaming_from(8000);
    CHECK(find<StoreRecords>(receiver.on_message(from_source(records(8000, 9000)), 0))->records.end == 9000);
    const Actions stored = receiver.on_stored(9000, 0);
    CHECK(find<SyncJournal>(stored));
    CHECK(*find_sent<Ack>(stored) == Ack{9000, 8000, 0});
    CHECK(*find_sent<Ack>(receiver.on_synced(9000, 0)) == Ack{9000, 9000, 0});
    CHECK(*find_sent<Ack>(receiver.on_applied(8500, 0)) == Ack{9000, 9000, 8500});
}

TEST_CASE("receiver: one sync serves everything that came while another ran") {
    Receiver receiver = streaming_from(8000);
    receiver.on_message(from_source(records(8000, 9000)), 0);
    receiver.on_message(from_source(records(9000, 9500)), 0);
    CHECK(find<SyncJournal>(receiver.on_stored(9000, 0)));
    CHECK(!find<SyncJournal>(receiver.on_stored(9500, 0)));
    CHECK(find<SyncJournal>(receiver.on_synced(9000, 0)));
    CHECK(!find<SyncJournal>(receiver.on_synced(9500, 0)));
}

TEST_CASE("receiver: a segment's first record follows its beginning, past the header") {
    Receiver receiver = streaming_from(segment_bytes);
    CHECK(find<BeginSegment>(receiver.on_message(from_source(SegmentBegins{std::vector<std::byte>(80)}), 0)));
    const Lsn first = segment_bytes + HF_SEGMENT_HEADER_BYTES;
    CHECK(find<StoreRecords>(receiver.on_message(from_source(records(first, first + 64)), 0)));
    CHECK(reason_of(receiver.on_message(from_source(SegmentBegins{std::vector<std::byte>(80)}), 0)) == Reason::protocol);
}

TEST_CASE("receiver: records that leave something out, or come again, end the session and store nothing") {
    for (const Lsn first : {Lsn{8064}, Lsn{7936}, Lsn{0}}) {
        Receiver receiver = streaming_from(8000);
        const Actions actions = receiver.on_message(from_source(records(first, first + 640)), 0);
        CHECK(!find<StoreRecords>(actions));
        CHECK(reason_of(actions) == Reason::protocol);
    }
}

TEST_CASE("receiver: sent back within its window it goes, and greets again") {
    Receiver receiver = greeted(8000, 4000);
    CHECK(find<RewindTo>(receiver.on_message(from_source(Verdict{Outcome::rewind, 4000, ""}), 0))->at == 4000);
    CHECK(find_sent<Hello>(receiver.on_rewound(greeting(Role::replica, 4000, 4000), 0))->end.lsn == 4000);
    receiver.on_message(from_source(Verdict{Outcome::resume, 4000, ""}), 0);
    CHECK(receiver.is_streaming());
}

TEST_CASE("receiver: a source cannot send it back beyond its window, forward, or without end") {
    for (const Lsn to : {Lsn{3992}, Lsn{8000}, Lsn{9000}}) {
        Receiver receiver = greeted(8000, 4000);
        const Actions actions = receiver.on_message(from_source(Verdict{Outcome::rewind, to, ""}), 0);
        CHECK(!find<RewindTo>(actions));
        CHECK(reason_of(actions) == Reason::protocol);
    }
    Receiver receiver = greeted(8000);
    Actions last;
    for (Lsn to = 7000; !receiver.is_over(); to -= 1000) {
        last = receiver.on_message(from_source(Verdict{Outcome::rewind, to, ""}), 0);
        if (!receiver.is_over()) receiver.on_rewound(greeting(Role::replica, to), 0);
    }
    CHECK(reason_of(last) == Reason::protocol);
}

TEST_CASE("receiver: a source cannot make it go on where it does not end") {
    Receiver receiver = greeted(8000);
    CHECK(reason_of(receiver.on_message(from_source(Verdict{Outcome::resume, 8064, ""}), 0)) == Reason::protocol);
}

TEST_CASE("receiver: a source may not ask without end") {
    Receiver receiver = greeted(8000);
    Actions last;
    int asked = 0;
    for (; !receiver.is_over() && asked < 10 * probes_max; ++asked) {
        last = receiver.on_message(from_source(Probe{8}), 0);
        if (!receiver.is_over()) receiver.on_position(8, std::nullopt, 0);
    }
    CHECK(reason_of(last) == Reason::protocol);
    CHECK(asked == probes_max + 1);
}

TEST_CASE("receiver: a higher term is stored before what came with it, a lower one is refused") {
    Receiver receiver = streaming_from(8000);
    const Actions higher = receiver.on_message(from_source(records(8000, 9000), 5), 0);
    REQUIRE(higher.size() == 2);
    CHECK(std::get<PersistTerm>(higher[0]).term == 5);
    CHECK(std::holds_alternative<StoreRecords>(higher[1]));
    const Actions lower = receiver.on_message(from_source(records(9000, 9500), 4), 0);
    CHECK(!find<StoreRecords>(lower));
    CHECK(find_sent<Goodbye>(lower)->reason == Reason::stale_term);
    CHECK(receiver.is_over());
}

TEST_CASE("receiver: nothing is taken in before the verdict, nor what only a replica says") {
    const Message wrong[] = {records(8000, 9000), SegmentBegins{std::vector<std::byte>(80)}, Ack{}, PositionIs{}, point, SyncBytes{}};
    for (const Message& message : wrong) {
        Receiver receiver = greeted(8000);
        CHECK(reason_of(receiver.on_message(from_source(message), 0)) == Reason::protocol);
    }
    Receiver receiver(greeting(Role::replica, 8000), 1, 0);
    CHECK(reason_of(receiver.on_message(from_source(Probe{1}), 0)) == Reason::protocol);
}

TEST_CASE("receiver: of two replicas neither sends anything to the other") {
    Receiver receiver(greeting(Role::replica, 8000), 1, 0);
    CHECK(reason_of(receiver.on_message(from_source(greeting(Role::replica, 10'000)), 0)) == Reason::refused);
}

TEST_CASE("receiver: a message that takes longer to arrive than the silence that is borne is no silence") {
    constexpr uint64_t second = 1'000'000'000;
    Receiver receiver = streaming_from(4096);
    for (uint64_t at = 0; at < 60 * second; at += 5 * second) {
        receiver.heard(at);  // a part of it
        CHECK_FALSE(find<Close>(receiver.on_tick(at + 4 * second)));
    }
    CHECK(find<Close>(receiver.on_tick(71 * second)));
}

TEST_CASE("receiver: during a repair questions go to the source and answers to the store, and then it greets with where its journal begins") {
    Receiver receiver = repairing();
    const std::vector<std::byte> question(5, std::byte{1}), answer(7, std::byte{2});
    CHECK(find_sent<SyncBytes>(receiver.on_store_question(question, 0))->bytes == question);
    CHECK(find<GiveStore>(receiver.on_message(from_source(SyncBytes{answer}), 0))->bytes == answer);
    CHECK(receiver.on_message(from_source(Heartbeat{20'000}), 0).empty());
    const Hello repaired = greeting(Role::replica, segment_bytes, point.at);
    CHECK(find_sent<Hello>(receiver.on_repaired(repaired, 0))->end.lsn == segment_bytes);
    CHECK(receiver.on_store_question(question, 0).empty());
    CHECK(find<AskPosition>(receiver.on_message(from_source(Probe{segment_bytes}), 0)));
    receiver.on_position(segment_bytes, point.begin, 0);
    receiver.on_message(from_source(Verdict{Outcome::resume, segment_bytes, ""}), 0);
    CHECK(receiver.is_streaming());
    // The image is ahead of the journal, and says so.
    CHECK(find_sent<Ack>(receiver.on_applied(point.at, 0))->applied == point.at);
}

TEST_CASE("receiver: a repair whose moment and beginning do not fit together, or are not those of the verdict, is refused") {
    RepairBegins wrong[] = {point, point, point, point, point};
    wrong[0].at += 8;                               // not the verdict's
    wrong[1].begin.lsn += HF_SEGMENT_HEADER_BYTES;  // no beginning of a segment
    wrong[2].begin.lsn = 0;                         // the segment before
    wrong[3].begin.lsn = 2 * segment_bytes;         // behind the moment
    wrong[4].begin.lsn = UINT64_MAX - segment_bytes + 1;
    for (const RepairBegins& bad : wrong) {
        CAPTURE(bad.at, bad.begin.lsn);
        Receiver receiver = promised_repair();
        const Actions actions = receiver.on_message(from_source(bad), 0);
        CHECK(!find<BeginRepair>(actions));
        CHECK(reason_of(actions) == Reason::protocol);
    }
}

TEST_CASE("receiver: what does not belong into a repair ends the session") {
    const Message before[] = {SyncBytes{}, Probe{1}, Verdict{Outcome::resume, 8000, ""}, records(8000, 9000), greeting(Role::source, 10'000)};
    for (const Message& message : before) {
        Receiver receiver = promised_repair();
        CHECK(reason_of(receiver.on_message(from_source(message), 0)) == Reason::protocol);
    }
    const Message during[] = {point, Probe{1}, Verdict{Outcome::resume, 8000, ""}, records(8000, 9000), SegmentBegins{std::vector<std::byte>(80)}, greeting(Role::source, 10'000)};
    for (const Message& message : during) {
        Receiver receiver = repairing();
        CHECK(reason_of(receiver.on_message(from_source(message), 0)) == Reason::protocol);
    }
    Receiver receiver = repairing();
    receiver.on_repaired(greeting(Role::replica, segment_bytes), 0);
    CHECK(reason_of(receiver.on_message(from_source(SyncBytes{}), 0)) == Reason::protocol);
}

TEST_CASE("receiver: a source cannot have it repaired without end") {
    Receiver receiver = greeted(8000);
    Actions last;
    int repairs = 0;
    for (; !receiver.is_over() && repairs < 10; ++repairs) {
        last = receiver.on_message(from_source(Verdict{Outcome::repair, point.at, ""}), 0);
        if (receiver.is_over()) break;
        receiver.on_message(from_source(point), 0);
        receiver.on_repaired(greeting(Role::replica, segment_bytes), 0);
    }
    CHECK(repairs == repairs_max);
    CHECK(reason_of(last) == Reason::protocol);
}

TEST_CASE("receiver: a store that cannot go on, and one that comes to its end too late, end nothing but the session") {
    Receiver receiver = repairing();
    CHECK(find_sent<Goodbye>(receiver.on_failure(Reason::storage, "the store cannot", 0))->sentence == "the store cannot");
    CHECK(receiver.on_store_question({}, 0).empty());
    CHECK(receiver.on_repaired(greeting(Role::replica, segment_bytes), 0).empty());
}

namespace {

Receiver comparing() {
    Receiver receiver = streaming_from(8000);
    REQUIRE(receiver.can_compare());
    const Actions actions = receiver.on_comparison(7000, 0);
    REQUIRE(find_sent<Compare>(actions));
    CHECK(find_sent<Compare>(actions)->at == 7000);
    CHECK_FALSE(receiver.can_compare());
    return receiver;
}

}  // namespace

TEST_CASE("receiver: a comparison's questions and answers go between the records, and it ends when both have said so") {
    Receiver receiver = comparing();
    CHECK(find_sent<SyncBytes>(receiver.on_store_question({std::byte{1}}, 0)));
    CHECK(find<StoreRecords>(receiver.on_message(from_source(records(8000, 8064)), 0)));
    CHECK(find<GiveStore>(receiver.on_message(from_source(SyncBytes{{std::byte{2}}}), 0)));
    const Actions ended = receiver.on_compared(Compared{.at = 7000, .objects = 3, .is_whole = true}, 0);
    REQUIRE(find_sent<Compared>(ended));
    CHECK(find_sent<Compared>(ended)->objects == 3);
    // What was on the way is dropped, and nothing new begins before the source has said that it is over.
    CHECK(receiver.on_store_question({std::byte{1}}, 0).empty());
    CHECK(receiver.on_message(from_source(SyncBytes{{std::byte{2}}}), 0).empty());
    CHECK_FALSE(receiver.can_compare());
    CHECK(receiver.on_message(from_source(Compared{}), 0).empty());
    CHECK(receiver.can_compare());
    CHECK(receiver.on_compared(Compared{}, 0).empty());
}

TEST_CASE("receiver: a source that cannot be compared with says so, and is told that it is over") {
    Receiver receiver = comparing();
    const Actions actions = receiver.on_message(from_source(Compared{.has_failed = true, .text = "no store"}), 0);
    REQUIRE(find<BreakComparison>(actions));
    CHECK(find<BreakComparison>(actions)->why == "no store");
    CHECK(find_sent<Compared>(actions));
    CHECK(receiver.can_compare());
}

TEST_CASE("receiver: a source asks for a comparison, and one of version 1 is not compared with") {
    Receiver receiver = streaming_from(8000);
    CHECK(find<WantComparison>(receiver.on_message(from_source(Compare{}), 0)));
    Receiver of_old(greeting(Role::replica, 8000), 1, 0);
    of_old.start(0);
    Hello old = greeting(Role::source, 10'000);
    old.version = 1;
    of_old.on_message(from_source(old), 0);
    of_old.on_message(from_source(Verdict{Outcome::resume, 8000, ""}), 0);
    REQUIRE(of_old.is_streaming());
    CHECK_FALSE(of_old.can_compare());
}

TEST_CASE("receiver: what belongs to no comparison breaks the protocol") {
    for (const Message& message : {Message(SyncBytes{}), Message(Compared{}), Message(Compare{5})}) {
        Receiver receiver = streaming_from(8000);
        CHECK(reason_of(receiver.on_message(from_source(message), 0)) == Reason::protocol);
    }
}

#include "replicator/protocol/sender.h"

#include <catch2/catch.hpp>

#include "test/replicator/find_action.h"

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

constexpr uint64_t second = 1'000'000'000;
constexpr uint64_t segment_bytes = 2 << 20;

Position at(Lsn lsn, uint8_t branch = 0) {
    Position position{lsn, {}};
    position.chain[0] = branch;
    return position;
}

Hello greeting(Role role, Position end) {
    Hello hello;
    hello.role = role;
    hello.volume = {{7}};
    hello.segment_bytes = segment_bytes;
    hello.end = end;
    return hello;
}

Received from_replica(Message message, uint64_t term = 1) {
    return {term, 0, std::move(message)};
}

// A source whose history ends at 10,000, greeted by a replica that ends at END; both answer the first question with END.
Sender streaming_from(Lsn end) {
    Sender sender(greeting(Role::source, at(10'000)), 1, 0);
    sender.start(0);
    const Actions placing = sender.on_message(from_replica(greeting(Role::replica, at(end))), 0);
    REQUIRE(find_sent<Probe>(placing)->at == end);
    sender.on_position(end, at(end), 0);
    const Actions verdict = sender.on_message(from_replica(PositionIs{end, true, at(end)}), 0);
    REQUIRE(find_sent<Verdict>(verdict)->outcome == Outcome::resume);
    return sender;
}

StreamPiece piece(Lsn first, Lsn end) {
    return {{}, Records{first, end, std::vector<std::byte>(64)}};
}

// A moment in the source's second segment.
const RepairBegins offer{segment_bytes + 5000, 77, at(segment_bytes, 3)};
const Hello source_of_now = greeting(Role::source, at(2 * segment_bytes));

Hello greeting_after_repair() {
    Hello hello = greeting(Role::replica, offer.begin);
    hello.oldest = offer.begin.lsn;
    return hello;
}

// A source that was greeted by a replica with which it shares nothing, and asked for a moment.
Sender offering() {
    Sender sender(greeting(Role::source, at(10'000)), 1, 0);
    sender.start(0);
    Hello replica = greeting(Role::replica, at(9000));
    replica.is_unsound = true;
    const Actions actions = sender.on_message(from_replica(replica), 0);
    REQUIRE(find<OfferRepair>(actions));
    REQUIRE(!find_sent<Verdict>(actions));
    REQUIRE(sender.is_repairing());
    return sender;
}

Sender repairing() {
    Sender sender = offering();
    REQUIRE(sender.on_repair_offered(offer, source_of_now, 0).size() == 2);
    return sender;
}

}  // namespace

TEST_CASE("sender: it greets, asks, decides and reads on from the replica's end") {
    Sender sender(greeting(Role::source, at(10'000)), 1, 0);
    CHECK(find_sent<Hello>(sender.start(0)));
    const Actions placing = sender.on_message(from_replica(greeting(Role::replica, at(8000))), 0);
    REQUIRE(find_sent<Probe>(placing));
    CHECK(find<AskPosition>(placing)->at == 8000);
    CHECK(sender.on_position(8000, at(8000), 0).empty());
    const Actions verdict = sender.on_message(from_replica(PositionIs{8000, true, at(8000)}), 0);
    CHECK(find_sent<Verdict>(verdict)->lsn == 8000);
    CHECK(find<SaveCursor>(verdict)->at == 8000);
    CHECK(find<ReadStream>(verdict)->from == 8000);
    CHECK(sender.decision()->name == "behind");
}

TEST_CASE("sender: a replica that went back greets again and is placed anew") {
    Sender sender(greeting(Role::source, at(10'000)), 1, 0);
    sender.start(0);
    sender.on_message(from_replica(greeting(Role::replica, at(12'000))), 0);
    sender.on_position(10'000, at(10'000), 0);
    const Actions verdict = sender.on_message(from_replica(PositionIs{10'000, true, at(10'000)}), 0);
    REQUIRE(find_sent<Verdict>(verdict)->outcome == Outcome::rewind);
    CHECK(find_sent<Verdict>(verdict)->lsn == 10'000);
    const Actions again = sender.on_message(from_replica(greeting(Role::replica, at(10'000))), 0);
    CHECK(find_sent<Probe>(again)->at == 10'000);
    sender.on_position(10'000, at(10'000), 0);
    CHECK(find_sent<Verdict>(sender.on_message(from_replica(PositionIs{10'000, true, at(10'000)}), 0))->outcome == Outcome::resume);
}

TEST_CASE("sender: a replica that never goes where it is sent is left") {
    Sender sender(greeting(Role::source, at(10'000)), 1, 0);
    sender.start(0);
    Actions last;
    for (int round = 0; round <= rewinds_max; ++round) {
        sender.on_message(from_replica(greeting(Role::replica, at(12'000))), 0);
        sender.on_position(10'000, at(10'000), 0);
        last = sender.on_message(from_replica(PositionIs{10'000, true, at(10'000)}), 0);
    }
    CHECK(reason_of(last) == Reason::protocol);
    CHECK(sender.is_over());
}

TEST_CASE("sender: no more is under way than the window holds, an acknowledgement opens it") {
    Sender sender = streaming_from(8000);
    sender.on_published(8000 + 2 * window_bytes_max, 0);
    Lsn sent = 8000;
    Actions next = sender.on_read(piece(sent, sent + window_bytes_max / 2), 0);
    sent += window_bytes_max / 2;
    REQUIRE(find<ReadStream>(next));
    next = sender.on_read(piece(sent, sent + window_bytes_max / 2), 0);
    sent += window_bytes_max / 2;
    CHECK(!find<ReadStream>(next));
    CHECK(find<ReadStream>(sender.on_message(from_replica(Ack{8000 + 4096, 8000, 0}), 0))->from == sent);
}

TEST_CASE("sender: only what is durable at the replica moves the cursor") {
    Sender sender = streaming_from(8000);
    sender.on_read(piece(8000, 9000), 0);
    CHECK(!find<SaveCursor>(sender.on_message(from_replica(Ack{9000, 8000, 0}), 0)));
    CHECK(find<SaveCursor>(sender.on_message(from_replica(Ack{9000, 9000, 0}), 0))->at == 9000);
}

TEST_CASE("sender: acknowledgements that cannot be true end the session") {
    const Ack lies[] = {{9001, 8000, 0}, {9000, 9001, 0}, {7999, 7999, 0}};
    for (const Ack& lie : lies) {
        Sender sender = streaming_from(8000);
        sender.on_read(piece(8000, 9000), 0);
        CHECK(reason_of(sender.on_message(from_replica(lie), 0)) == Reason::protocol);
    }
}

TEST_CASE("sender: a higher term makes it step down before anything else") {
    Sender sender = streaming_from(8000);
    const Actions actions = sender.on_message(from_replica(Ack{8000, 8000, 0}, 2), 0);
    REQUIRE(!actions.empty());
    CHECK(std::get<StepDown>(actions.front()).term == 2);
    CHECK(reason_of(actions) == Reason::stale_term);
    CHECK(sender.on_published(20'000, 0).empty());
}

TEST_CASE("sender: silence ends the session, a heartbeat keeps it") {
    Sender sender = streaming_from(10'000);
    CHECK(find_sent<Heartbeat>(sender.on_tick(2 * second)));
    sender.on_message(from_replica(Heartbeat{}), 9 * second);
    CHECK(!find<Close>(sender.on_tick(15 * second)));
    CHECK(reason_of(sender.on_tick(20 * second)) == Reason::silence);
}

TEST_CASE("sender: messages that only a source sends, or at the wrong time, end the session") {
    const Message wrong[] = {Probe{1}, Verdict{}, SegmentBegins{}, Records{}, PositionIs{}, greeting(Role::replica, at(1)), RepairBegins{}, SyncBytes{}};
    for (const Message& message : wrong) {
        Sender sender = streaming_from(8000);
        CHECK(reason_of(sender.on_message(from_replica(message), 0)) == Reason::protocol);
        CHECK(sender.is_over());
    }
    Sender sender(greeting(Role::source, at(10'000)), 1, 0);
    CHECK(reason_of(sender.on_message(from_replica(Ack{}), 0)) == Reason::protocol);
}

TEST_CASE("sender: two sources, or versions without one in common, part with a sentence") {
    Sender sender(greeting(Role::source, at(10'000)), 1, 0);
    CHECK(reason_of(sender.on_message(from_replica(greeting(Role::source, at(1))), 0)) == Reason::refused);
    Sender other(greeting(Role::source, at(10'000)), 1, 0);
    Hello newer = greeting(Role::replica, at(1));
    newer.version = newer.version_oldest = HF_WIRE_VERSION + 1;
    CHECK(reason_of(other.on_message(from_replica(newer), 0)) == Reason::version);
}

TEST_CASE("sender: the verdict of a repair waits for the moment, then both go out") {
    Sender sender = offering();
    const Actions actions = sender.on_repair_offered(offer, source_of_now, 0);
    REQUIRE(find_sent<Verdict>(actions));
    CHECK(find_sent<Verdict>(actions)->outcome == Outcome::repair);
    CHECK(find_sent<Verdict>(actions)->lsn == offer.at);
    REQUIRE(find_sent<RepairBegins>(actions));
    CHECK(*find_sent<RepairBegins>(actions) == offer);
    CHECK_FALSE(sender.is_over());
}

TEST_CASE("sender: during a repair questions go to the store and answers to the replica, and the journal is not read") {
    Sender sender = repairing();
    const std::vector<std::byte> question(5, std::byte{1}), answer(7, std::byte{2});
    CHECK(find<AskStore>(sender.on_message(from_replica(SyncBytes{question}), 0))->bytes == question);
    CHECK(find_sent<SyncBytes>(sender.on_store_answer(answer, 0))->bytes == answer);
    CHECK(sender.on_published(5 * segment_bytes, 0).empty());
    CHECK(find_sent<Heartbeat>(sender.on_tick(2 * second)));
    CHECK(reason_of(sender.on_tick(12 * second)) == Reason::silence);
}

TEST_CASE("sender: a repaired replica greets again and is placed where its journal begins, by the source's history of now") {
    Sender sender = repairing();
    const Actions again = sender.on_message(from_replica(greeting_after_repair()), 0);
    REQUIRE(find_sent<Probe>(again));
    CHECK(find_sent<Probe>(again)->at == segment_bytes);
    CHECK_FALSE(sender.is_repairing());
    // What the store still says is for nobody.
    CHECK(sender.on_store_answer({}, 0).empty());
    sender.on_position(segment_bytes, offer.begin, 0);
    const Actions verdict = sender.on_message(from_replica(PositionIs{segment_bytes, true, offer.begin}), 0);
    CHECK(find_sent<Verdict>(verdict)->outcome == Outcome::resume);
    CHECK(find<ReadStream>(verdict)->from == segment_bytes);
    CHECK(find<SaveCursor>(verdict)->at == segment_bytes);
}

TEST_CASE("sender: a replica that is never where it was brought to is left") {
    Sender sender = offering();
    Actions last;
    for (int round = 0; round < repairs_max; ++round) {
        sender.on_repair_offered(offer, source_of_now, 0);
        Hello unsound = greeting_after_repair();
        unsound.is_unsound = true;
        last = sender.on_message(from_replica(unsound), 0);
    }
    CHECK(!find<OfferRepair>(last));
    CHECK(reason_of(last) == Reason::protocol);
}

TEST_CASE("sender: what does not belong into a repair ends the session") {
    const Message wrong[] = {Ack{}, PositionIs{}, Probe{1}, Verdict{}, RepairBegins{}, Records{}, SegmentBegins{}};
    for (const Message& message : wrong) {
        Sender sender = repairing();
        CHECK(reason_of(sender.on_message(from_replica(message), 0)) == Reason::protocol);
    }
    // Before the replica knows of it.
    const Message early[] = {SyncBytes{}, greeting(Role::replica, at(9000))};
    for (const Message& message : early) {
        Sender sender = offering();
        CHECK(reason_of(sender.on_message(from_replica(message), 0)) == Reason::protocol);
    }
}

TEST_CASE("sender: a moment that comes when the session is over, or cannot be had, begins nothing") {
    Sender sender = offering();
    CHECK(find_sent<Goodbye>(sender.on_failure(Reason::storage, "no moment", 0)));
    CHECK(sender.on_repair_offered(offer, source_of_now, 0).empty());
    CHECK(sender.on_store_answer({}, 0).empty());
}

TEST_CASE("sender: a replica's store asks within the stream, and the comparison ends when both have said so") {
    Sender sender = streaming_from(8000);
    REQUIRE(sender.can_be_compared());
    CHECK(find_sent<Compare>(sender.ask_for_comparison(0)));
    const Actions begun = sender.on_message(from_replica(Compare{7000}), 0);
    REQUIRE(find<ServeComparison>(begun));
    CHECK(find<ServeComparison>(begun)->at == 7000);
    CHECK(find<AskStore>(sender.on_message(from_replica(SyncBytes{{std::byte{1}}}), 0)));
    CHECK(find_sent<SyncBytes>(sender.on_store_answer({std::byte{2}}, 0)));
    const Actions ended = sender.on_message(from_replica(Compared{.at = 7000, .differences = 2}), 0);
    CHECK(find<EndServing>(ended));
    CHECK(find_sent<Compared>(ended));
    REQUIRE(find<NoteCompared>(ended));
    CHECK(find<NoteCompared>(ended)->compared.differences == 2);
    CHECK(sender.on_store_answer({std::byte{2}}, 0).empty());
    CHECK(find<ServeComparison>(sender.on_message(from_replica(Compare{7500}), 0)));
}

TEST_CASE("sender: a store that cannot serve ends the comparison, and what was on the way is dropped") {
    Sender sender = streaming_from(8000);
    CHECK(sender.on_comparison_failure("nothing is under way", 0).empty());
    sender.on_message(from_replica(Compare{7000}), 0);
    const Actions failed = sender.on_comparison_failure("no store", 0);
    REQUIRE(find_sent<Compared>(failed));
    CHECK(find_sent<Compared>(failed)->text == "no store");
    CHECK(sender.on_message(from_replica(SyncBytes{{std::byte{1}}}), 0).empty());
    const Actions over = sender.on_message(from_replica(Compared{.has_failed = true}), 0);
    CHECK(find<NoteCompared>(over));
    CHECK_FALSE(find_sent<Compared>(over));
    CHECK(find<ServeComparison>(sender.on_message(from_replica(Compare{7500}), 0)));
}

TEST_CASE("sender: what belongs to no comparison breaks the protocol, and a replica of version 1 is not asked for one") {
    for (const Message& message : {Message(SyncBytes{}), Message(Compared{})}) {
        Sender sender = streaming_from(8000);
        CHECK(reason_of(sender.on_message(from_replica(message), 0)) == Reason::protocol);
    }
    Sender twice = streaming_from(8000);
    twice.on_message(from_replica(Compare{7000}), 0);
    CHECK(reason_of(twice.on_message(from_replica(Compare{7000}), 0)) == Reason::protocol);
    Sender sender(greeting(Role::source, at(10'000)), 1, 0);
    sender.start(0);
    Hello old = greeting(Role::replica, at(8000));
    old.version = 1;
    sender.on_message(from_replica(old), 0);
    sender.on_position(8000, at(8000), 0);
    sender.on_message(from_replica(PositionIs{8000, true, at(8000)}), 0);
    REQUIRE(sender.is_streaming());
    CHECK_FALSE(sender.can_be_compared());
    CHECK(sender.ask_for_comparison(0).empty());
}

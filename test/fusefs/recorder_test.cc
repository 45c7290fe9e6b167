// When recording pauses, and what a successor makes of a pause that it finds.
#include "fusefs/filter/recorder.h"

#include <catch2/catch.hpp>
#include <chrono>

#include "test/support/journal_bench.h"

namespace holdfast::test {
namespace {

using fusefs::Recorder;

constexpr uint64_t second = 1'000'000'000;
constexpr uint32_t recording = 0, paused = 1, ending = 2, beginning = 3;  // in_gap of the in-flight table
constexpr size_t large = 512 << 10;

struct Bench : JournalBench {
    explicit Bench(journal::FullPolicy policy = journal::FullPolicy::degrade) : JournalBench(small()) {
        REQUIRE(open());
        wiring.writer = &writer();
        wiring.table = &table();
        wiring.clock = &clock();
        wiring.full_policy = policy;
        wiring.degrade_patience_ms = 30'000;
    }
    static journal::WriterOptions small() {
        journal::WriterOptions options = bench_options();
        options.journal_bytes_max = 6 * options.segment_bytes;
        options.sync_interval_ms = 10;  // how often a shortage is looked at
        return options;
    }
    journal::SharedHead& head() { return table().head(); }
    journal::GapReport told() { return head().gap.report(); }
    std::string gaps() {
        std::string types;
        journal::Reader all = reader();
        while (auto record = all.next().value())
            if (record->type == HF_GAP_BEGIN || record->type == HF_GAP_END) types += record->type == HF_GAP_BEGIN ? "( " : ") ";
        return types;
    }
    // Until there is no room.
    void fill(Recorder& recorder) {
        while (recorder.is_recording() && recorder.append(NumberedWrite(number, large).record())) ++number;
    }
    fusefs::Wiring wiring;
    uint64_t number = 0;
};

}  // namespace

TEST_CASE("recorder: a successor of a process that died before its gap had begun begins one, which what is touched can end") {
    Bench bench;
    bench.head().in_gap = beginning;
    bench.wiring.resumed = true;
    Recorder recorder(bench.wiring);
    CHECK(recorder.in_gap());
    CHECK_FALSE(recorder.dirty().is_everything());
    CHECK(bench.head().in_gap == paused);
    CHECK(bench.gaps() == "( ");
    CHECK(bench.told().is_open());
    CHECK_FALSE(bench.told().needs_mount);
    REQUIRE(recorder.end_gap({}));
    CHECK(bench.gaps() == "( ) ");
    CHECK(recorder.is_recording());
    CHECK_FALSE(bench.told().is_open());
}

TEST_CASE("recorder: a successor in a gap says so in the journal again, and only a mount ends it") {
    for (const uint32_t left : {paused, ending}) {
        Bench bench;
        bench.head().in_gap = left;
        bench.head().gap.begins(HF_GAP_JOURNAL_FAILED, 77, true);
        bench.wiring.resumed = true;
        Recorder recorder(bench.wiring);
        CHECK(recorder.in_gap());
        CHECK(recorder.dirty().is_everything());
        CHECK(bench.gaps() == "( ");
        CHECK(recorder.gap_since_ns() == 77);
        CHECK(bench.told().changes == 1);
        CHECK(bench.told().needs_mount);
    }
}

TEST_CASE("recorder: a process that died just after a gap leaves none, and neither does a mount") {
    for (const bool is_resumed : {true, false}) {
        Bench bench;
        bench.head().in_gap = is_resumed ? recording : paused;
        bench.head().gap.begins(HF_GAP_JOURNAL_FULL, 77, false);
        bench.wiring.resumed = is_resumed;
        Recorder recorder(bench.wiring);
        CHECK(recorder.is_recording());
        CHECK(bench.head().in_gap == recording);
        CHECK(bench.gaps().empty());
        CHECK(bench.told().changes == 2);
        CHECK(bench.told().until_ns == bench.clock().realtime_ns());
        CHECK(bench.told().needs_mount == !is_resumed);
    }
}

TEST_CASE("recorder: what is not recorded is announced all the same, so that it is not carried out twice") {
    Bench bench;
    bench.head().in_gap = paused;
    bench.wiring.resumed = true;
    Recorder recorder(bench.wiring);
    REQUIRE(recorder.in_gap());
    journal::Slot& slot = bench.table().slots()[0];
    const auto state = [&] { return static_cast<journal::SlotState>(slot.state.load()); };
    const journal::Record intended = NumberedWrite(1, 100).record();
    for (const bool happens : {true, false}) {
        fusefs::Operation operation(recorder, &slot, 77);
        fusefs::IntentFacts facts;
        facts.node = 12;
        journal::Record announced = intended;
        announced.body = journal::Write{4096, {}};
        REQUIRE(operation.begin(announced, journal::encoded_length(intended.body), facts));
        CHECK(state() == journal::SlotState::unrecorded);
        CHECK(slot.request == 77);
        const auto intent = fusefs::load_intent(slot);
        REQUIRE(intent);
        CHECK(intent->record.type == HF_WRITE);
        CHECK(intent->facts.node == 12);
        if (happens) operation.commit(intended);
        else operation.abandon();
        CHECK(state() == (happens ? journal::SlotState::recorded : journal::SlotState::idle));
    }
    CHECK(bench.gaps() == "( ");
}

TEST_CASE("recorder: under degrade the patience begins anew with every shortage") {
    Bench bench;
    Recorder recorder(bench.wiring);
    bench.fill(recorder);
    CHECK_FALSE(recorder.wait_for_space(HF_RECORD_BYTES_MAX, 0));
    bench.clock().advance(29 * second);
    CHECK_FALSE(recorder.wait_for_space(HF_RECORD_BYTES_MAX, 0));
    CHECK(recorder.is_recording());
    // There is room again, and whoever waited was killed meanwhile: nobody asks.
    REQUIRE(bench.writer().sync(bench.writer().published()));
    REQUIRE(bench.writer().release_below(bench.writer().published()));
    REQUIRE(bench.writer().wait_for_space(HF_RECORD_BYTES_MAX, 10'000));
    bench.fill(recorder);
    bench.clock().advance(100 * second);
    CHECK_FALSE(recorder.wait_for_space(HF_RECORD_BYTES_MAX, 0));
    CHECK(recorder.is_recording());
    bench.clock().advance(30 * second);
    CHECK(recorder.wait_for_space(HF_RECORD_BYTES_MAX, 0));
    CHECK(recorder.in_gap());
    CHECK(bench.told().since_ns == bench.clock().realtime_ns());
}

TEST_CASE("recorder: what has happened already waits no longer than what has not") {
    Bench bench;
    bench.wiring.degrade_patience_ms = 0;
    Recorder recorder(bench.wiring);
    bench.fill(recorder);
    const auto began = std::chrono::steady_clock::now();
    recorder.append_or_gap(NumberedWrite(1000, large).record());
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(30));
    CHECK(recorder.in_gap());
    CHECK(recorder.dirty().objects() == 1);
}

TEST_CASE("recorder: how much was compared to end a gap is told") {
    Bench bench(journal::FullPolicy::stop_protection);
    Recorder recorder(bench.wiring);
    bench.fill(recorder);
    REQUIRE(recorder.in_gap());
    recorder.count_repaired({{{1, 1, 1}, "", {}, {"a", "b"}}, {{2, 1, 1}, "", {}, {}}});
    REQUIRE(bench.writer().sync(bench.writer().published()));
    REQUIRE(bench.writer().release_below(bench.writer().published()));
    REQUIRE(bench.writer().wait_for_space(HF_RECORD_BYTES_MAX, 10'000));
    REQUIRE(recorder.end_gap({{{3, 1, 1}, "", {}, {"c"}}}));
    CHECK(bench.told().changes == 2);
    CHECK(bench.told().objects == 3);
    CHECK(bench.told().names == 3);
}

}  // namespace holdfast::test

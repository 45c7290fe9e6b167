#include <catch2/catch.hpp>

#include "test/rewind/index_bench.h"

namespace holdfast::rewind {
namespace {

using namespace holdfast::test;

TEST_CASE("index: times and LSNs translate exactly, also when the clock jumps") {
    const uint64_t seed = seed_of_run();
    INFO("seed " << seed);
    std::mt19937_64 random(seed);
    const bool jumps = GENERATE(false, true);
    Bench bench;
    UndoSamples samples;
    struct Moment { Lsn lsn, end; uint64_t time; UndoAddress address; };
    std::vector<Moment> moments;
    CHECK_FALSE(value_of(bench.index->lsn_at_time(UINT64_MAX)));
    for (int i = 0; i < 500; ++i) {
        UndoRecord record = samples.write({9, 1, 1}, 0, std::string(random() % 20'000, 'x'));
        if (jumps) record.time_ns = sample_start_ns + random() % 1000 + (i < 250 ? 0 : static_cast<uint64_t>(i) % 50 * 100);
        require(bench.log->append(record));
        require(bench.index->insert({record}, {}));
        moments.push_back({record.lsn, record.end_lsn, record.time_ns, record.address});
    }
    const auto check = [&](size_t first) {
        for (uint64_t step = 0; step < 600; ++step) {
            const uint64_t time = jumps ? sample_start_ns + step * 10 : sample_start_ns + step * 900;
            std::optional<Lsn> expected;
            for (size_t i = first; i < moments.size(); ++i)
                if (moments[i].time <= time) expected = moments[i].end;
            if (value_of(bench.index->lsn_at_time(time)) != expected) FAIL("time " << time);
        }
        for (size_t i = first; i < moments.size(); i += 3) {
            CHECK(value_of(bench.index->time_at_lsn(moments[i].end)) == moments[i].time);
            if (i > first) CHECK(value_of(bench.index->time_at_lsn(moments[i].end - 1)) == moments[i - 1].time);
            const UndoAddress start = value_of(bench.index->undo_address_at(moments[i].lsn));
            CHECK(start <= moments[i].address);
            CHECK(moments[i].address - start <= (2 << 20));
        }
    };
    check(0);
    CHECK_FALSE(value_of(bench.index->time_at_lsn(moments[0].lsn)));
    require(bench.index->flush());
    bench.crash();
    bench.catch_up();
    check(0);

    require(bench.index->prune_below(moments[300].lsn));
    const UndoAddress begin = value_of(bench.log->drop_below(moments[300].address));
    size_t first = 0;
    while (moments[first].address < begin) ++first;
    check(first);
    require(bench.index->prune_below(moments[301].lsn));
    require(bench.index->compact());
    check(first);
}

}  // namespace
}  // namespace holdfast::rewind

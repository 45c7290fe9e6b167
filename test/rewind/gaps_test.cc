#include "rewind/gaps.h"

#include <catch2/catch.hpp>

namespace holdfast::rewind {

TEST_CASE("gaps: moments up to the begin and from the end on are offered") {
    Gaps gaps;
    gaps.begin(HF_GAP_JOURNAL_FULL, 100);
    gaps.end(HF_GAP_JOURNAL_FULL, 200);
    CHECK(gaps.check(100).has_value());
    CHECK(gaps.check(101).error().code == ErrorCode::gap);
    CHECK(gaps.check(199).error().code == ErrorCode::gap);
    CHECK(gaps.check(200).has_value());
}

TEST_CASE("gaps: a bypass goes on behind the end of a gap inside it") {
    Gaps gaps;
    gaps.begin(HF_GAP_BYPASS, 100);
    gaps.begin(HF_GAP_JOURNAL_FULL, 200);
    gaps.end(HF_GAP_JOURNAL_FULL, 300);
    CHECK(!gaps.check(350));
    gaps.end(HF_GAP_BYPASS, 400);
    CHECK(gaps.check(400).has_value());
    CHECK(!gaps.check(350));
}

TEST_CASE("gaps: a comparison while nothing was mounted ends every gap") {
    Gaps gaps;
    gaps.begin(HF_GAP_BYPASS, 100);
    gaps.begin(HF_GAP_JOURNAL_FAILED, 150);
    gaps.begin(HF_GAP_HOST_CRASH, 200);
    gaps.end(HF_GAP_HOST_CRASH, 300);
    CHECK(gaps.check(300).has_value());
}

TEST_CASE("gaps: one that was open when the window began is not offered up to its end") {
    Gaps gaps;
    gaps.begin(HF_GAP_NOT_MOUNTED, 100);
    const uint32_t open = gaps.open_at(150);
    CHECK(open == 1u << HF_GAP_NOT_MOUNTED);
    gaps.start(open);
    CHECK(!gaps.check(150));
    gaps.end(HF_GAP_NOT_MOUNTED, 200);
    CHECK(gaps.check(200).has_value());
    CHECK(!gaps.check(150));
    gaps.prune_below(200);
    CHECK(gaps.open_at(150) == 0);
}

}  // namespace holdfast::rewind

#include "journal/left_out.h"

#include <catch2/catch.hpp>

using namespace holdfast;
using namespace holdfast::journal;

namespace {

using Paths = std::vector<std::string>;

std::string sentence_of(Paths paths) {
    const auto left_out = LeftOut::of(std::move(paths));
    if (left_out) return "";
    CHECK(left_out.error().code == ErrorCode::invalid_argument);
    return left_out.error().message;
}

bool refuses(Paths paths, const std::string& because) {
    const std::string sentence = sentence_of(std::move(paths));
    UNSCOPED_INFO("says: " << sentence);
    return sentence.find(because) != std::string::npos;
}

}  // namespace

TEST_CASE("left out: paths are kept in one order, slashes at their ends do not count") {
    const LeftOut left_out = LeftOut::of({"var/tmp/", "cache//", "a b\n"}).value();
    CHECK(left_out.paths() == Paths{"a b\n", "cache", "var/tmp"});
    CHECK(left_out == LeftOut::of({"cache", "a b\n", "var/tmp"}).value());
    CHECK(left_out_text(left_out) == "a b\\x0a, cache, var/tmp");
    CHECK(LeftOut::of({}).value().empty());
    CHECK(LeftOut{} == LeftOut::of({}).value());
}

TEST_CASE("left out: what is no directory beneath the top is refused with a sentence") {
    CHECK(refuses({""}, "the protected directory itself"));
    CHECK(refuses({"/"}, "path from the top"));
    CHECK(refuses({"/srv/data/cache"}, "path from the top"));
    for (const std::string path : {".", "..", "./cache", "../cache", "a/../b", "a/..", "a/.", "a/./b", "a//b"}) {
        INFO(path);
        CHECK(refuses({path}, "no part of the path may be"));
    }
    CHECK(refuses({std::string("a\0b", 3)}, "zero byte"));
    // These only look like it.
    CHECK(sentence_of({"...", "..a", ".cache", "a..b"}).empty());
}

TEST_CASE("left out: one twice, or one in another, is refused; names that begin alike are two") {
    CHECK(refuses({"cache", "cache/"}, "named twice"));
    CHECK(refuses({"cache/deep/er", "cache"}, "lies in \"cache\""));
    CHECK(refuses({"cache", "cache/deep"}, "lies in \"cache\""));
    CHECK(sentence_of({"cache", "cache2", "cache-3/x", "cach"}).empty());
}

TEST_CASE("left out: there is a limit to their number and length") {
    Paths many;
    for (size_t i = 0; i < left_out_max; ++i) many.push_back("d" + std::to_string(i));
    CHECK(sentence_of(many).empty());
    many.emplace_back("one-more");
    CHECK(refuses(many, "at most 64"));
    CHECK(refuses({std::string(left_out_bytes_max + 1, 'x')}, "bytes together"));
}

TEST_CASE("left out: a path is one of them, lies beneath one, or leads to one") {
    const LeftOut left_out = LeftOut::of({"cache", "var/tmp"}).value();
    struct Row {
        const char* path;
        bool is, holds, leads_to;
    };
    for (const Row& row : {Row{"", false, false, true}, Row{"cache", true, false, false}, Row{"cache/x", false, true, false}, Row{"cache/x/y", false, true, false},
                           Row{"cache2", false, false, false}, Row{"var", false, false, true}, Row{"var/tmp", true, false, false}, Row{"var/tmp/x", false, true, false},
                           Row{"var/tmpx", false, false, false}, Row{"va", false, false, false}, Row{"var/log", false, false, false}, Row{"x/cache", false, false, false}}) {
        INFO(row.path);
        CHECK(left_out.is(row.path) == row.is);
        CHECK(left_out.holds(row.path) == row.holds);
        CHECK(left_out.leads_to(row.path) == row.leads_to);
    }
    CHECK_FALSE(LeftOut{}.leads_to(""));
    CHECK_FALSE(LeftOut{}.holds("cache"));
}

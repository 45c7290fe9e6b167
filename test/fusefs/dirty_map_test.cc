#include "fusefs/filter/dirty_map.h"

#include <catch2/catch.hpp>

#include <map>
#include <random>

namespace holdfast::test {
namespace {

using fusefs::dirty_grain_bytes;
using fusefs::dirty_notes_max;
using fusefs::dirty_ranges_max;
using fusefs::DirtyMap;
using fusefs::DirtyRanges;
using journal::ObjectId;
using journal::Record;
using journal::TouchedObject;
using journal::TouchedRange;

constexpr ObjectId file{100, 1, 1}, other{101, 1, 1}, directory{10, 1, 1}, second{11, 1, 1};

Record record(hf_record_type type, const ObjectId& object, journal::Body body) {
    Record made;
    made.type = type;
    made.object = object;
    made.body = std::move(body);
    return made;
}

std::map<ObjectId, TouchedObject> taken(DirtyMap& map) {
    std::map<ObjectId, TouchedObject> objects;
    for (TouchedObject& object : map.take()) objects[object.id] = std::move(object);
    return objects;
}

bool covers(const std::vector<TouchedRange>& ranges, uint64_t offset) {
    for (const TouchedRange& range : ranges)
        if (range.offset <= offset && offset - range.offset < range.length) return true;
    return false;
}

}  // namespace

TEST_CASE("dirty ranges: whatever is added, every byte of it is in them, in order and bounded") {
    std::mt19937_64 dice(GENERATE(1, 2, 3, 4, 5));
    DirtyRanges ranges;
    std::vector<TouchedRange> added;
    for (int i = 0; i < 3000; ++i) {
        TouchedRange one{dice() % (1ULL << (10 + dice() % 30)), 1 + dice() % (1ULL << (1 + dice() % 20))};
        if (dice() % 500 == 0) one = {INT64_MAX - dice() % 1000, UINT64_MAX};
        ranges.add(one.offset, one.length);
        added.push_back(one);
        REQUIRE(ranges.list().size() <= dirty_ranges_max);
    }
    for (const TouchedRange& one : added) {
        CHECK(covers(ranges.list(), one.offset));
        if (one.length != UINT64_MAX) CHECK(covers(ranges.list(), one.offset + one.length - 1));
    }
    uint64_t end = 0;
    for (const TouchedRange& range : ranges.list()) {
        CHECK(range.offset >= end);
        CHECK(range.length > 0);
        end = range.offset + range.length;
        CHECK(end > range.offset);
    }
}

TEST_CASE("dirty ranges: a byte costs its grain and not the file") {
    DirtyRanges ranges;
    ranges.add(5 * dirty_grain_bytes + 17, 1);
    ranges.add(9 * dirty_grain_bytes, 0);
    CHECK(ranges.list() == std::vector<TouchedRange>{{5 * dirty_grain_bytes, dirty_grain_bytes}});
    ranges.add(6 * dirty_grain_bytes, 1);
    CHECK(ranges.list() == std::vector<TouchedRange>{{5 * dirty_grain_bytes, 2 * dirty_grain_bytes}});
}

TEST_CASE("dirty map: a write that has no data in its record yet touches what it is about to write") {
    DirtyMap map;
    map.note(record(HF_WRITE, file, journal::Write{3 * dirty_grain_bytes, {}}), 2 * dirty_grain_bytes);
    const auto objects = taken(map);
    REQUIRE(objects.size() == 1);
    CHECK(objects.at(file).ranges == std::vector<TouchedRange>{{3 * dirty_grain_bytes, 2 * dirty_grain_bytes}});
    CHECK(map.objects() == 0);
    CHECK(map.take().empty());
}

TEST_CASE("dirty map: what is cut off or moved is touched to the end, wherever that is") {
    for (const auto& change : {record(HF_TRUNCATE, file, journal::Truncate{70'000}), record(HF_FALLOCATE, file, journal::Fallocate{65'536, 4096, HF_FALLOC_COLLAPSE_RANGE}),
                               record(HF_FALLOCATE, file, journal::Fallocate{65'536, 4096, HF_FALLOC_INSERT_RANGE})}) {
        DirtyMap map;
        map.note(change);
        const auto objects = taken(map);
        CHECK(covers(objects.at(file).ranges, 70'000));
        CHECK(covers(objects.at(file).ranges, INT64_MAX));
        CHECK_FALSE(covers(objects.at(file).ranges, 65'535));
    }
}

TEST_CASE("dirty map: names are touched in their directories, and who had or gets them") {
    DirtyMap map;
    map.note(record(HF_RENAME, file, journal::Rename{directory, "old", second, "new", other}));
    map.note(record(HF_CREATE, {1, 0, 1}, journal::Birth{directory, "born", {}, 0, {}, {}}));
    map.note(record(HF_CREATE, {1, 0, 1}, journal::Birth{directory, "", {}, 0, {}, {}}));
    map.note(record(HF_UNLINK, file, journal::Unlink{second, "gone", true}));
    map.note(record(HF_LINK, file, journal::Link{second, "new"}));
    const auto objects = taken(map);
    REQUIRE(objects.size() == 4);
    CHECK(objects.at(directory).names == std::vector<std::string>{"born", "old"});
    CHECK(objects.at(second).names == std::vector<std::string>{"gone", "new"});
    CHECK(objects.at(file).names.empty());
    CHECK(objects.at(file).ranges.empty());
    CHECK(objects.count(other) == 1);
}

TEST_CASE("dirty map: what is given back is there again, with what came since") {
    DirtyMap map;
    map.note(record(HF_WRITE, file, journal::Write{0, {}}), 10);
    map.note(record(HF_CREATE, {1, 0, 1}, journal::Birth{directory, "a", {}, 0, {}, {}}));
    const auto first = map.take();
    map.note(record(HF_WRITE, file, journal::Write{4 * dirty_grain_bytes, {}}), 10);
    map.note(record(HF_CREATE, {1, 0, 1}, journal::Birth{directory, "b", {}, 0, {}, {}}));
    map.give_back(first);
    const auto objects = taken(map);
    CHECK(covers(objects.at(file).ranges, 0));
    CHECK(covers(objects.at(file).ranges, 4 * dirty_grain_bytes));
    CHECK(objects.at(directory).names == std::vector<std::string>{"a", "b"});
}

TEST_CASE("dirty map: at its limit it is everything, and stays so until a gap begins anew") {
    DirtyMap map(dirty_notes_max, 10'000);
    for (uint64_t i = 0; i < 1000; ++i) map.note(record(HF_SETATTR, {1000 + i, 1, 1}, journal::SetAttr{}));
    CHECK(map.is_everything());
    CHECK(map.objects() == 0);
    map.note(record(HF_SETATTR, file, journal::SetAttr{}));
    map.give_back({{file, {}, {}, {}}});
    CHECK(map.is_everything());
    CHECK(map.objects() == 0);
    map.clear();
    map.note(record(HF_SETATTR, file, journal::SetAttr{}));
    CHECK(taken(map).count(file) == 1);
    map.lose();
    CHECK(map.is_everything());

    DirtyMap names(100);
    for (int i = 0; i < 100; ++i) {
        CHECK_FALSE(names.is_everything());
        const std::string name = std::to_string(i);
        names.note(record(HF_CREATE, {1, 0, 1}, journal::Birth{directory, name, {}, 0, {}, {}}));
        names.note(record(HF_CREATE, {1, 0, 1}, journal::Birth{directory, name, {}, 0, {}, {}}));
    }
    CHECK(names.is_everything());
    CHECK(names.take().empty());
}

}  // namespace holdfast::test

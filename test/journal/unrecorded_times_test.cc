#include "journal/unrecorded_times.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <algorithm>

#include "journal/segment.h"
#include "test/support/journal_builder.h"
#include "test/support/memory_disk.h"

namespace holdfast::journal {
namespace {

constexpr ObjectId top{2, 1, 1}, other{3, 1, 1}, file{4, 1, 1};
constexpr uint64_t segment_bytes = test::JournalBuilder::segment_bytes;

struct Bench {
    test::MemoryDisk disk;
    test::JournalBuilder builder{disk};

    void add(hf_record_type type, ObjectId object, Body body) {
        Record record;
        record.type = type;
        record.object = object;
        record.body = std::move(body);
        builder.add(record);
    }
    void set(ObjectId object, uint32_t valid) { add(HF_SETATTR, object, SetAttr{{valid, 0, 0, 0, 1, 2, 3}}); }
    void write(ObjectId object) { add(HF_WRITE, object, Write{0, {}}); }
    std::vector<ObjectId> found(uint64_t since_ns = 0, Lsn until = lsn_max) {
        auto objects = objects_without_times(disk, builder.volume, segment_bytes, nullptr, since_ns, std::min(until, builder.end())).value();
        std::sort(objects.begin(), objects.end());
        return objects;
    }
};
using Objects = std::vector<ObjectId>;

TEST_CASE("unrecorded times: of every change to bytes or names, until a time is recorded") {
    Birth nameless{};
    nameless.attributes.valid = HF_ATTR_ALL;
    nameless.attributes.mode = S_IFREG | 0644;
    Birth born = nameless;
    born.parent = top;
    born.name = "n";
    const struct { hf_record_type type; Body body; Objects changed; } table[] = {
        {HF_WRITE, Write{0, {}}, {file}},
        {HF_TRUNCATE, Truncate{7}, {file}},
        {HF_FALLOCATE, Fallocate{0, 4096, 0}, {file}},
        {HF_CREATE, born, {top}},
        {HF_CREATE, nameless, {}},
        {HF_LINK, Link{top, "l"}, {top}},
        {HF_UNLINK, Unlink{top, "l", true}, {top}},
        {HF_RMDIR, Unlink{top, "l", true}, {top}},
        {HF_RENAME, Rename{top, "a", other, "b", {}}, {top, other}},
        {HF_SETXATTR, SetXattr{{"user.a", "b"}}, {}},
        {HF_BOOKMARK, Bookmark{"b"}, {}},
    };
    for (const auto& [type, body, changed] : table) {
        CAPTURE(to_string(type));
        Bench bench;
        bench.add(type, type == HF_BOOKMARK ? ObjectId{} : file, body);
        CHECK(bench.found() == changed);
        for (const ObjectId& object : changed) bench.set(object, HF_ATTR_MODE | HF_ATTR_ATIME);
        CHECK(bench.found() == changed);
        const Lsn before = bench.builder.end();
        for (const ObjectId& object : changed) bench.set(object, HF_ATTR_MTIME);
        CHECK(bench.found().empty());
        CHECK(bench.found(0, before) == changed);
        bench.add(type, type == HF_BOOKMARK ? ObjectId{} : file, body);
        CHECK(bench.found() == changed);
    }
}

TEST_CASE("unrecorded times: looked for in the segments of the time that is asked for, and in eight at most") {
    Bench bench;
    std::vector<uint64_t> times;
    for (uint64_t number = 0; number < 10; ++number) {
        times.push_back(bench.builder.time_ns);
        bench.write({10 + number, 1, 1});
        bench.write(file);
        bench.builder.seal();
    }
    const auto since = [&](uint64_t ns) { return bench.found(ns).size() - 1; };
    CHECK(bench.found(times[9] + 1) == Objects{file, {19, 1, 1}});
    CHECK(since(times[9]) == 2);
    CHECK(since(times[7] + 1) == 3);
    // The newest segment has no record yet.
    CHECK(since(0) == 7);
    for (uint64_t index = 0; index < 8; ++index) REQUIRE(bench.disk.remove(segment_name(index)));
    CHECK(since(0) == 2);
}

TEST_CASE("unrecorded times: damage is told") {
    Bench bench;
    bench.write(file);
    bench.builder.seal();
    test::overwrite(bench.disk, segment_name(0), HF_SEGMENT_HEADER_BYTES, 64, 'x');
    CHECK_FALSE(objects_without_times(bench.disk, bench.builder.volume, segment_bytes, nullptr, 0, bench.builder.end()));
}

}  // namespace
}  // namespace holdfast::journal

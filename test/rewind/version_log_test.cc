// The versions of a path.
#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "rewind/restore/version_log.h"
#include "rewind/view.h"
#include "test/rewind/store_bench.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;

void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

// "created a", "written a", ...
std::vector<std::string> told(StoreBench& bench, const std::string& path, const rewind::LogOptions& options) {
    auto versions = rewind::version_log(bench.store(), path, options);
    if (!versions) FAIL(versions.error().message);
    std::vector<std::string> lines;
    for (const auto& version : *versions) lines.push_back(version.event + " " + version.path);
    return lines;
}

bool holds(const std::vector<std::string>& lines, const std::string& line) {
    return std::find(lines.begin(), lines.end(), line) != lines.end();
}

rewind::LogOptions each() {
    rewind::LogOptions options;
    options.burst_ns = 0;
    return options;
}

}  // namespace

TEST_CASE("log: births, writes, renames and the removal of a file, under the names that it had") {
    StoreBench bench;
    fs::create_directories(bench.live("d"));
    write_file(bench.live("d/a"), "one");
    bench.record();
    fs::rename(bench.live("d/a"), bench.live("b"));
    bench.record();
    write_file(bench.live("b"), "second");
    bench.record();
    REQUIRE(chmod(bench.live("b").c_str(), 0600) == 0);
    bench.record();
    fs::remove(bench.live("b"));
    bench.record();
    for (const std::string path : {"d/a", "b"}) {
        const auto lines = told(bench, path, {});
        INFO(path);
        CHECK(holds(lines, "created d/a"));
        CHECK(holds(lines, "renamed b"));
        CHECK(holds(lines, "written b"));
        CHECK(holds(lines, "mode b"));
        CHECK(holds(lines, "removed b"));
    }
}

TEST_CASE("log: the moment of a version shows exactly that version") {
    StoreBench bench;
    write_file(bench.live("f"), "1");
    bench.record();
    write_file(bench.live("f"), "22");
    bench.record();
    write_file(bench.live("f"), "333");
    bench.record();
    auto versions = rewind::version_log(bench.store(), "f", each());
    REQUIRE(versions.has_value());
    std::vector<uint64_t> sizes;
    for (const auto& version : *versions) {
        REQUIRE(version.size.has_value());
        const rewind::View view(bench.store(), version.lsn);
        CHECK(view.attributes(view.resolve("f").value()).value().size == *version.size);
        if (sizes.empty() || sizes.back() != *version.size) sizes.push_back(*version.size);
    }
    CHECK(sizes.back() == 3);
    CHECK(std::count(sizes.begin(), sizes.end(), 2) == 1);
}

TEST_CASE("log: all objects that ever had the path are told, through renamed directories too") {
    StoreBench bench;
    fs::create_directories(bench.live("dir"));
    write_file(bench.live("dir/file"), "first");
    bench.record();
    fs::rename(bench.live("dir"), bench.live("old"));
    fs::create_directories(bench.live("dir"));
    write_file(bench.live("dir/file"), "second");
    bench.record();
    auto versions = rewind::version_log(bench.store(), "dir/file");
    REQUIRE(versions.has_value());
    std::vector<journal::ObjectId> objects;
    for (const auto& version : *versions)
        if (std::find(objects.begin(), objects.end(), version.object) == objects.end()) objects.push_back(version.object);
    CHECK(objects.size() == 2);
    // Under its later path only the first one is known.
    auto old = rewind::version_log(bench.store(), "old/file");
    REQUIRE(old.has_value());
    for (const auto& version : *old) CHECK(version.object == objects.front());
}

TEST_CASE("log: the limit keeps the newest versions; a path that nothing had is an error") {
    StoreBench bench;
    for (int i = 0; i < 5; ++i) {
        write_file(bench.live("f"), std::string(static_cast<size_t>(i) + 1, 'x'));
        bench.record();
    }
    rewind::LogOptions options = each();
    options.limit = 2;
    auto versions = rewind::version_log(bench.store(), "f", options);
    REQUIRE(versions.has_value());
    CHECK(versions->size() == 2);
    CHECK(versions->back().size == 5);
    CHECK(rewind::version_log(bench.store(), "no/such").error().code == ErrorCode::not_found);
}

}  // namespace holdfast::test

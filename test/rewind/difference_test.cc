// What differs between two moments.
#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "rewind/restore/difference.h"
#include "test/rewind/store_bench.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;

void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

// "added a", "modified b data,size", "renamed c from d"
std::vector<std::string> told(StoreBench& bench, const std::string& path, journal::Lsn from, journal::Lsn to) {
    auto changes = rewind::difference(bench.store(), path, from, to);
    if (!changes) FAIL(changes.error().message);
    std::vector<std::string> lines;
    for (const auto& change : *changes) {
        std::string line = std::string(rewind::to_string(change.change)) + " " + change.path;
        for (const auto& part : rewind::changed_part_names(change.parts)) line += " " + part;
        if (!change.from_path.empty()) line += " from " + change.from_path;
        lines.push_back(line);
    }
    return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("diff: additions, removals, renames and changes, in both directions") {
    StoreBench bench;
    fs::create_directories(bench.live("d"));
    write_file(bench.live("d/stays"), "stays");
    write_file(bench.live("d/goes"), "goes");
    write_file(bench.live("d/moves"), "moves");
    write_file(bench.live("d/grows"), "grows");
    const journal::Lsn before = bench.record();
    fs::remove(bench.live("d/goes"));
    fs::rename(bench.live("d/moves"), bench.live("moved"));
    std::ofstream(bench.live("d/grows"), std::ios::app) << " more";
    write_file(bench.live("d/comes"), "comes");
    REQUIRE(chmod(bench.live("d/stays").c_str(), 0600) == 0);
    const journal::Lsn after = bench.record();
    CHECK(told(bench, "", before, after) == Lines{"added d/comes", "removed d/goes", "modified d/grows data size mtime",
                                                  "modified d/stays mode", "renamed moved from d/moves"});
    CHECK(told(bench, "", after, before) == Lines{"removed d/comes", "added d/goes", "modified d/grows size mtime",
                                                  "renamed d/moves from moved", "modified d/stays mode"});
    CHECK(told(bench, "d/stays", before, after) == Lines{"modified d/stays mode"});
    CHECK(told(bench, "moved", before, after) == Lines{"renamed moved from d/moves"});
    CHECK(told(bench, "", after, after).empty());
}

TEST_CASE("diff: what came and went between the moments, or was written with what it held, is no difference") {
    StoreBench bench;
    write_file(bench.live("same"), std::string(10'000, 's'));
    struct stat info;
    REQUIRE(stat(bench.live("same").c_str(), &info) == 0);
    const journal::Lsn before = bench.record();
    write_file(bench.live("temporary"), "temporary");
    write_file(bench.live("same"), std::string(10'000, 't'));
    bench.record();
    fs::remove(bench.live("temporary"));
    write_file(bench.live("same"), std::string(10'000, 's'));
    const timespec times[2] = {info.st_atim, info.st_mtim};
    REQUIRE(utimensat(AT_FDCWD, bench.live("same").c_str(), times, 0) == 0);
    const journal::Lsn after = bench.record();
    CHECK(told(bench, "", before, after).empty());
}

TEST_CASE("diff: of a renamed directory only the directory is told") {
    StoreBench bench;
    fs::create_directories(bench.live("a/b"));
    write_file(bench.live("a/b/file"), "file");
    const journal::Lsn before = bench.record();
    fs::rename(bench.live("a"), bench.live("z"));
    const journal::Lsn after = bench.record();
    CHECK(told(bench, "", before, after) == Lines{"renamed z from a"});
}

TEST_CASE("diff: a change inside of a directory that was renamed as well is told under its later path") {
    StoreBench bench;
    fs::create_directories(bench.live("a"));
    write_file(bench.live("a/file"), "file");
    const journal::Lsn before = bench.record();
    fs::rename(bench.live("a"), bench.live("z"));
    std::ofstream(bench.live("z/file"), std::ios::app) << "!";
    const journal::Lsn after = bench.record();
    CHECK(told(bench, "", before, after) == Lines{"renamed z from a", "modified z/file data size mtime"});
}

}  // namespace holdfast::test

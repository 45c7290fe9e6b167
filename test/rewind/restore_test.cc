// Restoring from a moment to a place beside the present.
#include <catch2/catch.hpp>

#include <sys/mount.h>

#include <filesystem>
#include <fstream>

#include "rewind/restore/restore.h"
#include "test/rewind/random_tree.h"
#include "test/rewind/same_tree.h"
#include "test/rewind/store_bench.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;

void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

std::string read_file(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

size_t entries_of(const std::string& directory) {
    return static_cast<size_t>(std::distance(fs::directory_iterator(directory), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("restore: a random tree of a moment equals the copy that was made then") {
    const uint64_t seed = static_cast<uint64_t>(time(nullptr));
    INFO("seed " << seed);
    StoreBench bench;
    RandomTree random(bench.live(), seed);
    std::vector<std::pair<journal::Lsn, std::string>> moments;
    for (int step = 0; step < 3; ++step) {
        random.change(60);
        const journal::Lsn moment = bench.record();
        moments.emplace_back(moment, bench.snapshot());
    }
    int number = 0;
    for (const auto& [moment, snapshot] : moments) {
        const rewind::View view(bench.store(), moment);
        const std::string target = bench.scratch("restored-" + std::to_string(number++));
        auto plan = rewind::plan_restore(view, "", target, false);
        if (!plan) FAIL(plan.error().message);
        auto report = rewind::restore(view, *plan);
        if (!report) FAIL(report.error().message);
        CHECK(tree_difference(snapshot, target) == "");
        CHECK(report->bytes == plan->bytes);
        CHECK(report->files == plan->files);
    }
}

TEST_CASE("restore: a target that is there is refused, and replaced whole with force") {
    StoreBench bench;
    write_file(bench.live("file"), "then");
    const journal::Lsn moment = bench.record();
    write_file(bench.live("file"), "now");
    bench.record();
    const rewind::View view(bench.store(), moment);
    const std::string place = bench.scratch("place");
    fs::create_directory(place);
    write_file(place + "/file", "mine");
    const auto refused = rewind::plan_restore(view, "file", place, false);
    REQUIRE(!refused.has_value());
    CHECK(refused.error().code == ErrorCode::exists);
    CHECK(read_file(place + "/file") == "mine");
    auto plan = rewind::plan_restore(view, "file", place, true);
    REQUIRE(plan.has_value());
    CHECK(plan->replaces == "a file");
    REQUIRE(rewind::restore(view, *plan).has_value());
    CHECK(read_file(place + "/file") == "then");
    CHECK(entries_of(place) == 1);
}

TEST_CASE("restore: stopped in the middle it leaves nothing behind") {
    StoreBench bench;
    fs::create_directories(bench.live("tree/deep"));
    write_file(bench.live("tree/deep/big"), std::string(3 << 20, 'b'));
    const journal::Lsn moment = bench.record();
    const rewind::View view(bench.store(), moment);
    const std::string place = bench.scratch("place");
    fs::create_directory(place);
    auto plan = rewind::plan_restore(view, "tree", place, false);
    REQUIRE(plan.has_value());
    const auto stopped = rewind::restore(view, *plan, [](const rewind::WorkProgress&) { return false; });
    REQUIRE(!stopped.has_value());
    CHECK(stopped.error().code == ErrorCode::unavailable);
    CHECK(entries_of(place) == 0);
}

namespace {

// A file system with little room, for as long as the object lives.
class SmallDisk {
public:
    explicit SmallDisk(std::string path) : path_(std::move(path)) {
        fs::create_directory(path_);
        is_mounted_ = mount("holdfast-test", path_.c_str(), "tmpfs", 0, "size=256k") == 0;
    }
    ~SmallDisk() {
        if (is_mounted_) umount2(path_.c_str(), MNT_DETACH);
    }
    bool is_mounted() const { return is_mounted_; }

private:
    std::string path_;
    bool is_mounted_;
};

}  // namespace

TEST_CASE("restore: a disk that is too small, or fills up in the middle, is a sentence, and nothing is left there") {
    StoreBench bench;
    write_file(bench.live("big"), std::string(1 << 20, 'b'));
    const journal::Lsn moment = bench.record();
    const rewind::View view(bench.store(), moment);
    const std::string place = bench.scratch("place");
    const SmallDisk disk(place);
    if (!disk.is_mounted()) return;
    const auto refused = rewind::plan_restore(view, "big", place, false);
    REQUIRE(!refused.has_value());
    CHECK(refused.error().code == ErrorCode::no_space);
    // Planned elsewhere, so that the plan does not know.
    auto plan = rewind::plan_restore(view, "big", bench.scratch("other"), false);
    REQUIRE(plan.has_value());
    plan->directory = place;
    const auto failed = rewind::restore(view, *plan);
    REQUIRE(!failed.has_value());
    CHECK(failed.error().code == ErrorCode::no_space);
    CHECK(entries_of(place) == 0);
}

TEST_CASE("restore: what did not exist then, and places that are none, are errors that say so") {
    StoreBench bench;
    const journal::Lsn before = bench.record();
    write_file(bench.live("later"), "later");
    const journal::Lsn moment = bench.record();
    const std::string place = bench.scratch("place");
    fs::create_directory(place);
    CHECK(rewind::plan_restore(rewind::View(bench.store(), before), "later", place, false).error().code == ErrorCode::not_found);
    const rewind::View view(bench.store(), moment);
    CHECK(rewind::plan_restore(view, "later", "relative", false).error().code == ErrorCode::invalid_argument);
    CHECK(rewind::plan_restore(view, "later", place + "/no/such/name", false).error().code == ErrorCode::not_found);
    CHECK(rewind::plan_restore(view, "../later", place, false).error().code == ErrorCode::invalid_argument);
    CHECK(rewind::plan_restore(view, "", place, false).error().code == ErrorCode::invalid_argument);
}

}  // namespace holdfast::test

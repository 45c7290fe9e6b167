// Rewinding a plain directory that stands for the live mount: afterwards it equals the copy that was made at the moment.
#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "rewind/restore/rewind_in_place.h"
#include "rewind/restore/rewind_plan.h"
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

uint64_t inode_of(const std::string& path) {
    struct stat info;
    REQUIRE(lstat(path.c_str(), &info) == 0);
    return info.st_ino;
}

struct Done {
    rewind::RewindPlan plan;
    rewind::RewindReport report;
    rewind::RewindVerification verification;
};

Done rewind_to(StoreBench& bench, const std::string& path, journal::Lsn moment) {
    auto plan = rewind::plan_rewind(bench.store(), path, moment);
    if (!plan) FAIL(plan.error().message);
    auto report = rewind::act_rewind(bench.store(), *plan, bench.live_fd());
    if (!report) FAIL(report.error().message);
    for (const auto& problem : report->problems) FAIL_CHECK(problem);
    auto verification = rewind::verify_rewind(bench.store(), *plan, bench.record());
    if (!verification) FAIL(verification.error().message);
    for (const auto& difference : verification->differences) FAIL_CHECK(difference);
    return {std::move(*plan), std::move(*report), std::move(*verification)};
}

}  // namespace

TEST_CASE("rewind: a random tree goes back to every moment, and forward again by rewinding the rewind") {
    for (uint64_t round = 0; round < 4; ++round) {
        INFO("HOLDFAST_TEST_SEED=" << tree_seed() << " round " << round);
        StoreBench bench;
        RandomTree random(bench.live(), tree_seed() * 10 + round);
        std::vector<std::pair<journal::Lsn, std::string>> moments;
        for (int step = 0; step < 4; ++step) {
            random.change(step == 0 ? 80 : 30);
            const journal::Lsn moment = bench.record();
            moments.emplace_back(moment, bench.snapshot());
        }
        for (size_t index : {size_t{0}, size_t{2}, size_t{3}, size_t{1}}) {
            const std::string before = bench.snapshot();
            const Done done = rewind_to(bench, "", moments[index].first);
            REQUIRE(tree_difference(moments[index].second, bench.live()) == "");
            rewind_to(bench, "", done.plan.present);
            REQUIRE(tree_difference(before, bench.live()) == "");
            rewind_to(bench, "", moments[index].first);
            REQUIRE(tree_difference(moments[index].second, bench.live()) == "");
        }
    }
}

TEST_CASE("rewind: stopped in the middle it is run again and comes through") {
    INFO("HOLDFAST_TEST_SEED=" << tree_seed());
    StoreBench bench;
    RandomTree random(bench.live(), tree_seed() + 77);
    random.change(120);
    const journal::Lsn moment = bench.record();
    const std::string snapshot = bench.snapshot();
    random.change(80);
    bench.record();
    for (int attempt = 0; attempt < 8; ++attempt) {
        auto plan = rewind::plan_rewind(bench.store(), "", moment);
        REQUIRE(plan.has_value());
        // Half of what is left is done, then the process is gone: the plan ends there, nothing is tidied up.
        auto half = std::make_shared<rewind::RewindWork>(*plan->work);
        half->names.resize(half->names.size() / 2);
        half->contents.resize(half->contents.size() / 2);
        half->directories.clear();
        plan->work = half;
        REQUIRE(rewind::act_rewind(bench.store(), *plan, bench.live_fd()).has_value());
        bench.record();
    }
    rewind_to(bench, "", moment);
    CHECK(tree_difference(snapshot, bench.live()) == "");
}

TEST_CASE("rewind: one file gets back only the bytes that differ, under its own inode") {
    StoreBench bench;
    write_file(bench.live("db"), std::string(4 << 20, 'x'));
    write_file(bench.live("other"), "stays");
    const journal::Lsn moment = bench.record();
    const std::string snapshot = bench.snapshot();
    const uint64_t inode = inode_of(bench.live("db"));
    {
        const UniqueFd fd(open(bench.live("db").c_str(), O_WRONLY));
        REQUIRE(pwrite(fd.get(), "hello", 5, 1'000'000) == 5);
        REQUIRE(pwrite(fd.get(), "world", 5, 3'000'000) == 5);
        REQUIRE(pwrite(fd.get(), "tail", 4, 4 << 20) == 4);
    }
    write_file(bench.live("other"), "changed");
    bench.record();
    const Done done = rewind_to(bench, "db", moment);
    CHECK(done.report.bytes == 2 * 4096);
    CHECK(done.plan.bytes == done.report.bytes);
    CHECK(inode_of(bench.live("db")) == inode);
    CHECK(read_file(bench.live("other")) == "changed");
    CHECK(read_file(bench.live("db")) == read_file(snapshot + "/db"));
}

TEST_CASE("rewind: a renamed file and a renamed directory are moved back, not copied") {
    StoreBench bench;
    fs::create_directories(bench.live("project/src"));
    write_file(bench.live("project/src/main.c"), std::string(100'000, 'm'));
    const journal::Lsn moment = bench.record();
    const uint64_t inode = inode_of(bench.live("project/src/main.c"));
    fs::rename(bench.live("project/src/main.c"), bench.live("main.old"));
    fs::rename(bench.live("project"), bench.live("moved"));
    bench.record();
    const Done done = rewind_to(bench, "", moment);
    CHECK(done.report.bytes == 0);
    CHECK(done.report.renamed == 2);
    CHECK(done.report.created == 0);
    CHECK(inode_of(bench.live("project/src/main.c")) == inode);
}

TEST_CASE("rewind: a deleted tree comes back, hard links as hard links; the files beside it stay as they are") {
    StoreBench bench;
    fs::create_directories(bench.live("keep"));
    fs::create_directories(bench.live("gone/deep"));
    write_file(bench.live("gone/deep/one"), "one");
    fs::create_hard_link(bench.live("gone/deep/one"), bench.live("gone/two"));
    fs::create_symlink("deep/one", bench.live("gone/link"));
    const journal::Lsn moment = bench.record();
    const std::string snapshot = bench.snapshot();
    fs::remove_all(bench.live("gone"));
    write_file(bench.live("keep/new"), "new");
    bench.record();
    const Done done = rewind_to(bench, "gone", moment);
    CHECK(done.report.created == 4);
    CHECK(tree_difference(snapshot + "/gone", bench.live("gone")) == "");
    CHECK(inode_of(bench.live("gone/two")) == inode_of(bench.live("gone/deep/one")));
    CHECK(read_file(bench.live("keep/new")) == "new");
}

TEST_CASE("rewind: a part of the tree takes back what left it and puts out, without loss, what came into it") {
    StoreBench bench;
    fs::create_directories(bench.live("in"));
    fs::create_directories(bench.live("out"));
    write_file(bench.live("in/left"), "left");
    write_file(bench.live("out/came"), "came");
    write_file(bench.live("out/taken"), "taken");
    const journal::Lsn moment = bench.record();
    fs::rename(bench.live("in/left"), bench.live("out/left"));
    fs::rename(bench.live("out/came"), bench.live("in/came"));
    fs::rename(bench.live("out/taken"), bench.live("in/taken"));
    write_file(bench.live("out/taken"), "another");
    bench.record();
    rewind_to(bench, "in", moment);
    CHECK(read_file(bench.live("in/left")) == "left");
    CHECK(!fs::exists(bench.live("out/left")));
    CHECK(!fs::exists(bench.live("in/came")));
    CHECK(read_file(bench.live("out/came")) == "came");
    CHECK(read_file(bench.live("out/taken")) == "another");
    CHECK(read_file(bench.live("out/taken.displaced")) == "taken");
}

TEST_CASE("rewind: a file below a directory that was deleted and made again comes back into the new one") {
    StoreBench bench;
    fs::create_directories(bench.live("d"));
    write_file(bench.live("d/file"), "old");
    const journal::Lsn moment = bench.record();
    fs::remove_all(bench.live("d"));
    fs::create_directories(bench.live("d"));
    write_file(bench.live("d/newer"), "newer");
    bench.record();
    rewind_to(bench, "d/file", moment);
    CHECK(read_file(bench.live("d/file")) == "old");
    CHECK(read_file(bench.live("d/newer")) == "newer");
}

TEST_CASE("rewind: what another program changes meanwhile is left alone and told") {
    StoreBench bench;
    write_file(bench.live("file"), "one");
    const journal::Lsn moment = bench.record();
    write_file(bench.live("file"), "two");
    bench.record();
    auto plan = rewind::plan_rewind(bench.store(), "", moment);
    REQUIRE(plan.has_value());
    // Replaced between plan and act: another inode stands there now.
    write_file(bench.live("file.new"), "three");
    fs::rename(bench.live("file.new"), bench.live("file"));
    auto report = rewind::act_rewind(bench.store(), *plan, bench.live_fd());
    REQUIRE(report.has_value());
    CHECK(report->problems.size() == 1);
    CHECK(read_file(bench.live("file")) == "three");
    auto verification = rewind::verify_rewind(bench.store(), *plan, bench.record());
    REQUIRE(verification.has_value());
    CHECK(!verification->differences.empty());
}

TEST_CASE("rewind: a path that exists neither now nor then is an error") {
    StoreBench bench;
    const journal::Lsn moment = bench.record();
    const auto plan = rewind::plan_rewind(bench.store(), "nothing/here", moment);
    REQUIRE(!plan.has_value());
    CHECK(plan.error().code == ErrorCode::not_found);
}

}  // namespace holdfast::test

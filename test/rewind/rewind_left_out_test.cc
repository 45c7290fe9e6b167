// Rewinding across what is left out, on a plain directory: neither it nor the way to it is touched.
#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "rewind/restore/rewind_in_place.h"
#include "test/rewind/store_bench.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using Paths = std::vector<std::string>;

class LeftOutBench : public StoreBench {
public:
    void write(const std::string& name, const std::string& bytes) const { std::ofstream(live(name), std::ios::binary) << bytes; }
    std::string read(const std::string& name) const {
        std::ifstream stream(live(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    }
    void make(const std::string& name) const { fs::create_directories(live(name)); }
    bool has(const std::string& name) const { return fs::exists(fs::symlink_status(live(name))); }
    uint64_t inode(const std::string& name) const {
        struct stat info {};
        REQUIRE(::lstat(live(name).c_str(), &info) == 0);
        return info.st_ino;
    }

    // Carries it out; no problem and no difference may be left. Returns what stayed because of what is left out.
    Paths rewind_to(journal::Lsn moment, const std::string& path = "") {
        auto plan = rewind::plan_rewind(store(), path, moment, {}, volume().left_out);
        if (!plan) FAIL(plan.error().message);
        told.clear();
        for (const rewind::Change& change : plan->changes) told.insert(change.path);
        auto report = rewind::act_rewind(store(), *plan, live_fd());
        if (!report) FAIL(report.error().message);
        for (const auto& problem : report->problems) FAIL_CHECK(problem);
        auto verification = rewind::verify_rewind(store(), *plan, record());
        if (!verification) FAIL(verification.error().message);
        for (const auto& difference : verification->differences) FAIL_CHECK(difference);
        return plan->kept;
    }
    std::set<std::string> told;  // changes of the last plan
};

}  // namespace

TEST_CASE("rewind: across the moment at which a directory was left out, what was recorded of it is history and stays that") {
    LeftOutBench bench;
    bench.make("cache/d");
    bench.write("cache/old", "recorded once");
    bench.write("cache/d/old", "recorded once");
    bench.write("file", "then");
    const journal::Lsn before = bench.record();

    bench.leave_out({"cache"});
    bench.write("cache/new", "never recorded");
    bench.write("cache/old", "changed unseen");
    bench.write("file", "now");
    const journal::Lsn after = bench.record();
    CHECK(bench.rewind_to(before).empty());
    CHECK(bench.read("file") == "then");
    CHECK(bench.read("cache/old") == "changed unseen");
    CHECK(bench.read("cache/new") == "never recorded");
    CHECK(bench.told == std::set<std::string>{"file"});
    bench.rewind_to(after);
    CHECK(bench.read("file") == "now");
    CHECK(bench.read("cache/new") == "never recorded");
}

TEST_CASE("rewind: to before a directory that is left out was there, it and the way to it stay, and all else goes") {
    LeftOutBench bench;
    bench.write("file", "then");
    const journal::Lsn before = bench.record();

    bench.make("var/tmp");
    bench.make("var/log");
    bench.write("var/log/l", "recorded");
    bench.write("var/f", "recorded");
    bench.make("cache");
    bench.leave_out({"cache", "var/tmp"});
    bench.write("var/tmp/x", "never recorded");
    bench.write("cache/x", "never recorded");
    bench.record();
    const uint64_t var = bench.inode("var"), tmp = bench.inode("var/tmp");
    CHECK(bench.rewind_to(before) == Paths{"cache", "var", "var/tmp"});
    CHECK(bench.inode("var") == var);
    CHECK(bench.inode("var/tmp") == tmp);
    CHECK(bench.read("var/tmp/x") == "never recorded");
    CHECK(bench.read("cache/x") == "never recorded");
    CHECK_FALSE(bench.has("var/log"));
    CHECK_FALSE(bench.has("var/f"));
    CHECK(bench.told == std::set<std::string>{"var/f", "var/log", "var/log/l"});
}

TEST_CASE("rewind: the way to what is left out is not renamed back, and another directory or file that was there does not come in its place") {
    LeftOutBench bench;
    bench.make("old/tmp");
    bench.write("old/f", "then");
    bench.write("cache", "a file then");
    const journal::Lsn before = bench.record();

    fs::rename(bench.live("old"), bench.live("var"));
    bench.write("var/f", "now");
    fs::remove(bench.live("cache"));
    bench.make("cache");
    bench.leave_out({"cache", "var/tmp"});
    bench.write("var/tmp/x", "never recorded");
    bench.record();
    CHECK(bench.rewind_to(before) == Paths{"cache", "var"});
    CHECK_FALSE(bench.has("old"));
    CHECK(bench.read("var/f") == "then");
    CHECK(bench.read("var/tmp/x") == "never recorded");
    CHECK(fs::is_directory(bench.live("cache")));
}

TEST_CASE("rewind: what lived in a directory that is left out now stays where it is, beside its name if that is needed") {
    LeftOutBench bench;
    bench.make("cache/d");
    bench.write("cache/a", "a");
    bench.write("cache/b", "b");
    bench.write("cache/d/in", "in");
    bench.write("taken", "the one of then");
    const journal::Lsn before = bench.record();

    fs::rename(bench.live("cache/a"), bench.live("a"));
    fs::rename(bench.live("cache/d"), bench.live("d"));
    fs::remove(bench.live("taken"));
    fs::rename(bench.live("cache/b"), bench.live("taken"));
    bench.leave_out({"cache"});
    bench.write("cache/x", "never recorded");
    bench.record();
    CHECK(bench.rewind_to(before) == Paths{"a", "d", "taken"});
    CHECK(bench.read("a") == "a");
    CHECK(bench.read("d/in") == "in");
    CHECK(bench.read("taken") == "the one of then");
    CHECK(bench.read("taken.displaced") == "b");
    CHECK(std::distance(fs::directory_iterator(bench.live("cache")), fs::directory_iterator()) == 1);
}

TEST_CASE("rewind: what is left out cannot be rewound itself, and attributes of it are left alone") {
    LeftOutBench bench;
    bench.make("cache");
    bench.write("cache/x", "recorded");
    const journal::Lsn before = bench.record();
    bench.leave_out({"cache"});
    REQUIRE(::chmod(bench.live("cache").c_str(), 0700) == 0);
    bench.record();
    for (const char* path : {"cache", "cache/x", "cache/no"}) {
        const auto plan = rewind::plan_rewind(bench.store(), path, before, {}, bench.volume().left_out);
        REQUIRE_FALSE(plan.has_value());
        CHECK(plan.error().code == ErrorCode::unsupported);
    }
    CHECK(bench.rewind_to(before).empty());
    struct stat info {};
    REQUIRE(::stat(bench.live("cache").c_str(), &info) == 0);
    CHECK((info.st_mode & 07777) == 0700);
    CHECK(bench.told.empty());
}

}  // namespace holdfast::test

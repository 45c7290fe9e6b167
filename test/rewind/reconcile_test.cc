// The comparison of a tree with its image, against the reference model: after the repair the model equals the tree, and
// every single record made sense.
#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "rewind/reconcile/backing_tree.h"
#include "rewind/reconcile/tree_bytes.h"
#include "rewind/reconcile/tree_repair.h"
#include "test/model/compare.h"
#include "test/rewind/model_target.h"
#include "test/rewind/random_tree.h"
#include "test/support/scratch.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using rewind::BackingTree;
using rewind::RepairLedger;
using rewind::TreeRepair;
using rewind::TreeRepairOptions;

const rewind::ProgressSink no_progress;

class Bench {
public:
    Bench() { fs::create_directory(tree()); }
    std::string tree() const { return scratch_ / "tree"; }
    std::string path(const std::string& name) const { return tree() + "/" + name; }

    Status repair(const TreeRepairOptions& options = {}, const rewind::CompareScope& scope = everything()) {
        HF_TRY(target.settle());
        const UniqueFd top(open(tree().c_str(), O_PATH | O_DIRECTORY));
        BackingTree backing = HF_TRY(BackingTree::open(top.get(), 1, left_out));
        RepairLedger ledger(target, no_progress);
        rewind::TreeBytes bytes(ledger, scope);
        TreeRepair repair(backing, ledger, bytes, options);
        auto status = repair.run();
        repairs = ledger.repairs();
        compared = ledger.bytes_compared();
        removed = repair.removed();
        return status;
    }
    static rewind::CompareScope everything() {
        rewind::CompareScope scope;
        scope.everything = true;
        return scope;
    }

    // What differs between tree and model, holes and the top's own attributes included.
    std::string difference() {
        if (auto found = test::difference(tree(), target.model())) return *found;
        const Object& root = target.model().at(journal::root_object);
        struct stat info;
        REQUIRE(stat(tree().c_str(), &info) == 0);
        if (root.mode != info.st_mode) return "mode of the top";
        if (root.mtime_ns != info.st_mtim.tv_sec * 1'000'000'000LL + info.st_mtim.tv_nsec) return "mtime of the top";
        for (const auto& [id, object] : target.model().objects()) {
            if (!object->mtime_ns) return "no mtime of " + journal::to_string(id);
            if (id.origin == 0 && id != journal::root_object) return "a staging directory is left";
        }
        return holes();
    }
    std::string holes() {
        for (const auto& entry : fs::recursive_directory_iterator(tree())) {
            if (!entry.is_regular_file() || entry.is_symlink()) continue;
            const UniqueFd fd(open(entry.path().c_str(), O_RDONLY));
            struct stat info;
            fstat(fd.get(), &info);
            for (const auto& [id, object] : target.model().objects()) {
                // An object without a name had this inode before it was used again.
                if (id.inode != info.st_ino || id.origin != 1 || object->names == 0) continue;
                auto real = rewind::data_extents_of(fd.get()).value();
                auto seen = target.data_extents(id).value();
                const auto same = [](const auto& a, const auto& b) { return a.offset == b.offset && a.length == b.length; };
                if (!std::equal(real.begin(), real.end(), seen.begin(), seen.end(), same))
                    return "holes of " + entry.path().string();
            }
        }
        return "";
    }

    ModelTarget target;
    journal::LeftOut left_out;
    uint64_t repairs = 0;
    uint64_t compared = 0;
    uint64_t removed = 0;

private:
    ScratchDirectory scratch_;
};

void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace

TEST_CASE("reconcile: after random changes the repaired image equals the tree, and a second look finds nothing") {
    for (uint64_t round = 0; round < 12; ++round) {
        Bench bench;
        RandomTree random(bench.tree(), tree_seed() + round);
        INFO("HOLDFAST_TEST_SEED=" << tree_seed() + round);
        for (int step = 0; step < 6; ++step) {
            random.change(step == 0 ? 80 : 25);
            auto status = bench.repair();
            if (!status) FAIL(status.error().message);
            REQUIRE(bench.target.settle().has_value());
            REQUIRE(bench.difference() == "");
            REQUIRE(bench.repair().has_value());
            REQUIRE(bench.repairs == 0);
        }
    }
}

TEST_CASE("reconcile: a repair that was interrupted after any record is completed by the next one") {
    for (uint64_t round = 0; round < 6; ++round) {
        Bench bench;
        const uint64_t seed = tree_seed() + 1000 + round;
        RandomTree random(bench.tree(), seed);
        INFO("HOLDFAST_TEST_SEED=" << seed - 1000 - round);
        random.change(80);
        REQUIRE(bench.repair().has_value());
        random.change(40);
        // Ever later, until one run comes through.
        for (size_t records = 0; records < 2000; records += 3) {
            bench.target.fail_after = bench.target.records + records;
            if (bench.repair().has_value()) break;
        }
        bench.target.fail_after = ~size_t{0};
        REQUIRE(bench.repair().has_value());
        REQUIRE(bench.target.settle().has_value());
        REQUIRE(bench.difference() == "");
    }
}

TEST_CASE("reconcile: what the journal had deleted but the tree kept is born again under its id") {
    Bench bench;
    RandomTree random(bench.tree(), tree_seed() + 2000);
    random.change(120);
    REQUIRE(bench.repair().has_value());
    // The journal is ahead of the tree: everything goes, bottom up.
    Model& model = bench.target.model();
    while (true) {
        Record record;
        for (const auto& [directory, object] : model.objects()) {
            for (const auto& [name, child] : object->entries) {
                const bool is_tree = S_ISDIR(model.at(child).mode);
                if (is_tree && !model.at(child).entries.empty()) continue;
                const bool is_last = is_tree || model.at(child).names == 1;
                record.type = is_tree ? HF_RMDIR : HF_UNLINK;
                record.object = child;
                record.body = journal::Unlink{directory, name, is_last};
                break;
            }
            if (record.type != HF_VOID) break;
        }
        if (record.type == HF_VOID) break;
        const std::string name(record.as<journal::Unlink>().name);
        record.body = journal::Unlink{record.as<journal::Unlink>().parent, name, record.as<journal::Unlink>().last_link};
        const bool ends = record.type == HF_UNLINK && record.as<journal::Unlink>().last_link;
        REQUIRE(bench.target.append(record).has_value());
        if (!ends) continue;
        Record end;
        end.type = HF_ORPHAN_END;
        end.object = record.object;
        end.body = journal::OrphanEnd{};
        REQUIRE(bench.target.append(end).has_value());
    }
    REQUIRE(model.objects().size() == 1);
    auto repaired = bench.repair();
    if (!repaired) FAIL(repaired.error().message);
    REQUIRE(bench.target.settle().has_value());
    REQUIRE(bench.difference() == "");
}

TEST_CASE("reconcile: a moved file is renamed, not copied, and only the blocks that differ are written") {
    Bench bench;
    fs::create_directories(bench.path("one/two"));
    write_file(bench.path("one/two/file"), std::string(1 << 20, 'x'));
    REQUIRE(bench.repair().has_value());
    fs::create_directory(bench.path("new"));
    fs::rename(bench.path("one/two/file"), bench.path("new/name"));
    const UniqueFd fd(open(bench.path("new/name").c_str(), O_WRONLY));
    REQUIRE(pwrite(fd.get(), "y", 1, 500'000) == 1);
    const size_t before = bench.target.records;
    REQUIRE(bench.repair().has_value());
    CHECK(bench.difference() == "");
    // MKDIR, RENAME, WRITE of one block, and the times of file, two directories and the top.
    CHECK(bench.target.records - before <= 8);
}

TEST_CASE("reconcile: without suspicion no bytes are read, a late ctime raises it") {
    Bench bench;
    write_file(bench.path("file"), "before");
    REQUIRE(bench.repair().has_value());
    struct stat info;
    REQUIRE(stat(bench.path("file").c_str(), &info) == 0);
    // Somebody changes bytes and covers it up: size and mtime are those of before.
    const UniqueFd fd(open(bench.path("file").c_str(), O_WRONLY));
    REQUIRE(pwrite(fd.get(), "BEFORE", 6, 0) == 6);
    const timespec times[2] = {info.st_atim, info.st_mtim};
    REQUIRE(futimens(fd.get(), times) == 0);

    rewind::CompareScope scope;
    scope.ctime_from_ns = INT64_MAX;
    REQUIRE(bench.repair({}, scope).has_value());
    CHECK(bench.compared == 0);
    scope.ctime_from_ns = info.st_ctim.tv_sec * 1'000'000'000LL + info.st_ctim.tv_nsec;
    REQUIRE(bench.repair({}, scope).has_value());
    CHECK(bench.compared == 6);
    CHECK(bench.difference() == "");
}

TEST_CASE("reconcile: the brake stops before a tree that lost most of its objects is followed") {
    Bench bench;
    for (int i = 0; i < 30; ++i) write_file(bench.path("f" + std::to_string(i)), "x");
    REQUIRE(bench.repair().has_value());
    for (int i = 0; i < 20; ++i) fs::rename(bench.path("f" + std::to_string(i)), bench.tree() + "-f" + std::to_string(i));
    TreeRepairOptions options;
    options.deletion_brake = 10;
    auto stopped = bench.repair(options);
    REQUIRE(!stopped.has_value());
    CHECK(stopped.error().code == ErrorCode::permission);
    CHECK(bench.target.model().objects().size() >= 31);
    // The files come back: nothing was lost, so nothing is written.
    for (int i = 0; i < 20; ++i) fs::rename(bench.tree() + "-f" + std::to_string(i), bench.path("f" + std::to_string(i)));
    REQUIRE(bench.repair(options).has_value());
    CHECK(bench.difference() == "");
    CHECK(bench.removed == 0);
    CHECK(bench.repairs <= 2);  // the mtime of the top
    // Meant deletions are accepted without the brake.
    for (int i = 0; i < 20; ++i) fs::remove(bench.path("f" + std::to_string(i)));
    options.deletion_brake = 0;
    REQUIRE(bench.repair(options).has_value());
    CHECK(bench.removed == 20);
    CHECK(bench.difference() == "");
}

TEST_CASE("reconcile: another file system inside of the tree is an error, not a change") {
    if (geteuid() != 0) return;
    Bench bench;
    // /proc is one that every host has; bound in by a descriptor's path it would need a mount, so the check is asked.
    const UniqueFd top(open("/", O_PATH | O_DIRECTORY));
    auto backing = BackingTree::open(top.get(), 1);
    REQUIRE(backing.has_value());
    const auto root = backing->root();
    REQUIRE(root.has_value());
    const auto directory = backing->open(*root);
    REQUIRE(directory.has_value());
    const auto listed = (*directory)->list();
    REQUIRE(!listed.has_value());
    CHECK(listed.error().code == ErrorCode::unsupported);
}

TEST_CASE("reconcile: a directory that is left out is an empty one, whatever is in it") {
    Bench bench;
    bench.left_out = journal::LeftOut::of({"cache", "var/tmp", "not/there"}).value();
    fs::create_directories(bench.path("cache/deep"));
    fs::create_directories(bench.path("var/tmp"));
    write_file(bench.path("cache/deep/x"), "not recorded");
    write_file(bench.path("var/tmp/y"), "not recorded");
    write_file(bench.path("var/z"), "recorded");
    // Names that only begin alike, and one beneath a link that leads there.
    fs::create_directory(bench.path("cache2"));
    write_file(bench.path("cache2/x"), "recorded");
    REQUIRE(chmod(bench.path("cache").c_str(), 0710) == 0);
    REQUIRE(bench.repair());
    const auto names = [&] {
        std::set<std::string> all;
        for (const auto& [id, object] : bench.target.model().objects())
            for (const auto& entry : object->entries) all.insert(entry.first);
        return all;
    };
    CHECK(names() == std::set<std::string>{"cache", "cache2", "var", "tmp", "x", "z"});
    CHECK(bench.compared == 0);

    // What happens in them is no difference, their own times neither; their modes are.
    write_file(bench.path("cache/more"), "not recorded");
    fs::remove_all(bench.path("cache/deep"));
    REQUIRE(bench.repair());
    CHECK(bench.repairs == 0);
    REQUIRE(chmod(bench.path("cache").c_str(), 0700) == 0);
    REQUIRE(bench.repair());
    CHECK(bench.repairs == 1);
}

TEST_CASE("reconcile: what is left out from now on goes from the image, and the deletion brake knows why; what was left out comes back") {
    Bench bench;
    fs::create_directories(bench.path("cache/d"));
    for (int i = 0; i < 60; ++i) write_file(bench.path("cache/d/f" + std::to_string(i)), "x");
    for (int i = 0; i < 5; ++i) write_file(bench.path("f" + std::to_string(i)), "x");
    // One object with a name on either side of the border.
    fs::create_hard_link(bench.path("cache/d/f0"), bench.path("outside"));
    REQUIRE(bench.repair());
    REQUIRE(bench.target.settle());
    REQUIRE(bench.difference() == "");

    bench.left_out = journal::LeftOut::of({"cache"}).value();
    TreeRepairOptions braked;
    braked.deletion_brake = 20;
    const auto repaired = bench.repair(braked);
    if (!repaired) FAIL(repaired.error().message);
    CHECK(bench.removed == 60);  // 59 files and one directory
    size_t objects = 0, in_cache = 0;
    for (const auto& [id, object] : bench.target.model().objects()) objects += object->names > 0 || id == journal::root_object;
    for (const auto& [name, id] : bench.target.model().at(journal::root_object).entries)
        if (name == "cache") in_cache = bench.target.model().at(id).entries.size();
    CHECK(in_cache == 0);
    CHECK(objects == 7);  // with a name: five files, the one with a name outside; the top

    // The brake holds for what goes elsewhere at the same time.
    bench.left_out = {};
    REQUIRE(bench.repair(braked));
    REQUIRE(bench.target.settle());
    CHECK(bench.difference() == "");
    for (int i = 0; i < 60; ++i) write_file(bench.path("many" + std::to_string(i)), "x");
    REQUIRE(bench.repair(braked));
    for (int i = 0; i < 60; ++i) fs::remove(bench.path("many" + std::to_string(i)));
    fs::remove_all(bench.path("cache/d"));
    fs::create_directory(bench.path("cache/d"));
    bench.left_out = journal::LeftOut::of({"cache/d"}).value();
    const auto refused = bench.repair(braked);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::permission);
}

}  // namespace holdfast::test

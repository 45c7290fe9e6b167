// The comparison of what was touched, against the reference model: after a pass the model equals the tree, though nothing else was looked
// at, and every single record made sense.
#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "rewind/heal/touched_repair.h"
#include "rewind/reconcile/tree_bytes.h"
#include "rewind/reconcile/tree_repair.h"
#include "test/model/compare.h"
#include "test/rewind/model_target.h"
#include "test/rewind/random_tree.h"
#include "test/support/scratch.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using journal::ObjectId;
using rewind::BackingTree;

const rewind::ProgressSink no_progress;

// What one look at a whole tree sees of it.
struct Seen {
    int64_t ctime_ns = 0;
    std::string handle;
    std::map<std::string, ObjectId> entries;
};
using Snapshot = std::map<ObjectId, Seen>;

// As the capture worker opens it, for who looks from the outside.
class OpenedHere final : public rewind::TouchedPlaces {
public:
    OpenedHere(int top_fd, const journal::Touched& touched) : top_fd_(top_fd), touched_(touched) {}

    Result<std::vector<Result<UniqueFd>>> open_places(std::span<const journal::TouchedPlace> asked) override {
        REQUIRE(asked.size() <= journal::heal_places_max);
        std::vector<Result<UniqueFd>> opened;
        for (const journal::TouchedPlace& place : asked) opened.push_back(open(place));
        return opened;
    }
    Result<UniqueFd> open_file(const FileHandle& handle) override { return open_file_handle(top_fd_, handle, O_RDONLY); }

private:
    Result<UniqueFd> open(const journal::TouchedPlace& place) {
        const journal::TouchedObject& object = touched_.objects.at(place.object);
        UniqueFd fd = HF_TRY(open_file_handle(top_fd_, {object.handle}, O_PATH | O_NOFOLLOW));
        if (place.name == journal::TouchedPlace::itself) return fd;
        UniqueFd entry(::openat(fd.get(), object.names.at(place.name).c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (!entry) return errno_error(errno, "open a name");
        return entry;
    }

    const int top_fd_;
    const journal::Touched& touched_;
};

class Bench {
public:
    Bench() {
        fs::create_directory(tree());
        top_.reset(::open(tree().c_str(), O_PATH | O_DIRECTORY));
        backing_.emplace(BackingTree::open(top_.get(), 1).value());
    }
    std::string tree() const { return scratch_ / "tree"; }

    Snapshot look() {
        Snapshot seen;
        std::vector<rewind::TreeObject> pending{backing_->root().value()};
        while (!pending.empty()) {
            const rewind::TreeObject directory = pending.back();
            pending.pop_back();
            Seen& self = seen[directory.id];
            self.ctime_ns = directory.attributes.ctime_ns;
            self.handle = directory.handle.bytes;
            for (const auto& object : backing_->open(directory).value()->list().value()) {
                self.entries[object.name] = object.id;
                if (S_ISDIR(object.attributes.mode))
                    pending.push_back(object);
                else
                    seen[object.id] = {object.attributes.ctime_ns, object.handle.bytes, {}};
            }
        }
        return seen;
    }

    // Adds what differs to TOUCHED, as a map of changes would have it: birth by name alone.
    static void touch(const Snapshot& before, const Snapshot& after, std::map<ObjectId, journal::TouchedObject>& touched) {
        const auto object = [&](const ObjectId& id, const Seen& seen) -> journal::TouchedObject& {
            journal::TouchedObject& one = touched[id];
            one.id = id;
            one.handle = seen.handle;
            return one;
        };
        for (const auto& [id, seen] : after) {
            const auto old = before.find(id);
            const Seen nothing;
            const Seen& earlier = old == before.end() ? nothing : old->second;
            if (old == before.end() || earlier.ctime_ns != seen.ctime_ns) object(id, seen).ranges = {{0, UINT64_MAX}};
            for (const auto& [name, child] : seen.entries)
                if (const auto was = earlier.entries.find(name); was == earlier.entries.end() || was->second != child) object(id, seen).names.push_back(name);
            for (const auto& [name, child] : earlier.entries)
                if (seen.entries.count(name) == 0) object(id, seen).names.push_back(name);
        }
        // Gone by now; its handle leads nowhere.
        for (const auto& [id, seen] : before)
            if (after.count(id) == 0) object(id, seen);
    }

    Status repair_all() {
        rewind::CompareScope scope;
        scope.everything = true;
        rewind::RepairLedger ledger(target, no_progress);
        rewind::TreeBytes bytes(ledger, scope);
        const rewind::TreeRepairOptions options;
        HF_TRY(rewind::TreeRepair(*backing_, ledger, bytes, options).run());
        return target.settle();
    }

    Status repair(const std::map<ObjectId, journal::TouchedObject>& what) {
        journal::Touched touched;
        for (const auto& [id, object] : what) touched.objects.push_back(object);
        if (what.count(journal::root_object) == 0) touched.objects.push_back({journal::root_object, backing_->root().value().handle.bytes, {}, {}});
        const UniqueFd top = HF_TRY(backing_->open_top());
        OpenedHere places(top.get(), touched);
        const auto tree = HF_TRY(rewind::TouchedTree::look(places, touched, 1));
        rewind::RepairLedger ledger(target, no_progress);
        rewind::TouchedBytes bytes(places, tree, ledger, true);
        HF_TRY(target.settle());
        HF_TRY(rewind::TouchedRepair(tree, ledger, bytes, {}, left_over()).run());
        examined = ledger.objects();
        repairs = ledger.repairs();
        return target.settle();
    }

    // What is wrong; empty: nothing.
    std::string difference() {
        if (auto found = test::difference(tree(), target.model())) return *found;
        if (!left_over().empty()) return "a place for what was in the way is left";
        struct stat info;
        REQUIRE(::stat(tree().c_str(), &info) == 0);
        const int64_t mtime_ns = info.st_mtim.tv_sec * 1'000'000'000LL + info.st_mtim.tv_nsec;
        return target.model().at(journal::root_object).mtime_ns == mtime_ns ? "" : "mtime of the top";
    }

    ModelTarget target;
    uint64_t examined = 0, repairs = 0;

private:
    std::vector<rewind::ViewEntry> left_over() {
        std::vector<rewind::ViewEntry> entries;
        for (auto& entry : target.list(journal::root_object).value())
            if (entry.object.origin == 0) entries.push_back(entry);
        return entries;
    }

    ScratchDirectory scratch_;
    UniqueFd top_;
    std::optional<BackingTree> backing_;
};

}  // namespace

TEST_CASE("touched repair: after random changes the image equals the tree, and only what was touched was looked at") {
    for (uint64_t round = 0; round < 40; ++round) {
        Bench bench;
        RandomTree random(bench.tree(), tree_seed() + round);
        INFO("HOLDFAST_TEST_SEED=" << tree_seed() + round);
        random.change(120);
        REQUIRE(bench.repair_all().has_value());
        for (int step = 0; step < 8; ++step) {
            const Snapshot before = bench.look();
            random.change(1 + step * 6);
            std::map<ObjectId, journal::TouchedObject> touched;
            Bench::touch(before, bench.look(), touched);
            const auto repaired = bench.repair(touched);
            if (!repaired) FAIL(repaired.error().message);
            REQUIRE(bench.difference() == "");
            size_t named = 1;  // the top
            for (const auto& [id, object] : touched) named += 1 + object.names.size();
            CHECK(bench.examined <= named);
            REQUIRE(bench.repair(touched).has_value());
            CHECK(bench.repairs == 0);
        }
    }
}

TEST_CASE("touched repair: a pass that was cut off after any record is completed by the next, with what was touched since") {
    for (uint64_t round = 0; round < 25; ++round) {
        Bench bench;
        RandomTree random(bench.tree(), tree_seed() + 1000 + round);
        INFO("HOLDFAST_TEST_SEED=" << tree_seed() + round);
        random.change(120);
        REQUIRE(bench.repair_all().has_value());
        std::map<ObjectId, journal::TouchedObject> touched;
        for (int cut = 0; cut < 6; ++cut) {
            const Snapshot before = bench.look();
            random.change(25);
            // What was taken is given back, so it stays touched.
            std::map<ObjectId, journal::TouchedObject> now;
            Bench::touch(before, bench.look(), now);
            for (auto& [id, object] : now) {
                journal::TouchedObject& all = touched[id];
                object.names.insert(object.names.end(), all.names.begin(), all.names.end());
                std::sort(object.names.begin(), object.names.end());
                object.names.erase(std::unique(object.names.begin(), object.names.end()), object.names.end());
                if (object.ranges.empty()) object.ranges = all.ranges;
                all = object;
            }
            bench.target.fail_after = bench.target.records + static_cast<size_t>(cut) * 7 + round % 7;
            (void)bench.repair(touched).has_value();
            // What had been recorded until then was applied.
            bench.target.fail_after = ~size_t{0};
            REQUIRE(bench.target.settle().has_value());
        }
        const auto repaired = bench.repair(touched);
        if (!repaired) FAIL(repaired.error().message);
        REQUIRE(bench.difference() == "");
    }
}

}  // namespace holdfast::test

// Reconciliation of a whole volume: first copy, what changed while nobody watched, the gap that says so.
#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "rewind/reconcile/reconcile.h"
#include "rewind/restore/restore.h"
#include "test/rewind/random_tree.h"
#include "test/rewind/same_tree.h"
#include "test/rewind/store_bench.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using journal::Action;

void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

std::string read_file(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

rewind::ReconcileEvidence reconcile(StoreBench& bench, Action after, bool accept_deletions = false) {
    rewind::ReconcileOptions options;
    options.after = after;
    options.accept_deletions = accept_deletions;
    auto evidence = rewind::reconcile_volume(bench.volume(), bench.live_fd(), options, system_clock());
    if (!evidence) FAIL(evidence.error().message);
    return *evidence;
}

std::string image_difference(StoreBench& bench) {
    return tree_difference(bench.live(), bench.volume().store + "/image");
}

}  // namespace

TEST_CASE("reconcile volume: a first copy equals the tree; a second run after a clean close writes nothing") {
    StoreBench bench;
    RandomTree random(bench.live(), 4711);
    random.change(150);
    bench.record();
    bench.close();
    auto evidence = reconcile(bench, Action::settle_in_flight);
    CHECK(evidence.repairs == 0);
    CHECK(evidence.gap_begin == 0);
    CHECK(image_difference(bench) == "");
    evidence = reconcile(bench, Action::resume);
    CHECK(evidence.repairs == 0);
    CHECK(evidence.gap_begin == 0);
}

TEST_CASE("reconcile volume: changes made while nobody watched lie in a gap, moments before it stay exact") {
    StoreBench bench;
    RandomTree random(bench.live(), static_cast<uint64_t>(time(nullptr)));
    random.change(120);
    const journal::Lsn moment = bench.record();
    const std::string snapshot = bench.snapshot();
    bench.close();
    random.change(60);
    const auto evidence = reconcile(bench, Action::resume);
    CHECK(evidence.gap_begin > 0);
    CHECK(evidence.gap_end > evidence.gap_begin);
    CHECK(image_difference(bench) == "");
    bench.open();
    CHECK(bench.store().check_moment(bench.store().applied()).has_value());
    CHECK(bench.store().check_moment(moment).has_value());
    const auto inside = bench.store().check_moment(evidence.gap_end);
    REQUIRE(!inside.has_value());
    CHECK(inside.error().code == ErrorCode::gap);
    const rewind::View view(bench.store(), moment);
    const std::string restored = bench.scratch("restored");
    auto plan = rewind::plan_restore(view, "", restored, false);
    REQUIRE(plan.has_value());
    REQUIRE(rewind::restore(view, *plan).has_value());
    CHECK(tree_difference(snapshot, restored) == "");
}

TEST_CASE("reconcile volume: after a host crash there is a gap even if nothing differs") {
    StoreBench bench;
    write_file(bench.live("file"), "file");
    bench.record();
    bench.close();
    const auto evidence = reconcile(bench, Action::compare_suspects);
    CHECK(evidence.repairs == 0);
    CHECK(evidence.gap_begin > 0);
    CHECK(evidence.gap_end > 0);
    bench.open();
    CHECK(bench.store().check_moment(bench.store().applied()).has_value());
}

TEST_CASE("reconcile volume: what the journal deleted and the disk kept lives again") {
    StoreBench bench;
    fs::create_directories(bench.live("d"));
    write_file(bench.live("d/file"), std::string(50'000, 'f'));
    const journal::Lsn moment = bench.record();
    const std::string snapshot = bench.snapshot();
    // The deletion reaches the journal only: the live tree steps aside while it is recorded.
    const std::string aside = bench.scratch("aside");
    fs::rename(bench.live("d"), aside);
    bench.record();
    fs::rename(aside, bench.live("d"));
    bench.close();
    reconcile(bench, Action::compare_suspects);
    CHECK(image_difference(bench) == "");
    bench.open();
    const rewind::View view(bench.store(), moment);
    const std::string restored = bench.scratch("restored");
    auto plan = rewind::plan_restore(view, "d", restored, false);
    REQUIRE(plan.has_value());
    REQUIRE(rewind::restore(view, *plan).has_value());
    CHECK(tree_difference(snapshot + "/d", restored) == "");
}

TEST_CASE("reconcile volume: a tree that lost most of its objects is not followed without being told so") {
    StoreBench bench;
    for (uint64_t i = 0; i < rewind::deletion_brake_objects + 100; ++i) write_file(bench.live("f" + std::to_string(i)), "");
    write_file(bench.live("kept"), "kept");
    bench.record();
    bench.close();
    const std::string aside = bench.scratch("aside");
    fs::create_directory(aside);
    for (uint64_t i = 0; i < rewind::deletion_brake_objects + 100; ++i)
        fs::rename(bench.live("f" + std::to_string(i)), aside + "/f" + std::to_string(i));
    rewind::ReconcileOptions options;
    options.after = Action::resume;
    const auto stopped = rewind::reconcile_volume(bench.volume(), bench.live_fd(), options, system_clock());
    REQUIRE(!stopped.has_value());
    CHECK(stopped.error().code == ErrorCode::permission);
    const auto evidence = reconcile(bench, Action::resume, true);
    CHECK(evidence.objects_removed == rewind::deletion_brake_objects + 100);
    CHECK(image_difference(bench) == "");
}

TEST_CASE("reconcile volume: a first copy that was interrupted is continued, whatever the tree became meanwhile") {
    StoreBench bench;
    RandomTree random(bench.live(), static_cast<uint64_t>(time(nullptr)) + 5);
    random.change(150);
    bench.close();
    // A store that is new again.
    for (const char* part : {"/image", "/graveyard", "/undo", "/index", "/journal"}) {
        fs::remove_all(bench.volume().store + part);
        fs::create_directories(bench.volume().store + part);
    }
    fs::create_directories(bench.volume().store + "/journal/cursors");
    for (const auto& entry : fs::directory_iterator(bench.volume().store))
        if (entry.is_regular_file() && entry.path().filename() != "volume.toml") fs::remove(entry.path());
    std::ofstream(bench.volume().store + "/first-copy").flush();

    for (int attempt = 0; attempt < 3; ++attempt) {
        rewind::ReconcileOptions options;
        options.after = Action::start_fresh;
        int told = 0;
        options.progress = [&](const rewind::WorkProgress&) { return ++told < 1; };
        const auto stopped = rewind::reconcile_volume(bench.volume(), bench.live_fd(), options, system_clock());
        CHECK(!stopped.has_value());
        random.change(40);
    }
    const auto evidence = reconcile(bench, Action::start_fresh);
    CHECK(evidence.mode == "first copy");
    CHECK(image_difference(bench) == "");
    const auto again = reconcile(bench, Action::resume);
    CHECK(again.repairs == 0);
    CHECK(read_file(bench.volume().store + "/first-copy") == "");
}

}  // namespace holdfast::test

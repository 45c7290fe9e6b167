// The store of a replica: made, made again, refused; and the whole way of a tree from a source's journal into it.
#include "rewind/replica_store.h"

#include <catch2/catch.hpp>

#include <fcntl.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "journal/segment.h"
#include "journal/store_layout.h"
#include "rewind/reconcile/reconcile.h"
#include "rewind/store.h"
#include "test/rewind/random_tree.h"
#include "test/rewind/same_tree.h"
#include "test/support/scratch.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using journal::Lsn;
using journal::Volume;

constexpr uint64_t segment_bytes = HF_SEGMENT_BYTES_MIN;

template <typename T>
T need(Result<T> result) {
    if (!result) FAIL(result.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

struct Host {
    ScratchDirectory scratch;
    std::string real = fs::canonical(scratch.path());
    journal::VolumeId id = journal::random_volume_id();

    Host() { ::setenv("HOLDFAST_STATE_DIR", (scratch / "state").c_str(), 1); }
    ~Host() { ::unsetenv("HOLDFAST_STATE_DIR"); }
    std::string place(const std::string& name) const { return real + "/" + name; }
    Result<Volume> make(const std::string& name, Lsn at = 0) const { return rewind::make_replica_store(place(name), id, segment_bytes, 7, at); }
};

std::unique_ptr<rewind::Store> open_store(const Volume& volume) {
    auto disk = need(open_disk(volume.journal_directory));
    journal::Reader reader(*disk, volume.id, volume.segment_bytes, nullptr);
    return need(rewind::Store::open(volume, reader, system_clock()));
}

void apply_all(const Volume& volume) {
    auto disk = need(open_disk(volume.journal_directory));
    journal::Reader reader(*disk, volume.id, volume.segment_bytes, nullptr);
    auto store = open_store(volume);
    while (need(store->apply(reader, 1 << 20)) > 0) continue;
    need(store->checkpoint());
}

}  // namespace

TEST_CASE("replica store: a new one is empty, begins where it was told, and is registered") {
    Host host;
    const Volume made = need(host.make("store", 3 * segment_bytes));
    CHECK(made.is_replica());
    CHECK(made.origin == 7);
    CHECK(need(journal::find_volume(journal::to_string(host.id))).store == host.place("store"));
    CHECK(fs::is_empty(host.place("store/image")));
    const auto store = open_store(made);
    CHECK_FALSE(store->first_copy_pending());
    CHECK(store->applied() == 3 * segment_bytes);
    CHECK(store->window_begin() == 3 * segment_bytes);
    CHECK(store->check_moment(3 * segment_bytes));
}

TEST_CASE("replica store: what a crash left is done over, and a complete one is returned as it is") {
    Host host;
    need(host.make("store", segment_bytes));
    SECTION("before the description") {
        fs::remove_all(host.place("store"));
        fs::create_directories(host.place("store/journal/cursors"));
        fs::create_directory(host.place("store/image"));
        need(host.make("store", 2 * segment_bytes));
        CHECK(open_store(need(host.make("store")))->applied() == 2 * segment_bytes);
    }
    SECTION("before history began") {
        std::ofstream(host.place("store/first-copy")) << "x";
        need(host.make("store", 2 * segment_bytes));
        CHECK(open_store(need(host.make("store")))->applied() == 2 * segment_bytes);
    }
    SECTION("before it was registered") {
        need(journal::unregister_volume(need(journal::load_volume(host.place("store")))));
        need(host.make("store", 2 * segment_bytes));
        CHECK(journal::find_volume(journal::to_string(host.id)));
        CHECK(open_store(need(host.make("store")))->applied() == segment_bytes);
    }
}

TEST_CASE("replica store: what is there already is not touched, and nothing is left of what could not be made") {
    Host host;
    const auto code = [&](const std::string& name) { return host.make(name).error().code; };
    fs::create_directory(host.place("other"));
    std::ofstream(host.place("other/file")) << "x";
    CHECK(code("other") == ErrorCode::exists);
    std::ofstream(host.place("file")) << "x";
    CHECK(code("file") == ErrorCode::exists);
    need(host.make("store"));
    CHECK(code("second") == ErrorCode::exists);  // of the same volume
    CHECK_FALSE(fs::exists(host.place("second")));
    const auto other_id = journal::random_volume_id();
    CHECK(rewind::make_replica_store(host.place("store"), other_id, segment_bytes, 7, 0).error().code == ErrorCode::exists);
    CHECK(rewind::make_replica_store(host.place("store/inside"), other_id, segment_bytes, 7, 0).error().code == ErrorCode::exists);
    CHECK(rewind::make_replica_store(host.place("store"), host.id, 2 * segment_bytes, 7, 0).error().code == ErrorCode::exists);
    CHECK(rewind::make_replica_store(host.place("x"), other_id, 12345, 7, 0).error().code == ErrorCode::invalid_argument);
    const auto open = open_store(need(journal::load_volume(host.place("store"))));
    std::ofstream(host.place("store/first-copy")) << "x";
    CHECK(code("store") == ErrorCode::busy);
}

TEST_CASE("replica store: a journal that tells everything from its first byte makes the tree on another host") {
    Host host;
    Volume source;
    source.id = host.id;
    source.origin = 7;
    source.directory = host.place("live");
    source.store = host.place("source");
    source.journal_directory = source.store + "/journal";
    source.segment_bytes = segment_bytes;
    fs::create_directory(source.directory);
    need(journal::NewStore::make(source)).keep();
    const UniqueFd live(::open(source.directory.c_str(), O_RDONLY | O_DIRECTORY));
    rewind::ReconcileOptions options;
    options.after = journal::Action::start_fresh;
    need(rewind::reconcile_volume(source, live.get(), options, system_clock()));
    RandomTree random(source.directory, static_cast<uint64_t>(time(nullptr)));
    random.change(200);
    fs::permissions(source.directory, fs::perms(0751));  // of the top as well

    const bool is_interrupted = GENERATE(false, true);
    if (is_interrupted) {
        // So many that somebody is told of progress in between.
        for (int number = 0; number < 1500; ++number) std::ofstream(source.directory + "/many" + std::to_string(number)) << number;
        options.progress = [](const rewind::WorkProgress&) { return false; };
        CHECK(rewind::reconcile_volume(source, live.get(), options, system_clock()).error().code == ErrorCode::unavailable);
        CHECK(tree_difference(source.directory, source.store + "/image") != "");
        options.progress = {};
        random.change(30);
    }
    const auto evidence = need(rewind::reconcile_volume(source, live.get(), options, system_clock()));
    CHECK(evidence.gap_end > 0);
    CHECK(tree_difference(source.directory, source.store + "/image") == "");

    // Another host: its registry is another.
    ::setenv("HOLDFAST_STATE_DIR", (host.scratch / "replica-state").c_str(), 1);
    const Volume replica = need(host.make("replica"));
    for (const auto& entry : fs::directory_iterator(source.journal_directory))
        if (journal::parse_segment_name(entry.path().filename().string()))
            fs::copy(entry.path(), replica.journal_directory);
    apply_all(replica);
    CHECK(tree_difference(source.directory, replica.store + "/image") == "");
}

}  // namespace holdfast::test

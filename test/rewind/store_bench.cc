#include "test/rewind/store_bench.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "rewind/extents.h"
#include "rewind/reconcile/reconcile.h"
#include "rewind/reconcile/backing_tree.h"
#include "rewind/reconcile/tree_bytes.h"
#include "rewind/reconcile/tree_repair.h"

namespace holdfast::test {

namespace {

template <typename T>
T need(Result<T> result) {
    if (!result) FAIL(result.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

// cp makes holes of zeros, and zeros of a hole in a file that has few; the copy's holes are to be those of the original.
void copy_exactly(const std::string& original, const std::string& copy) {
    const UniqueFd from(::open(original.c_str(), O_RDONLY)), to(::open(copy.c_str(), O_WRONLY));
    struct stat info;
    REQUIRE(fstat(from.get(), &info) == 0);
    REQUIRE(ftruncate(to.get(), 0) == 0);
    for (const auto& extent : need(rewind::data_extents_of(from.get()))) {
        std::vector<std::byte> bytes(extent.length);
        bytes.resize(need(rewind::read_fully(from.get(), extent.offset, bytes)));
        REQUIRE(pwrite(to.get(), bytes.data(), bytes.size(), static_cast<off_t>(extent.offset)) == static_cast<ssize_t>(bytes.size()));
    }
    REQUIRE(ftruncate(to.get(), info.st_size) == 0);
    const timespec times[2] = {info.st_atim, info.st_mtim};
    REQUIRE(futimens(to.get(), times) == 0);
}

}  // namespace

StoreBench::StoreBench(uint64_t window_bytes_max) {
    namespace fs = std::filesystem;
    fs::create_directory(live());
    volume_.id = journal::random_volume_id();
    volume_.directory = live();
    volume_.store = scratch_ / "store";
    volume_.journal_directory = volume_.store + "/journal";
    volume_.segment_bytes = 4 << 20;
    volume_.window_bytes_max = window_bytes_max;
    for (const char* part : {"/journal/cursors", "/image", "/graveyard", "/undo", "/index"})
        fs::create_directories(volume_.store + part);
    std::ofstream(volume_.store + "/first-copy").flush();
    need(journal::save_volume(volume_));
    live_fd_.reset(::open(live().c_str(), O_RDONLY | O_DIRECTORY));
    rewind::ReconcileOptions options;
    options.after = journal::Action::start_fresh;
    need(rewind::reconcile_volume(volume_, live_fd_.get(), options, system_clock()));
    open();
}

StoreBench::~StoreBench() { close(); }

void StoreBench::open() {
    disk_ = need(open_disk(volume_.journal_directory));
    table_ = need(journal::InflightTable::open(volume_.journal_directory + "/inflight", volume_.id));
    reader_ = std::make_unique<journal::Reader>(*disk_, volume_.id, volume_.segment_bytes, nullptr);
    store_ = need(rewind::Store::open(volume_, *reader_, system_clock()));
    reader_->seek(store_->applied());
    place_.reset(new rewind::JournalPlace{volume_, *disk_, *table_, system_clock(),
                                          {(store_->applied() + volume_.segment_bytes - 1) / volume_.segment_bytes, {}}});
    // As if a gap were open already: then none is written.
    rewind::GapStory story;
    story.is_open = true;
    target_ = std::make_unique<rewind::JournalTarget>(*place_, *store_, *reader_, story);
}

void StoreBench::close() {
    target_.reset();
    place_.reset();
    store_.reset();
    reader_.reset();
    table_.reset();
    disk_.reset();
}

journal::Lsn StoreBench::record() {
    rewind::BackingTree tree = need(rewind::BackingTree::open(live_fd_.get(), volume_.origin, volume_.left_out));
    const rewind::ProgressSink no_progress;
    rewind::RepairLedger ledger(*target_, no_progress);
    rewind::CompareScope scope;
    scope.everything = true;
    rewind::TreeBytes bytes(ledger, scope);
    need(rewind::TreeRepair(tree, ledger, bytes, {}).run());
    need(target_->settle());
    return store_->applied();
}

std::string StoreBench::snapshot() {
    const std::string path = scratch_ / ("snapshot-" + std::to_string(snapshots_++));
    copy_tree(live(), path);
    return path;
}

void copy_tree(const std::string& from, const std::string& to) {
    REQUIRE(system(("cp -a '" + from + "' '" + to + "'").c_str()) == 0);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(from)) {
        if (std::filesystem::is_regular_file(entry.symlink_status())) copy_exactly(entry.path(), to + entry.path().string().substr(from.size()));
    }
}

}  // namespace holdfast::test

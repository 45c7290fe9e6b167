// The store of a replica without engines, made equal to a StoreBench's by questions and answers, cut off or dead in between where that is wanted.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include "rewind/replica_store.h"
#include "rewind/restore/restore.h"
#include "rewind/sync/replica_repair.h"
#include "test/rewind/direct_line.h"
#include "test/rewind/store_bench.h"

namespace holdfast::test {

namespace fs = std::filesystem;
using journal::Lsn;

template <typename T>
T need(Result<T> result) {
    if (!result) FAIL(result.error().message);
    if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

class Replica {
public:
    explicit Replica(StoreBench& source, const std::string& name = "replica") : source_(source), directory_(source.scratch(name)) {
        ::setenv("HOLDFAST_STATE_DIR", source.scratch("state of " + name).c_str(), 1);
        volume_ = need(rewind::make_replica_store(directory_, source.volume().id, source.volume().segment_bytes, source.volume().origin, 0));
        open();
    }
    void open() {
        disk_ = need(open_disk(volume_.store));
        journal_disk_ = need(open_disk(volume_.journal_directory));
        reader_ = std::make_unique<journal::Reader>(*journal_disk_, volume_.id, volume_.segment_bytes, nullptr);
        store_ = need(rewind::Store::open(volume_, *reader_, system_clock()));
    }
    void close() {
        store_.reset();
        reader_.reset();
    }
    Result<rewind::RepairEvidence> repair(Lsn at, uint64_t answers = UINT64_MAX, bool accepts = true) {
        DirectLine line(source_.store(), at, source_version, page_bytes);
        line.answers_left = answers;
        auto done = repair(line, at, accepts);
        asked = line.asked;
        return done;
    }
    // From another replica, which becomes its source as it is.
    rewind::RepairEvidence repair_from(Replica& other) {
        DirectLine line(other.store(), other.store().applied());
        return need(repair(line, store_->applied() + (32 << 20), true));
    }
    // As a process that dies leaves it: what had not reached the files is lost. The objects of the copy are found anew.
    void repair_and_die(Lsn at, uint64_t answers) {
        const std::string left = directory_ + ".left";
        {
            DirectLine line(source_.store(), at, source_version, page_bytes);
            line.answers_left = answers;
            line.at_break = [&] { copy_tree(directory_, left); };
            const auto done = repair(line, at, true);
            if (done) return;
            INFO(done.error().message);
            REQUIRE(fs::exists(left));
        }
        close();
        fs::remove_all(directory_);
        fs::rename(left, directory_);
        open();
    }
    // Takes in all that the source has, as an engine would have shipped it.
    void follow() {
        for (const auto& entry : fs::directory_iterator(source_.volume().journal_directory))
            if (entry.path().extension() == ".seg")
                std::ofstream(fs::path(volume_.journal_directory) / entry.path().filename(), std::ios::binary) << std::ifstream(entry.path(), std::ios::binary).rdbuf();
        reader_ = std::make_unique<journal::Reader>(*journal_disk_, volume_.id, volume_.segment_bytes, nullptr);
        while (need(store_->apply(*reader_, 1 << 20)) > 0) {
        }
        need(store_->checkpoint());
    }
    rewind::Store& store() { return *store_; }
    // As when somebody asks for it.
    void want_repair() { need(rewind::save_repair_mark(*disk_, {.is_of_everything = true})); }
    bool trusts_times = false;
    std::string image() const { return volume_.store + "/image"; }
    std::string restored(Lsn at) {
        const rewind::View view(*store_, at);
        const std::string target = source_.scratch("restored-" + std::to_string(number_++));
        need(rewind::restore(view, need(rewind::plan_restore(view, "", target, false))));
        return target;
    }
    const std::string& directory() const { return directory_; }
    // As if the end had come right before the mark was completed.
    void forget_completion() {
        auto was = *mark();
        was.is_complete = false;
        need(rewind::save_repair_mark(*disk_, was));
    }
    static constexpr size_t page_bytes = 600;  // so that there are many
    uint32_t source_version = rewind::sync_version;
    std::map<rewind::SyncKind, int> asked;  // by the last repair
    std::optional<rewind::RepairMark> mark() { return need(rewind::load_repair_mark(*disk_)); }

private:
    Result<rewind::RepairEvidence> repair(DirectLine& line, Lsn at, bool accepts) {
        const Lsn begin = at - at % volume_.segment_bytes;
        rewind::RepairOptions options;
        options.accept_deletions = accepts;
        options.trust_times = trusts_times;
        return rewind::repair_replica(*store_, *disk_, volume_.store, {at, 1'000'000'000 + at, begin, {}}, line, options, system_clock());
    }

    StoreBench& source_;
    const std::string directory_;
    journal::Volume volume_;
    std::unique_ptr<Disk> disk_, journal_disk_;
    std::unique_ptr<journal::Reader> reader_;
    std::unique_ptr<rewind::Store> store_;
    int number_ = 0;
};

inline void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace holdfast::test

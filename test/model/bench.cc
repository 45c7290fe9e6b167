#include "test/model/bench.h"

#include <cstdlib>
#include <filesystem>

#include "base/text.h"
#include "journal/inbound.h"
#include "journal/recovery.h"
#include "journal/store_layout.h"

namespace holdfast::test {

namespace fs = std::filesystem;

Result<journal::Volume> make_volume(const std::string& directory, bool has_standby) {
    journal::Volume volume;
    volume.id = journal::random_volume_id();
    volume.directory = directory + "/live";
    volume.store = directory + "/store";
    volume.journal_directory = volume.store + "/journal";
    volume.segment_bytes = HF_SEGMENT_BYTES_MIN;
    for (const char* part : {"/journal/cursors", "/image", "/graveyard", "/undo", "/index"}) fs::create_directories(volume.store + part);
    for (const char* part : {"/image", "/graveyard"}) HF_TRY(journal::keep_holes(volume.store + part));
    if (has_standby) {
        volume.role = journal::VolumeRole::replica;
        fs::create_directory(volume.directory);
    }
    HF_TRY(journal::save_volume(volume));
    return volume;
}

Result<std::unique_ptr<WrittenJournal>> WrittenJournal::open(const journal::Volume& volume) {
    auto bench = std::make_unique<WrittenJournal>();
    bench->disk_ = HF_TRY(open_disk(volume.journal_directory));
    bench->table_ = HF_TRY(journal::InflightTable::open(volume.journal_directory + "/inflight", volume.id));
    journal::WriterOptions options;
    options.segment_bytes = volume.segment_bytes;
    const journal::Survey found = HF_TRY(journal::survey(*bench->disk_, volume.id, volume.segment_bytes));
    const auto nothing = [](journal::Slot&, const journal::Record&) -> Result<std::optional<journal::Record>> { return std::optional<journal::Record>(); };
    const journal::RepairReport repaired = HF_TRY(journal::repair(*bench->disk_, volume.id, volume.segment_bytes, found, *bench->table_, nothing));
    bench->writer_ = HF_TRY(journal::Writer::open(*bench->disk_, *bench->table_, system_clock(), volume.id, repaired.stream_end, options));
    return bench;
}

Status cut_journal(const journal::Volume& volume, journal::Lsn at) {
    const auto disk = HF_TRY(open_disk(volume.journal_directory));
    const auto table = HF_TRY(journal::InflightTable::open(volume.journal_directory + "/inflight", volume.id));
    const auto inbound = HF_TRY(journal::Inbound::open(*disk, table.get(), volume.id, volume.segment_bytes, nullptr));
    return inbound->cut(at);
}

Result<std::unique_ptr<FollowingStore>> FollowingStore::open(const journal::Volume& volume, bool with_table) {
    auto bench = std::make_unique<FollowingStore>();
    bench->disk_ = HF_TRY(open_disk(volume.journal_directory));
    if (with_table) bench->table_ = HF_TRY(journal::InflightTable::open_existing(volume.journal_directory + "/inflight"));
    bench->reader_ = std::make_unique<journal::Reader>(*bench->disk_, volume.id, volume.segment_bytes, bench->table_.get());
    bench->store_ = HF_TRY(rewind::Store::open(volume, *bench->reader_, system_clock()));
    bench->reader_->seek(bench->store_->applied());
    return bench;
}

Status FollowingStore::apply_all() {
    while (HF_TRY(store_->apply(*reader_, 1 << 20)) > 0) {
    }
    return ok();
}

ScratchHere::ScratchHere(const std::string& prefix) : path((fs::current_path() / (prefix + "-XXXXXX")).string()) {
    if (!mkdtemp(path.data())) {
        std::fprintf(stderr, "skipped: no scratch directory at %s\n", path.c_str());
        std::exit(77);
    }
}

ScratchHere::~ScratchHere() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
}

}  // namespace holdfast::test

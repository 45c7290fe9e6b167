#include "test/sim/model_store.h"

#include <cstring>

#include "base/small_file.h"
#include "journal/reader.h"
#include "test/sim/ledger.h"
#include "test/support/journal_builder.h"

namespace holdfast::sim {

using namespace journal;

namespace {

constexpr uint64_t segment_bytes = test::JournalBuilder::segment_bytes;
constexpr std::string_view state_file = "image";

}  // namespace

void ModelStore::follow(Disk& journal, const VolumeId& volume, Lsn end) {
    if (moment_of(end, segment_bytes) <= state_.applied) return;
    Reader reader(journal, volume, segment_bytes, nullptr);
    reader.seek(state_.applied);
    while (reader.position() < end) {
        const auto record = must(reader.next_raw(), "a store reads its journal");
        if (!record) break;
        if (record->type != HF_VOID && record->type != HF_SEGMENT_END) {
            hf_record_header header;
            memcpy(&header, record->bytes.data(), sizeof header);
            uint64_t& part = state_.image[record->lsn / 8 % parts];
            part = (part ^ header.checksum) * 0x9e3779b97f4a7c15;
        }
        state_.applied = moment_of(reader.position(), segment_bytes);
        past_[state_.applied] = state_.image;
    }
    save();
}

void ModelStore::take_back(Lsn at) {
    if (state_.applied <= at) return;
    const auto found = past_.find(at);
    if (found == past_.end()) throw Failure("the store was sent back to " + std::to_string(at) + ", where it never was");
    state_ = {at, found->second};
    past_.erase(std::next(found), past_.end());
    save();
}

void ModelStore::set_part(size_t part, uint64_t value) {
    state_.image[part] = value;
    save();
}

void ModelStore::jump(Lsn at) {
    state_.applied = moment_of(at, segment_bytes);
    past_ = {{state_.applied, state_.image}};
    save();
}

void ModelStore::save() {
    must(replace_small_file(*disk_, state_file, std::string_view(reinterpret_cast<const char*>(&state_), sizeof state_)), "a store saves where it stands");
}

void ModelStore::load(std::unique_ptr<test::MemoryDisk> disk) {
    disk_ = std::move(disk);
    state_ = {};
    const auto text = read_small_file(*disk_, state_file, sizeof state_);
    if (text) memcpy(&state_, text->data(), sizeof state_);
}

}  // namespace holdfast::sim

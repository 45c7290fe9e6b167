#include "journal/chain_at.h"

#include <memory>
#include <optional>
#include <string>

#include "base/check.h"
#include "journal/beginning.h"
#include "journal/segment_walk.h"

namespace holdfast::journal {
namespace {

Error not_found(Lsn at, std::string_view why) {
    return {ErrorCode::not_found, "the journal has no chain at the address " + std::to_string(at) + ": " + std::string(why)};
}

class ChainFinder {
public:
    ChainFinder(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, Lsn at)
        : disk_(disk), volume_(volume), segment_bytes_(segment_bytes), at_(at), index_(segment_of(at, segment_bytes)) {}

    Result<ChainHash::Value> run() {
        const Lsn first = segment_first_record(index_, segment_bytes_);
        const bool is_beginning = at_ == first || at_ == segment_begin(index_, segment_bytes_);
        if (at_ < first && !is_beginning) return not_found(at_, "it lies inside the header of a segment");
        if (is_beginning && index_ == 0) return ChainHash::Value{};
        auto file = HF_TRY(open_segment(index_));
        if (!file && !is_beginning) return not_found(at_, segment_name(index_) + " is not kept");
        const auto before = HF_TRY(chain_before(file.get()));
        if (!before) return not_found(at_, "neither the seal of " + segment_name(index_) + " nor that of the segment before is kept");
        if (is_beginning) return *before;
        return follow(*file, *before);
    }

private:
    // Null when the segment is not kept, or was never begun.
    Result<std::unique_ptr<File>> open_segment(uint64_t index) {
        const std::string name = segment_name(index);
        auto file = disk_.open(name, Disk::Open::existing_read_only);
        if (!file && file.error().code == ErrorCode::not_found) return std::unique_ptr<File>();
        if (!file) return std::move(file).error();
        const auto header = read_segment_header(**file, volume_, segment_bytes_, index);
        // A name without a header is how a power cut leaves a segment that was just begun.
        if (!header && header.error().code == ErrorCode::torn) return std::unique_ptr<File>();
        if (!header) return Error(header.error()).within("journal segment " + name);
        return file;
    }

    // The chain where segment index_ begins. FILE is null when it is not kept.
    Result<std::optional<ChainHash::Value>> chain_before(File* file) {
        std::optional<SegmentEnd> own, previous;
        if (file) own = HF_TRY(read_seal(*file, index_, segment_bytes_));
        if (index_ == 0) return std::optional<ChainHash::Value>(ChainHash::Value{});
        if (auto before = HF_TRY(open_segment(index_ - 1))) previous = HF_TRY(find_seal(*before, index_ - 1, segment_bytes_));
        if (own && previous && own->chain_before != previous->chain_after)
            return Error{ErrorCode::corrupt, "journal segment " + segment_name(index_) + " does not continue the chain of the segment before"};
        if (previous) return std::optional(previous->chain_after);
        if (!own && file) own = HF_TRY(find_seal(*file, index_, segment_bytes_));
        if (own) return std::optional(own->chain_before);
        const auto beginning = HF_TRY(load_beginning(disk_));
        if (beginning && beginning->lsn == segment_begin(index_, segment_bytes_)) return std::optional(beginning->chain);
        return std::optional<ChainHash::Value>();
    }

    Result<ChainHash::Value> follow(File& file, const ChainHash::Value& before) {
        SegmentWalk walk = HF_TRY(SegmentWalk::open(file, index_, segment_bytes_));
        ChainHash chain(before);
        while (walk.position() < at_) {
            const auto record = HF_TRY(walk.next());
            if (!record) return missing_record(file, walk);
            if (record->type != HF_SEGMENT_END) chain.add(walk.checksum());
        }
        if (walk.position() > at_) return not_found(at_, "a record reaches across it");
        return chain.here();
    }

    // A seal vouches for the records before it, and so does a segment that follows: damage there is damage.
    Result<ChainHash::Value> missing_record(File& file, const SegmentWalk& walk) {
        const std::string place = segment_name(index_) + " at the address " + std::to_string(walk.position());
        if (walk.why() == ErrorCode::unsupported)
            return Error{ErrorCode::unsupported, place + " is a record of a kind that this version of holdfast does not know"};
        const bool is_promised = HF_TRY(read_seal(file, index_, segment_bytes_)) || HF_TRY(open_segment(index_ + 1));
        if (is_promised || walk.why() == ErrorCode::corrupt)
            return Error{ErrorCode::corrupt, "the journal is damaged in " + place};
        return not_found(at_, "the whole records end at " + std::to_string(walk.position()));
    }

    Disk& disk_;
    const VolumeId& volume_;
    const uint64_t segment_bytes_;
    const Lsn at_;
    const uint64_t index_;
};

}  // namespace

Result<ChainHash::Value> chain_at(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, Lsn at) {
    HF_CHECK(is_segment_size(segment_bytes));
    return ChainFinder(disk, volume, segment_bytes, at).run();
}

}  // namespace holdfast::journal

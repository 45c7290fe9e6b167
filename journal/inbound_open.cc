// What an inbound journal holds when nobody has it open, and how much of that is taken over.
//
// The end of the process leaves the newest file with any prefix of the bytes of a batch behind received(). A power cut
// leaves any part of what was not synced, which the order in begin_segment() and drop_from() keeps inside the newest segment:
// its records with holes, its seal without its records, its header missing, its name missing, or its file longer than it
// was cut. All of that ends at the first place where no whole record stands, and everything behind comes again.
#include <algorithm>

#include "base/buffer.h"
#include "base/check.h"
#include "journal/inbound.h"
#include "journal/segment_walk.h"

namespace holdfast::journal {
namespace {

constexpr size_t rewrite_bytes = 1 << 20;

struct Names {
    std::deque<uint64_t> segments;
    std::vector<std::string> spares;
};

Result<Names> list_names(Disk& disk) {
    Names names;
    for (const std::string& name : HF_TRY(disk.list())) {
        if (is_spare_name(name)) names.spares.push_back(name);
        if (const auto index = parse_segment_name(name)) names.segments.push_back(*index);
    }
    std::sort(names.segments.begin(), names.segments.end());
    return names;
}

Error damaged(uint64_t index, std::string_view why) {
    return {ErrorCode::corrupt, "the inbound journal is damaged in " + segment_name(index) + ": " + std::string(why) +
                                    "; whole segments follow, so nothing is cut here and the replica must be repaired (`holdfast replica repair`)"};
}

bool fits(const SegmentEnd& seal, const ChainHash& chain) {
    return seal.chain_before == chain.before() && seal.chain_after == chain.after() && seal.record_count == chain.count();
}

}  // namespace

Result<std::unique_ptr<Inbound>> Inbound::open(Disk& disk, InflightTable* table, const VolumeId& volume, uint64_t segment_bytes,
                                               std::string* evidence) {
    if (!is_segment_size(segment_bytes))
        return Error{ErrorCode::invalid_argument, std::to_string(segment_bytes) + " is not a segment size: a power of two from 2 MiB to 1 GiB"};
    std::unique_ptr<Inbound> inbound(new Inbound(disk, table, volume, segment_bytes));
    std::string found;
    inbound->announce_cut();  // what is torn goes, and an earlier cut may have ended half way
    const Status taken = inbound->take_stock(found);
    if (evidence) *evidence = found + (taken ? "" : "refused: " + taken.error().message + ". ");
    if (!taken) return taken.error();
    inbound->publish();
    inbound->announce_cut_done();
    // The words above are true from here on, also for the next process of this run of the host.
    if (table) table->stamp_boot();
    return inbound;
}

// The newest first, each removal durable before the next, so that what a crash leaves is no other damage than there was.
Status Inbound::give_up(Disk& disk) {
    const Names names = HF_TRY(list_names(disk));
    for (auto index = names.segments.rbegin(); index != names.segments.rend(); ++index) {
        HF_TRY(disk.remove(segment_name(*index)));
        HF_TRY(disk.sync_directory());
    }
    return remove_beginning(disk);
}

Status Inbound::take_stock(std::string& evidence) {
    const Names names = HF_TRY(list_names(disk_));
    segments_ = names.segments;
    evidence = std::to_string(segments_.size()) + " segments were examined. ";
    beginning_ = HF_TRY(load_beginning(disk_));
    std::optional<ChainHash::Value> chain = segments_.empty() ? std::nullopt : chain_known_before(segments_.front());
    for (size_t i = 0; i + 1 < segments_.size(); ++i) {
        if (segments_[i + 1] != segments_[i] + 1) return damaged(segments_[i] + 1, "it is missing");
        HF_TRY(judge_older(segments_[i], chain));
    }
    if (!segments_.empty()) HF_TRY(adopt_newest(chain, evidence));
    for (const std::string& spare : names.spares) HF_TRY(disk_.remove(spare));  // begun and never used
    if (segments_.empty()) stand_at_beginning();
    else HF_TRY(make_kept_durable());
    HF_TRY(drop_outlived_beginning());
    durable_ = received_;
    evidence += segments_.empty() ? "Nothing is kept. "
                                  : "Kept are the addresses from " + std::to_string(begin()) + " to " + std::to_string(received_) + ". ";
    return ok();
}

// A segment with a successor was whole, and durable, before that was begun. CHAIN is where it begins, then where it ends.
Status Inbound::judge_older(uint64_t index, std::optional<ChainHash::Value>& chain) {
    const auto file = HF_TRY(disk_.open(segment_name(index), Disk::Open::existing_read_only));
    const auto header = read_segment_header(*file, volume_, segment_bytes_, index);
    if (!header && header.error().code == ErrorCode::torn) return damaged(index, header.error().message);
    if (!header && header.error().code == ErrorCode::corrupt) return damaged(index, header.error().message);
    if (!header) return Error(header.error()).within("journal segment " + segment_name(index));
    const auto seal = HF_TRY(find_seal(*file, index, segment_bytes_));
    if (!seal) return damaged(index, "it has no seal");
    if (chain && seal->chain_before != *chain) return damaged(index, "it does not continue the chain of the segment before");
    chain = seal->chain_after;
    return ok();
}

// BEFORE is the chain at its beginning, when that is known.
Status Inbound::adopt_newest(std::optional<ChainHash::Value> before, std::string& evidence) {
    const uint64_t index = segments_.back();
    file_ = HF_TRY(disk_.open(segment_name(index), Disk::Open::existing));
    const auto header = read_segment_header(*file_, volume_, segment_bytes_, index);
    if (!header && (header.error().code == ErrorCode::torn || header.error().code == ErrorCode::corrupt))
        return drop_headless(before, header.error(), evidence);
    if (!header) return Error(header.error()).within("journal segment " + segment_name(index));

    if (!before) {
        if (const auto own = HF_TRY(find_seal(*file_, index, segment_bytes_))) before = own->chain_before;
    }
    ChainHash chain(before.value_or(ChainHash::Value{}));
    SegmentWalk walk = HF_TRY(SegmentWalk::open(*file_, index, segment_bytes_));
    while (const auto record = HF_TRY(walk.next())) {
        if (record->type != HF_SEGMENT_END) {
            chain.add(walk.checksum());
            continue;
        }
        // Whole, and not what append() let in.
        if (!before || !fits(record->as<SegmentEnd>(), chain))
            return Error{ErrorCode::corrupt, "the seal of journal segment " + segment_name(index) + " does not fit its records"};
        received_ = walk.position();
        is_sealed_ = true;
        chain_ = ChainHash(chain.after());
        return file_->truncate(place_in_newest(record->lsn) + HF_SEGMENT_END_BYTES);
    }
    if (walk.why() == ErrorCode::unsupported)
        return Error{ErrorCode::unsupported, "journal segment " + segment_name(index) + " has a record at the address " +
                                                 std::to_string(walk.position()) + " that this version of holdfast does not know"};
    received_ = walk.position();
    is_sealed_ = false;
    if (before) chain_ = std::move(chain);
    return cut_torn_tail(walk, evidence);
}

// A name without a header is what a power cut leaves of a segment that was just begun, and nothing in it was durable.
Status Inbound::drop_headless(const std::optional<ChainHash::Value>& before, const Error& why, std::string& evidence) {
    const uint64_t index = segments_.back();
    SegmentWalk walk = HF_TRY(SegmentWalk::open(*file_, index, segment_bytes_));
    const auto whole = HF_TRY(walk.find());
    evidence += segment_name(index) + " was removed, because " + why.message +
                (whole ? "; a whole record stood in it at the address " + std::to_string(*whole) : "") + ". ";
    file_.reset();
    HF_TRY(remove_durably(index));
    segments_.pop_back();
    if (segments_.empty()) return ok();
    // It passed judge_older().
    file_ = HF_TRY(disk_.open(segment_name(segments_.back()), Disk::Open::existing));
    received_ = segment_begin(index, segment_bytes_);
    is_sealed_ = true;
    HF_CHECK(before.has_value());
    chain_ = ChainHash(*before);
    return ok();
}

Status Inbound::cut_torn_tail(SegmentWalk& walk, std::string& evidence) {
    if (table_ && table_->survived() && table_->head().durable.load() > received_)
        evidence += "The disk lost what had been durable up to " + std::to_string(table_->head().durable.load()) + ". ";
    if (HF_TRY(walk.is_blank())) return ok();
    const auto whole = HF_TRY(walk.find());
    evidence += segment_name(segments_.back()) + " was cut at the address " + std::to_string(received_) +
                ", where no whole record stands" +
                (whole ? "; whole records stood behind, the first at " + std::to_string(*whole) : "") + ". ";
    return shorten_newest();
}

// What the page cache holds the disk may not have: the sync of a process before this one may have failed, which leaves
// pages that are clean, cannot be told from others, and would make a sync of ours succeed. So what is not known to be durable
// is written once more, over itself. That is one segment at most: those before it were durable before it was begun.
Status Inbound::make_kept_durable() {
    const uint64_t index = segments_.back();
    const Lsn begin = segment_begin(index, segment_bytes_);
    const Lsn known = table_ && table_->survived() ? table_->head().durable.load() : 0;
    const uint64_t end = is_sealed_ ? HF_TRY(file_->size()) : place_in_newest(received_);
    Buffer buffer(rewrite_bytes);
    for (uint64_t place = known > begin ? known - begin : 0; place < end;) {
        const MutableByteSpan part(buffer.data(), std::min<uint64_t>(buffer.size(), end - place));
        const size_t got = HF_TRY(file_->pread(part, place));
        if (got == 0) break;
        HF_TRY(file_->pwrite(ByteSpan(part).first(got), place));
        place += got;
    }
    HF_TRY(file_->sync());
    return disk_.sync_directory();
}

}  // namespace holdfast::journal

#include "rewind/undo/undo_log.h"

#include <cstring>

#include "base/check.h"
#include "base/text.h"
#include "rewind/undo/undo_appender.h"
#include "rewind/undo/undo_files.h"
#include "rewind/undo/undo_tail.h"
#include "rewind/verified_items.h"

namespace holdfast::rewind {

namespace {

Error damaged(UndoAddress address, const std::string& what) {
    return {ErrorCode::corrupt, "the undo log is damaged at " + std::to_string(address) + ": " + what};
}

// Damage to older segments does not keep the log from going on; whoever needs them is told when reading.
Status look_at_older(Disk& disk, const journal::VolumeId& volume, const UndoSurvey& survey, std::string& evidence) {
    for (const uint64_t index : survey.segments) {
        if (index == survey.tail.index) continue;
        auto file = HF_TRY(disk.open(undo_segment_name(index), Disk::Open::existing_read_only));
        auto header = read_undo_segment_header(*file, volume, index);
        if (header && header->segment_bytes == survey.segment_bytes) continue;
        if (!header && header.error().code == ErrorCode::io) return std::move(header).error();
        evidence += "Damage in the history: " +
                    (header ? "undo segment " + undo_segment_name(index) + " is of another size" : header.error().message) +
                    "; moments that need it cannot be shown. ";
    }
    return ok();
}

}  // namespace

class UndoLog::Impl {
public:
    Impl(Disk& disk, const journal::VolumeId& volume, uint64_t segment_bytes, size_t write_bytes)
        : volume(volume), files(disk), appender(disk, volume, segment_bytes, write_bytes, files), segment_bytes(segment_bytes) {}

    // An item that lies in the log and whose checksum fits: its bytes without padding in STORAGE.
    Result<UndoItem> item_at(UndoAddress address, std::vector<std::byte>& storage);
    Status scan(UndoAddress from, const std::function<bool(const UndoRecord&)>& visit);

    struct ItemPlace {
        std::shared_ptr<File> file;
        uint64_t offset;  // in the file
        size_t head;      // bytes before name and data
        size_t bytes;     // all of it
    };
    Result<ItemPlace> find_item(UndoAddress address);

    const journal::VolumeId volume;
    UndoFiles files;
    UndoAppender appender;
    VerifiedItems verified;
    const uint64_t segment_bytes;
};

Result<UndoLog::Impl::ItemPlace> UndoLog::Impl::find_item(UndoAddress address) {
    ItemPlace place;
    place.file = HF_TRY(files.get(address / segment_bytes));
    place.offset = address % segment_bytes;
    hf_undo_item head{};
    const size_t got = HF_TRY(place.file->pread({reinterpret_cast<std::byte*>(&head), sizeof head}, place.offset));
    if (place.offset < HF_UNDO_SEGMENT_HEADER_BYTES || got < sizeof head) return damaged(address, "no item is there");
    place.head = undo_item_head_length(head);
    place.bytes = place.head + head.name_length + head.data_length;
    // Nothing is allocated for a length that no item can have.
    if (place.head == 0 || place.bytes > HF_UNDO_RECORD_BYTES_MAX) return damaged(address, "no item is there");
    return place;
}

Result<UndoItem> UndoLog::Impl::item_at(UndoAddress address, std::vector<std::byte>& storage) {
    const ItemPlace place = HF_TRY(find_item(address));
    storage.resize(place.bytes);
    const size_t got = HF_TRY(place.file->pread(storage, place.offset));
    if (got < place.bytes || !undo_item_is_whole(storage)) return damaged(address, "the item's checksum does not fit");
    size_t taken = 0;
    return decode_undo_item(storage, address, ObjectId{}, &taken);
}

Status UndoLog::Impl::scan(UndoAddress from, const std::function<bool(const UndoRecord&)>& visit) {
    const UndoAddress stop = appender.end();
    if (from == 0) from = appender.begin();
    bool open_group = false;
    Lsn open_lsn = 0, end_lsn = 0;
    while (from < stop) {
        const uint64_t index = from / segment_bytes;
        const UndoAddress base = index * segment_bytes;
        auto file = HF_TRY(files.get(index));
        const uint64_t limit = index == stop / segment_bytes ? stop - base : HF_TRY(file->size());
        UndoSegmentScanner scanner(*file, base, std::max<uint64_t>(from - base, HF_UNDO_SEGMENT_HEADER_BYTES), limit);
        for (;;) {
            const UndoAddress address = base + scanner.offset();
            auto next = scanner.next();
            // Below the end everything was whole once.
            if (!next && next.error().code == ErrorCode::torn) return damaged(address, "no whole record is there");
            if (!next) return std::move(next).error();
            if (!*next && index != stop / segment_bytes) return damaged(address, "the segment has no seal");
            if (!*next || (*next)->is_seal) break;
            const UndoRecord& record = (*next)->record;
            if (open_group ? record.lsn != open_lsn : record.lsn < end_lsn) return damaged(address, "a record is out of order");
            open_group = record.continued;
            open_lsn = record.lsn;
            end_lsn = record.end_lsn;
            if (!visit(record)) return ok();
        }
        from = base + segment_bytes + HF_UNDO_SEGMENT_HEADER_BYTES;
    }
    return ok();
}

UndoLog::UndoLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
UndoLog::~UndoLog() = default;

Result<std::unique_ptr<UndoLog>> UndoLog::open(Disk& disk, const journal::VolumeId& volume, std::string* evidence,
                                               uint64_t segment_bytes, size_t write_bytes) {
    HF_CHECK(segment_bytes >= undo_segment_bytes_min && segment_bytes <= undo_segment_bytes_max);
    HF_CHECK(segment_bytes % HF_UNDO_ALIGNMENT == 0);
    UndoSurvey survey = HF_TRY(find_undo_tail(disk, volume));
    HF_TRY(look_at_older(disk, volume, survey, survey.evidence));
    if (survey.cut_bytes != 0 || !survey.surplus.empty())
        HF_TRY(cut_undo_tail(disk, survey.surplus, survey.tail.index, survey.tail.sealed ? 0 : survey.tail.offset));
    if (survey.segment_bytes != 0) segment_bytes = survey.segment_bytes;
    const size_t count = survey.segments.size();
    auto impl = std::make_unique<Impl>(disk, volume, segment_bytes, write_bytes);
    const std::string found = std::move(survey.evidence);
    HF_TRY(impl->appender.load(std::move(survey)));
    if (evidence)
        *evidence += found + "The undo log has " + std::to_string(count) + " segments with " +
                     human_bytes(impl->files.used_bytes()) + " and ends at " + std::to_string(impl->appender.end()) +
                     ", LSN " + std::to_string(impl->appender.end_lsn()) + ". ";
    return std::unique_ptr<UndoLog>(new UndoLog(std::move(impl)));
}

Status UndoLog::append(UndoRecord& record) {
    return impl_->appender.append(record);
}

Status UndoLog::sync() {
    return impl_->appender.sync();
}

UndoAddress UndoLog::begin() const {
    return impl_->appender.begin();
}

UndoAddress UndoLog::end() const {
    return impl_->appender.end();
}

Lsn UndoLog::last_lsn() const {
    return impl_->appender.last_lsn();
}

Lsn UndoLog::end_lsn() const {
    return impl_->appender.end_lsn();
}

uint64_t UndoLog::used_bytes() const {
    return impl_->files.used_bytes();
}

uint64_t UndoLog::segment_bytes() const {
    return impl_->segment_bytes;
}

Status UndoLog::scan(UndoAddress from, const std::function<bool(const UndoRecord&)>& visit) const {
    if (from != 0 && from < begin())
        return Error{ErrorCode::not_found, "undo records from address " + std::to_string(from) + " on were asked for, but the log begins at " + std::to_string(begin())};
    return impl_->scan(from, visit);
}

Result<UndoLog::SegmentCheck> UndoLog::check_segment(uint64_t number, const std::function<bool(const UndoRecord&)>& visit) const {
    const UndoAddress stop = end(), base = number * impl_->segment_bytes;
    const bool is_newest = number == stop / impl_->segment_bytes;
    const auto file = HF_TRY(impl_->files.get(number));
    const auto header = HF_TRY(read_undo_segment_header(*file, impl_->volume, number));
    SegmentCheck check;
    memcpy(check.chain_before.data(), header.chain_before, check.chain_before.size());
    UndoChain chain(check.chain_before);
    UndoSegmentScanner scanner(*file, base, sizeof header, is_newest ? stop - base : HF_TRY(file->size()));
    for (;;) {
        const UndoAddress address = base + scanner.offset();
        auto next = scanner.next();
        if (!next && next.error().code == ErrorCode::torn) return damaged(address, "no whole record is there");
        if (!next) return std::move(next).error();
        if (!*next && !is_newest) return damaged(address, "the segment has no seal");
        if (!*next) return check;
        const DecodedUndo& decoded = **next;
        if (decoded.is_seal) {
            check.chain_after = chain.after();
            check.is_sealed = true;
            const bool fits = memcmp(decoded.seal.chain_before, check.chain_before.data(), check.chain_before.size()) == 0 &&
                              memcmp(decoded.seal.chain_after, check.chain_after.data(), check.chain_after.size()) == 0 &&
                              decoded.seal.record_count == check.record_count;
            if (!fits) return damaged(address, "the seal does not fit the records");
            return check;
        }
        chain.add(decoded.checksum);
        ++check.record_count;
        if (!visit(decoded.record)) return check;
    }
}

Status UndoLog::read_data(UndoAddress item, uint64_t skip, MutableByteSpan into) const {
    if (!impl_->verified.contains(item)) {
        std::vector<std::byte> storage;
        const UndoItem whole = HF_TRY(impl_->item_at(item, storage));
        impl_->verified.add(item);
        if (skip > whole.data.size() || into.size() > whole.data.size() - skip) return damaged(item, "the item is shorter than the index says");
        memcpy(into.data(), whole.data.data() + skip, into.size());
        return ok();
    }
    const auto place = HF_TRY(impl_->find_item(item));
    hf_undo_item head{};
    (void)HF_TRY(place.file->pread({reinterpret_cast<std::byte*>(&head), sizeof head}, place.offset));
    if (skip > head.data_length || into.size() > head.data_length - skip) return damaged(item, "the item is shorter than the index says");
    const size_t got = HF_TRY(place.file->pread(into, place.offset + place.head + head.name_length + skip));
    if (got < into.size()) return damaged(item, "the segment ends in the middle of it");
    return ok();
}

Result<UndoItem> UndoLog::read_item(UndoAddress item, std::vector<std::byte>& storage) const {
    return impl_->item_at(item, storage);
}

Result<UndoAddress> UndoLog::drop_below(UndoAddress address) {
    return impl_->appender.drop_below(address);
}

}  // namespace holdfast::rewind

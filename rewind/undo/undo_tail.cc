#include "rewind/undo/undo_tail.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/text.h"

namespace holdfast::rewind {

namespace {

// What one segment holds, up to the last place where a journal record is whole.
struct SegmentSurvey {
    hf_undo_segment_header header{};
    UndoTail tail;                 // at that place
    bool holds_group_end = false;  // false: TAIL is the state before the first record
    bool is_open_group = false;    // parts of an unfinished journal record follow TAIL
    bool damaged = false;
    uint64_t size = 0;
};

// The highest offset that a whole record behind OFFSET shows to have been durable before it was written; zero when no
// whole record is there. Every place is looked at: what the damaged record says about its own length proves nothing.
Result<uint64_t> durable_end_behind(File& file, UndoAddress base, uint64_t offset, uint64_t size, Lsn next_lsn) {
    std::vector<std::byte> bytes(size - offset);
    const size_t got = HF_TRY(file.pread(bytes, offset));
    const ByteSpan all = ByteSpan(bytes).first(got);
    uint64_t durable = 0;
    hf_undo_record head{};
    for (size_t at = HF_UNDO_ALIGNMENT; at + sizeof head <= all.size();) {
        memcpy(&head, all.data() + at, sizeof head);
        const size_t length = claimed_undo_length(all.subspan(at));
        const uint64_t place = offset + at;
        // Cheap questions first: hashing at every place would take minutes.
        const bool plausible = length != 0 && length <= all.size() - at && head.lsn >= next_lsn && head.end_lsn >= head.lsn &&
                               head.item_count <= HF_UNDO_PART_ITEMS_MAX && head.unsynced_bytes <= place &&
                               (head.undo_flags & ~HF_UNDO_FLAGS_ALL) == 0;
        const bool whole = plausible && decode_undo(all.subspan(at), base + place);
        if (whole) durable = std::max(durable, place - head.unsynced_bytes);
        at += whole ? length : HF_UNDO_ALIGNMENT;
    }
    return durable;
}

Error out_of_order(UndoAddress address) {
    return {ErrorCode::corrupt, "undo record at " + std::to_string(address) + " is out of order"};
}

// Whether RECORD may come behind BEFORE, which is nothing at the start of a segment.
bool follows(const UndoTail& whole, const std::optional<UndoRecord>& before, const UndoRecord& record) {
    if (before && before->continued) return record.lsn == before->lsn;
    return record.lsn >= whole.end_lsn;
}

Status check_seal(const DecodedUndo& decoded, const UndoTail& now) {
    const ChainHash after = now.chain.after();
    const bool fits = memcmp(decoded.seal.chain_before, now.chain.before().data(), after.size()) == 0 &&
                      memcmp(decoded.seal.chain_after, after.data(), after.size()) == 0 &&
                      decoded.seal.record_count == now.record_count;
    if (fits) return ok();
    return Error{ErrorCode::corrupt, "the seal of undo segment " + undo_segment_name(now.index) + " does not fit its records"};
}

// Walks the records of one segment. Damage that tore an unsynced end is told in the result; other damage is an error.
Result<SegmentSurvey> survey_segment(Disk& disk, const journal::VolumeId& volume, uint64_t index) {
    auto file = HF_TRY(disk.open(undo_segment_name(index), Disk::Open::existing_read_only));
    SegmentSurvey survey;
    survey.header = HF_TRY(read_undo_segment_header(*file, volume, index));
    survey.size = HF_TRY(file->size());
    const UndoAddress base = index * survey.header.segment_bytes;
    ChainHash chain_before;
    memcpy(chain_before.data(), survey.header.chain_before, chain_before.size());
    survey.tail = {index, sizeof(hf_undo_segment_header), false, 0, UndoChain(chain_before), survey.header.previous_lsn,
                   survey.header.previous_end_lsn, survey.header.previous_time_ns};

    UndoTail now = survey.tail;  // runs ahead of survey.tail through the parts of one journal record
    std::optional<UndoRecord> before;
    UndoSegmentScanner scanner(*file, base, now.offset, survey.size);
    for (;;) {
        auto next = scanner.next();
        if (!next && next.error().code != ErrorCode::torn) return std::move(next).error();
        if (!next) {
            survey.damaged = true;
            const uint64_t durable = HF_TRY(durable_end_behind(*file, base, now.offset, survey.size, now.end_lsn));
            if (durable > now.offset)
                return Error{ErrorCode::corrupt, "the undo log is damaged at " + std::to_string(base + now.offset) +
                                                     " in " + undo_segment_name(index) + ", in what was durable before"};
            return survey;
        }
        if (!*next) return survey;
        const DecodedUndo& decoded = **next;
        if (decoded.is_seal) {
            HF_TRY(check_seal(decoded, now));
            now.sealed = true;
            if (!survey.is_open_group) survey.tail = std::move(now);
            return survey;
        }
        const UndoRecord& record = decoded.record;
        if (!follows(survey.tail, before, record)) return out_of_order(record.address);
        now.offset = record.end - base;
        now.chain.add(decoded.checksum);
        ++now.record_count;
        before = record;
        before->items.clear();
        survey.is_open_group = record.continued;
        if (record.continued) continue;
        now.last_lsn = record.lsn;
        now.end_lsn = record.end_lsn;
        now.last_time_ns = record.time_ns;
        survey.tail = now;
        survey.holds_group_end = true;
    }
}

// Names of segments, ascending. A number that is missing between two others is told in EVIDENCE.
Result<std::vector<uint64_t>> list_segments(Disk& disk, std::string& evidence) {
    std::vector<uint64_t> segments;
    for (const std::string& name : HF_TRY(disk.list()))
        if (const auto index = parse_undo_segment_name(name)) segments.push_back(*index);
    std::sort(segments.begin(), segments.end());
    for (size_t i = 1; i < segments.size(); ++i)
        if (segments[i] != segments[i - 1] + 1)
            evidence += "Undo segments are missing between " + undo_segment_name(segments[i - 1]) + " and " +
                        undo_segment_name(segments[i]) + "; moments that need them cannot be shown. ";
    return segments;
}

}  // namespace

Result<UndoSurvey> find_undo_tail(Disk& disk, const journal::VolumeId& volume) {
    UndoSurvey found;
    found.segments = HF_TRY(list_segments(disk, found.evidence));
    while (!found.segments.empty()) {
        const uint64_t index = found.segments.back();
        const bool has_older = found.segments.size() > 1 && found.segments[found.segments.size() - 2] + 1 == index;
        auto survey = survey_segment(disk, volume, index);
        if (!survey) {
            // A segment is made only after the one before it was sealed, so nothing is lost with it.
            const bool was_being_made = survey.error().code == ErrorCode::torn && found.surplus.empty() && (has_older || index == 0);
            if (!was_being_made) {
                Error error = std::move(survey).error();
                if (error.code == ErrorCode::torn) error.code = ErrorCode::corrupt;
                return std::move(error).within("the newest end of the undo log");
            }
            found.evidence += "Undo segment " + undo_segment_name(index) + " was being made and is taken away. ";
            found.surplus.push_back(index);
            found.segments.pop_back();
            continue;
        }
        if (survey->damaged && !found.surplus.empty())
            return Error{ErrorCode::corrupt, "undo segment " + undo_segment_name(index) + " has no seal, yet there was a newer one"};
        // An unfinished journal record may have begun in the segment before this one.
        if (!survey->holds_group_end && has_older && found.segment_bytes == 0) {
            auto before = HF_TRY(survey_segment(disk, volume, index - 1));
            if (!before.tail.sealed && !before.is_open_group)
                return Error{ErrorCode::corrupt, "undo segment " + undo_segment_name(index - 1) + " has no seal, yet there is a newer one"};
            if (before.is_open_group) {
                found.surplus.push_back(index);
                found.segments.pop_back();
                continue;
            }
        }
        found.segment_bytes = survey->header.segment_bytes;
        found.tail = std::move(survey->tail);
        found.cut_bytes = found.tail.sealed ? 0 : survey->size - found.tail.offset;
        break;
    }
    if (found.cut_bytes != 0)
        found.evidence += "Cut " + human_bytes(found.cut_bytes) + " of an unfinished record from the end of " +
                          undo_segment_name(found.tail.index) + ". ";
    return found;
}

Status cut_undo_tail(Disk& disk, const std::vector<uint64_t>& surplus, uint64_t index, uint64_t offset) {
    for (const uint64_t newer : surplus) {
        HF_TRY(disk.remove(undo_segment_name(newer)));
        // One by one: if the older of two vanished first, a crash would leave a hole in the numbers.
        HF_TRY(disk.sync_directory());
    }
    if (offset == 0) return ok();
    auto file = HF_TRY(disk.open(undo_segment_name(index), Disk::Open::existing));
    HF_TRY(file->truncate(offset));
    return file->sync();
}

}  // namespace holdfast::rewind

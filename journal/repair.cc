#include <algorithm>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "base/text.h"
#include "journal/recovery.h"
#include "journal/segment.h"
#include "journal/segment_walk.h"

namespace holdfast::journal {
namespace {

// Two ways to make the stream whole up to a new end:
//
// Fill. The host lived, so nothing that was written is missing: holes are reserved addresses. What has a slot is
// settled, the rest never began and becomes VOID. Segments are done in ascending order; a run that was stopped has
// left whole records behind, which the next run passes over. Applications wait meanwhile, so nothing is synced here:
// what the disk does not hold yet is the writer's to sync, as it was before the process died.
//
// Cut. The host died, or the middle is damaged: what lies beyond the first place that is not whole cannot be trusted
// to be a prefix of history. Later segments are emptied from the last one backward, and only then is the segment
// with the damage sealed before it: were it the other way round, a crash in between would leave a healthy-looking
// segment before records whose predecessors are gone, and the next run would take them for history. Emptied segments
// stay, because an address that a consumer may have seen is never used for another record.
class Repair {
public:
    Repair(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, const Survey& survey, InflightTable& table,
           const Settle& settle, const SurveyHints& hints)
        : disk_(disk), volume_(volume), segment_bytes_(segment_bytes), survey_(survey), table_(table), settle_(settle), hints_(hints) {}

    Result<RepairReport> run() {
        report_.stream_end.chain = survey_.chain.before();
        report_.stream_end.uncut = survey_.uncut;
        report_.end = survey_.end;
        bool fills = survey_.middle == MiddleState::whole && table_.survived();
        HF_TRY(collect_slots(fills));
        std::optional<uint64_t> last = HF_TRY(last_segment());
        uint64_t first_open = segment_of(survey_.end, segment_bytes_);
        if (last && first_open <= *last) HF_TRY(fills ? fill(first_open, *last) : cut(first_open, *last));
        report_.stream_end.next_segment = last ? std::max(*last + 1, first_open) : 0;
        report_.end = segment_begin(report_.stream_end.next_segment, segment_bytes_);
        if (fills) report_.stream_end.durable = std::min(table_.head().durable.load(), report_.end);
        forget_slots();
        return report_;
    }

private:
    // The last segment that must be whole when this is done; nothing when there is no journal.
    Result<std::optional<uint64_t>> last_segment() {
        std::optional<uint64_t> last;
        auto include = [&last](uint64_t index) { last = std::max(last.value_or(0), index); };
        for (const std::string& name : HF_TRY(disk_.list())) {
            if (auto index = parse_segment_name(name)) include(*index);
        }
        if (hints_.taken > 0) include(segment_of(hints_.taken - 1, segment_bytes_));
        for (const Slot* slot : slots_) include(segment_of(slot->lsn, segment_bytes_));
        return last;
    }

    // The slots whose record must be written, by address. Those whose record stands, or is dropped with everything from
    // the damage on, are only asked for the answer that a request which comes again must get: it was carried out.
    Status collect_slots(bool fills) {
        if (!table_.survived()) return ok();
        for (Slot& slot : table_.slots()) {
            if (slot.state.load() == static_cast<uint32_t>(SlotState::unrecorded)) HF_TRY(settle_unrecorded(slot));
            if (slot.state.load() != static_cast<uint32_t>(SlotState::intent) || !is_plausible(slot)) continue;
            auto standing = HF_TRY(type_standing_at(slot.lsn, slot.length));
            if (fills && !standing) {
                slots_.push_back(&slot);
            } else if (standing != HF_VOID) {
                bool took_effect = HF_TRY(settle_(slot, intent_of(slot))).has_value();
                if (took_effect || standing) slot.state.store(static_cast<uint32_t>(SlotState::recorded));
            }
        }
        std::sort(slots_.begin(), slots_.end(), [](const Slot* a, const Slot* b) { return a->lsn < b->lsn; });
        return ok();
    }

    // No record is missing, but a request that comes again must not be carried out twice.
    Status settle_unrecorded(Slot& slot) {
        const bool took_effect = slot.intent_length <= inflight_intent_bytes_max && HF_TRY(settle_(slot, intent_of(slot))).has_value();
        if (!took_effect) slot.request = 0;
        slot.state.store(static_cast<uint32_t>(took_effect ? SlotState::recorded : SlotState::idle));
        return ok();
    }

    // What a writer wrote that was killed before it could say so.
    Result<std::optional<hf_record_type>> type_standing_at(Lsn lsn, uint32_t slot_length) {
        uint64_t index = segment_of(lsn, segment_bytes_);
        auto file = disk_.open(segment_name(index), Disk::Open::existing_read_only);
        if (!file && file.error().code == ErrorCode::not_found) return std::optional<hf_record_type>();
        if (!file) return std::move(file).error();
        SegmentWalk walk = HF_TRY(SegmentWalk::open(**file, index, segment_bytes_, std::min(hints_.reserved, lsn + slot_length)));
        walk.seek(lsn);
        auto record = HF_TRY(walk.next());
        return record ? std::optional(record->type) : std::nullopt;
    }

    // An intent without an address (zero), or with one that was not handed out, belongs to an operation that never began.
    bool is_plausible(const Slot& slot) const {
        uint64_t in_segment = slot.lsn % segment_bytes_;
        return slot.lsn % HF_RECORD_ALIGNMENT == 0 && slot.length % HF_RECORD_ALIGNMENT == 0 && in_segment >= HF_SEGMENT_HEADER_BYTES &&
               slot.length >= sizeof(hf_record_header) && slot.length <= HF_RECORD_BYTES_MAX &&
               in_segment + slot.length <= segment_bytes_ - HF_SEGMENT_END_BYTES && slot.lsn < table_.head().reserved.load() &&
               slot.intent_length <= inflight_intent_bytes_max;
    }

    // Whatever an intent was, nothing of it is open any more: its record stands, or its operation counts as not begun,
    // and a request that the kernel sends again is carried out.
    void forget_slots() {
        if (!table_.survived()) return;
        for (Slot& slot : table_.slots()) {
            if (slot.state.load() != static_cast<uint32_t>(SlotState::intent)) continue;
            slot.request = 0;
            slot.state.store(static_cast<uint32_t>(SlotState::idle));
        }
    }

    // What the survey has read is not read again: applications wait.
    Status fill(uint64_t first, uint64_t last) {
        for (uint64_t index = first; index <= last; ++index) {
            auto file = HF_TRY(open_segment(index));
            SegmentWalk walk = HF_TRY(SegmentWalk::open(*file, index, segment_bytes_, hints_.reserved));
            if (survey_.end > walk.position()) walk.seek(survey_.end);
            HF_TRY(fill_segment(*file, index, walk, index == first ? survey_.chain : ChainHash(report_.stream_end.chain)));
        }
        return ok();
    }

    Status fill_segment(File& file, uint64_t index, SegmentWalk& walk, ChainHash chain) {
        for (;;) {
            if (auto record = HF_TRY(walk.next())) {
                if (record->type == HF_SEGMENT_END) {
                    report_.stream_end.chain = record->as<SegmentEnd>().chain_after;
                    return ok();
                }
                chain.add(walk.checksum());
                continue;
            }
            if (Slot* slot = slot_at(walk.position())) {
                chain.add(HF_TRY(settle_slot(file, *slot)));
                walk.seek(slot->lsn + slot->length);
                continue;
            }
            auto next = HF_TRY(next_content(walk));
            if (!next) {
                report_.stream_end.uncut.push_back({index, walk.position()});
                return seal(file, index, chain, walk.position());
            }
            HF_TRY(fill_hole(file, chain, walk.position(), *next));
            walk.seek(*next);
        }
    }

    Slot* slot_at(Lsn lsn) const {
        auto found = std::find_if(slots_.begin(), slots_.end(), [lsn](const Slot* slot) { return slot->lsn == lsn; });
        return found == slots_.end() ? nullptr : *found;
    }

    // Where something stands behind a hole: a whole record, or the address of a slot.
    Result<std::optional<Lsn>> next_content(SegmentWalk& walk) {
        std::optional<Lsn> next;
        auto slot = std::find_if(slots_.begin(), slots_.end(), [&](const Slot* s) { return s->lsn > walk.position(); });
        if (slot != slots_.end() && (*slot)->lsn < walk.segment_end()) next = (*slot)->lsn;
        // Only up to the slot: behind it stands what it reserved, perhaps half written, and bytes of an application
        // must not be taken for records.
        auto record = HF_TRY(walk.find(next.value_or(walk.segment_end())));
        return record ? record : next;
    }

    // Writes the record that the operation left, or a VOID. Returns its checksum.
    Result<uint64_t> settle_slot(File& file, Slot& slot) {
        auto record = HF_TRY(settle_(slot, intent_of(slot)));
        bool took_effect = record.has_value();
        if (!record) record = Record{};
        if (took_effect && encoded_length(record->body) > slot.length)
            return Error{ErrorCode::corrupt, "the record of the operation at address " + std::to_string(slot.lsn) + " needs " +
                                                 std::to_string(encoded_length(record->body)) + " bytes, but reserved " +
                                                 std::to_string(slot.length) + ": settle it as not begun and compare"};
        uint64_t checksum = HF_TRY(write_record(file, *record, slot.lsn, slot.length));
        ++(took_effect ? report_.settled_done : report_.settled_void);
        // Only a slot whose record stands answers a request that comes again.
        if (took_effect) slot.state.store(static_cast<uint32_t>(SlotState::recorded));
        return checksum;
    }

    static Record intent_of(const Slot& slot) {
        ByteSpan bytes(slot.intent, slot.intent_length);
        auto whole = decode_record(bytes, slot.lsn);
        Record intent;
        if (whole) {
            intent = std::move(*whole);
        } else if (bytes.size() >= sizeof(hf_record_header)) {
            hf_record_header header;
            memcpy(&header, bytes.data(), sizeof header);
            intent.type = static_cast<hf_record_type>(header.type);
            intent.flags = header.flags;
            intent.object = from_disk(header.object);
            intent.time_ns = header.time_ns;
        }
        intent.lsn = slot.lsn;
        intent.length = slot.length;
        return intent;
    }

    Status fill_hole(File& file, ChainHash& chain, Lsn from, Lsn to) {
        while (from < to) {
            uint64_t length = std::min<uint64_t>(to - from, HF_RECORD_BYTES_MAX);
            // What is left must be long enough for a record of its own.
            uint64_t left = to - from - length;
            if (left > 0 && left < sizeof(hf_record_header)) length -= sizeof(hf_record_header);
            if (length < sizeof(hf_record_header))
                return Error{ErrorCode::corrupt, "the hole at address " + std::to_string(from) + " is shorter than a record"};
            chain.add(HF_TRY(write_record(file, Record{}, from, static_cast<uint32_t>(length))));
            ++report_.holes_filled;
            from += length;
        }
        return ok();
    }

    Status cut(uint64_t first, uint64_t last) {
        report_.dropped_from = survey_.end;
        std::vector<ChainHash> later;
        ChainHash::Value before = survey_.chain.after();
        for (uint64_t index = first + 1; index <= last; ++index) {
            later.emplace_back(before);
            before = later.back().after();
        }
        for (uint64_t index = last; index > first; --index) HF_TRY(empty_segment(index, later[index - first - 1]));
        bool has_prefix = survey_.end > segment_begin(first, segment_bytes_);
        if (has_prefix) {
            auto file = HF_TRY(disk_.open(segment_name(first), Disk::Open::existing));
            HF_TRY(seal_and_cut(*file, first, survey_.chain, survey_.end));
        } else {
            HF_TRY(empty_segment(first, survey_.chain));
        }
        report_.stream_end.chain = before;
        return ok();
    }

    Status empty_segment(uint64_t index, const ChainHash& chain) {
        auto file = HF_TRY(open_segment(index));
        return seal_and_cut(*file, index, chain, segment_first_record(index, segment_bytes_));
    }

    // With a whole header, made when the file is missing or was never finished.
    Result<std::unique_ptr<File>> open_segment(uint64_t index) {
        auto file = disk_.open(segment_name(index), Disk::Open::existing);
        bool is_new = !file && file.error().code == ErrorCode::not_found;
        if (is_new) file = disk_.open(segment_name(index), Disk::Open::create_new);
        if (!file) return file;
        std::vector<std::byte> bytes(HF_SEGMENT_HEADER_BYTES);
        bytes.resize(HF_TRY((*file)->pread(bytes, 0)));
        if (!decode_segment_header(bytes, volume_, segment_bytes_, index)) {
            SegmentHeader header;
            header.volume = volume_;
            header.index = index;
            header.segment_bytes = segment_bytes_;
            header.created_ns = survey_.last_time_ns;
            HF_TRY((*file)->pwrite(encode_segment_header(header), 0));
        }
        if (is_new) HF_TRY(disk_.sync_directory());
        return file;
    }

    Status seal(File& file, uint64_t index, const ChainHash& chain, Lsn lsn) {
        Lsn end = segment_end(index, segment_bytes_);
        if (lsn + HF_SEGMENT_END_BYTES > end)
            return Error{ErrorCode::corrupt, segment_name(index) + " has no room for its seal, so it was not written by Holdfast"};
        HF_TRY(write_record(file, seal_record(chain, lsn, survey_.last_time_ns), lsn, static_cast<uint32_t>(end - lsn)));
        report_.stream_end.chain = chain.after();
        return ok();
    }

    // In this order (journal/writer_sync.cc says why).
    Status seal_and_cut(File& file, uint64_t index, const ChainHash& chain, Lsn lsn) {
        HF_TRY(seal(file, index, chain, lsn));
        HF_TRY(file.sync());
        return file.truncate(lsn - segment_begin(index, segment_bytes_) + HF_SEGMENT_END_BYTES);
    }

    Result<uint64_t> write_record(File& file, Record record, Lsn lsn, uint32_t length) {
        record.lsn = lsn;
        if (record.time_ns == 0) record.time_ns = survey_.last_time_ns;
        EncodedRecord encoded(record, length);
        HF_TRY(file.pwrite(encoded.pieces(), lsn % segment_bytes_));
        return encoded.checksum();
    }

    Disk& disk_;
    const VolumeId& volume_;
    const uint64_t segment_bytes_;
    const Survey& survey_;
    InflightTable& table_;
    const Settle& settle_;
    const SurveyHints hints_;
    std::vector<Slot*> slots_;
    RepairReport report_;
};

}  // namespace

Result<RepairReport> repair(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, const Survey& survey,
                            InflightTable& table, const Settle& settle, const SurveyHints& hints) {
    HF_CHECK(survey.middle != MiddleState::foreign && survey.middle != MiddleState::newer && survey.middle != MiddleState::unreadable);
    return Repair(disk, volume, segment_bytes, survey, table, settle, hints).run();
}

}  // namespace holdfast::journal

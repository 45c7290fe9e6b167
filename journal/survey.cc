#include <algorithm>
#include <memory>

#include "base/text.h"
#include "journal/recovery.h"
#include "journal/segment.h"
#include "journal/segment_walk.h"

namespace holdfast::journal {
namespace {

// The writer syncs at least every half second and is fenced when that fails. So a whole record from this long after a
// damaged place shows that the place was once on the disk: it is damage, not the end of what a power cut let through.
constexpr uint64_t unsynced_ns_max = 60ULL * 1'000'000'000;

struct SegmentFile {
    uint64_t index = 0;
    std::unique_ptr<File> file;
    bool has_header = false;  // a whole one of ours; otherwise one that was never finished, or is damaged
};

// What a walk over the records of one segment found.
struct Walked {
    bool sealed = false;
    Lsn seal = 0;                     // where it stands, when it is sealed
    Lsn end = 0;
    ErrorCode why = ErrorCode::torn;  // when it is not sealed
    bool chain_fits = true;           // when it is sealed
    ChainHash chain{ChainHash::Value{}};  // over its records; behind the seal when it is sealed
    uint64_t records = 0;
    uint64_t last_time_ns = 0;
    bool any = false;           // a record that is neither filler nor the seal
    bool closed_clean = false;  // and the last of those is a clean close
};

class Surveyor {
public:
    Surveyor(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, const SurveyHints& hints)
        : disk_(disk), volume_(volume), segment_bytes_(segment_bytes), hints_(hints) {}

    Result<Survey> run() {
        HF_TRY(list());
        // A disk that fails is a finding, not a failure to find: nothing may be changed before it reads again.
        if (auto looked = look(); !looked) found(MiddleState::unreadable, result_.end, looked.error().message);
        return std::move(result_);
    }

private:
    Status list() {
        std::vector<uint64_t> indexes;
        for (const std::string& name : HF_TRY(disk_.list())) {
            if (auto index = parse_segment_name(name)) indexes.push_back(*index);
        }
        std::sort(indexes.begin(), indexes.end());
        for (uint64_t index : indexes) {
            bool is_needed = segment_end(index, segment_bytes_) > hints_.needed || index == indexes.back();
            if (is_needed) files_.push_back({index, nullptr, false});
        }
        return ok();
    }

    Status look() {
        if (files_.empty()) return look_at_nothing();
        result_.first_segment = files_.front().index;
        result_.last_segment = files_.back().index;
        for (SegmentFile& segment : files_) {
            if (!HF_TRY(read_header(segment))) return ok();
        }
        HF_TRY(find_first_chain());
        return follow_prefix();
    }

    Status look_at_nothing() {
        if (hints_.taken == 0) return ok();
        found(MiddleState::missing_segment, 0, "no segment is there, but a consumer has read up to " + std::to_string(hints_.taken));
        return ok();
    }

    void found(MiddleState middle, Lsn damage, std::string sentence) {
        result_.middle = middle;
        result_.damage = damage;
        result_.sentence = std::move(sentence);
    }

    // False when the segment is one that must not be touched.
    Result<bool> read_header(SegmentFile& segment) {
        segment.file = HF_TRY(disk_.open(segment_name(segment.index), Disk::Open::existing_read_only));
        std::vector<std::byte> bytes(HF_SEGMENT_HEADER_BYTES);
        bytes.resize(HF_TRY(segment.file->pread(bytes, 0)));
        auto header = decode_segment_header(bytes, volume_, segment_bytes_, segment.index);
        segment.has_header = header.has_value();
        if (header || header.error().code == ErrorCode::torn || header.error().code == ErrorCode::corrupt) return true;
        bool is_newer = header.error().code == ErrorCode::unsupported;
        found(is_newer ? MiddleState::newer : MiddleState::foreign, segment_begin(segment.index, segment_bytes_),
              segment_name(segment.index) + ": " + header.error().message);
        return false;
    }

    // Where the chain stands before the first segment: its own seal says it, or the seal of a predecessor that nobody
    // needs any more. Without either it starts from zero.
    Status find_first_chain() {
        const SegmentFile& first = files_.front();
        // Neither file need be cut behind its seal: a crash before that leaves it long for ever.
        const auto seal = HF_TRY(find_seal(*first.file, first.index, segment_bytes_));
        if (seal) result_.chain = ChainHash(seal->chain_before);
        if (seal || first.index == 0) return ok();
        auto file = disk_.open(segment_name(first.index - 1), Disk::Open::existing_read_only);
        if (!file && file.error().code == ErrorCode::not_found) return ok();
        if (!file) return std::move(file).error();
        const auto before = HF_TRY(find_seal(**file, first.index - 1, segment_bytes_));
        if (before) result_.chain = ChainHash(before->chain_after);
        return ok();
    }

    // Segment after segment while each is whole and sealed, up to the first place that is not.
    Status follow_prefix() {
        uint64_t expected = files_.front().index;
        // A consumer whose next record is gone finds nothing to go on with, however whole the rest is. Zero says nothing:
        // it is also what a damaged cursor counts as.
        if (hints_.needed > 0) expected = std::min(expected, segment_of(hints_.needed, segment_bytes_));
        result_.end = segment_begin(expected, segment_bytes_);
        for (size_t at = 0; at < files_.size(); ++at, ++expected) {
            SegmentFile& segment = files_[at];
            if (segment.index != expected)
                return stopped_at(at, MiddleState::missing_segment, "the segment " + segment_name(expected) + " is missing");
            if (!segment.has_header)
                return stopped_at(at, MiddleState::corrupt, "the header of " + segment_name(segment.index) + " is damaged");
            if (HF_TRY(is_passed_by_seal(segment, at + 1 == files_.size()))) continue;
            Walked walked = HF_TRY(walk(segment));
            if (!walked.chain_fits)
                return stopped_at(at, MiddleState::corrupt, segment_name(segment.index) + " does not continue the chain");
            take_in(walked);
            if (walked.sealed) {
                HF_TRY(note_uncut(segment, walked.seal));
                continue;
            }
            if (walked.why != ErrorCode::unsupported) return stopped_at(at, MiddleState::corrupt, place_text(walked.end) + " is damaged", walked.why);
            found(MiddleState::newer, walked.end, place_text(walked.end) + " is a record of a kind that this version does not know");
            return ok();
        }
        result_.tail = TailState::sealed;
        HF_TRY(find_last_record(files_.size()));
        describe();
        if (result_.end < hints_.published)
            found(MiddleState::corrupt, result_.end, "the journal ends at " + std::to_string(result_.end) + ", but it was published up to " +
                                                         std::to_string(hints_.published));
        return ok();
    }

    // Header and seal are enough for a segment that is not the last, unless all is to be read. A file is cut behind its
    // seal only when all of it is on the disk; one of full length may have lost anything before the seal in a power cut.
    Result<bool> is_passed_by_seal(SegmentFile& segment, bool is_last) {
        if (is_last || hints_.check_chains || HF_TRY(segment.file->size()) >= segment_bytes_) return false;
        auto seal = HF_TRY(read_seal(*segment.file, segment.index, segment_bytes_));
        if (!seal || seal->chain_before != result_.chain.before()) return false;
        result_.chain = ChainHash(seal->chain_after);
        result_.records += seal->record_count;
        result_.end = segment_end(segment.index, segment_bytes_);
        return true;
    }

    Result<Walked> walk(SegmentFile& segment) const {
        SegmentWalk walk = HF_TRY(SegmentWalk::open(*segment.file, segment.index, segment_bytes_, hints_.reserved));
        Walked walked;
        walked.chain = ChainHash(result_.chain.before());
        while (auto record = HF_TRY(walk.next())) {
            if (record->type == HF_SEGMENT_END) {
                const auto& seal = record->as<SegmentEnd>();
                walked.sealed = true;
                walked.seal = record->lsn;
                walked.chain_fits = seal.chain_before == walked.chain.before() && seal.chain_after == walked.chain.after() &&
                                    seal.record_count == walked.chain.count();
                break;
            }
            walked.chain.add(walk.checksum());
            if (record->type == HF_VOID) continue;
            walked.any = true;
            walked.last_time_ns = record->time_ns;
            walked.closed_clean = record->type == HF_SESSION_CLOSE && record->as<Session>().clean;
        }
        walked.records = walked.chain.count();
        if (walked.sealed) walked.chain = ChainHash(walked.chain.after());
        walked.end = walk.position();
        walked.why = walk.why();
        return walked;
    }

    void take_in(Walked& walked) {
        result_.records += walked.records;
        result_.end = walked.end;
        result_.chain = std::move(walked.chain);
        note_last_record(walked);
    }

    Status note_uncut(SegmentFile& segment, Lsn seal) {
        const bool is_cut = HF_TRY(segment.file->size()) <= seal % segment_bytes_ + HF_SEGMENT_END_BYTES;
        if (!is_cut) result_.uncut.push_back({segment.index, seal});
        return ok();
    }

    void note_last_record(const Walked& walked) {
        if (!walked.any) return;
        result_.last_time_ns = walked.last_time_ns;
        result_.closed_clean = walked.closed_clean;
        any_record_ = true;
    }

    // The last record may stand several sealed segments back: some hold nothing.
    Status find_last_record(size_t below) {
        for (size_t at = below; at-- > 0 && !any_record_;) {
            if (files_[at].has_header) note_last_record(HF_TRY(walk(files_[at])));
        }
        return ok();
    }

    // The prefix ends in files_[AT] or before it. Is that the end of the stream, or damage in the middle of it?
    Status stopped_at(size_t at, MiddleState middle, std::string sentence, ErrorCode why = ErrorCode::torn) {
        HF_TRY(find_last_record(at));
        Beyond beyond = HF_TRY(look_beyond(at));
        bool host_lived = hints_.published > 0;
        bool promised = result_.end < hints_.published;
        // Inside a segment a hole may be no damage. Beyond the published prefix it belongs to an operation that was
        // under way; without a table, whatever was not yet synced may be missing in any order.
        bool inside = result_.end % segment_bytes_ != 0 && why == ErrorCode::torn;
        uint64_t hole_time_ns = any_record_ ? result_.last_time_ns : beyond.first_time_ns;
        bool is_old = beyond.last_time_ns >= hole_time_ns + unsynced_ns_max;
        bool is_tail = !promised && (inside ? host_lived || !is_old : !beyond.any);
        if (!is_tail) {
            result_.tail = TailState::torn;
            found(middle, result_.end, std::move(sentence));
            return ok();
        }
        result_.tail = beyond.blank || (host_lived && beyond.any) ? TailState::open : TailState::torn;
        describe();
        return ok();
    }

    struct Beyond {
        bool any = false;    // whole records
        bool blank = true;   // nothing but zeros in the segment where the prefix ends
        uint64_t first_time_ns = 0, last_time_ns = 0;
    };

    Result<Beyond> look_beyond(size_t at) {
        Beyond beyond;
        for (size_t next = at; next < files_.size(); ++next) {
            SegmentWalk walk = HF_TRY(SegmentWalk::open(*files_[next].file, files_[next].index, segment_bytes_, hints_.reserved));
            bool holds_end = result_.end > walk.position() && result_.end < walk.segment_end();
            if (holds_end) walk.seek(result_.end);
            bool blank_here = HF_TRY(walk.is_blank());
            if (next == at) beyond.blank = blank_here && files_[next].has_header;
            if (!blank_here) HF_TRY(look_for_records(walk, beyond));
        }
        return beyond;
    }

    Status look_for_records(SegmentWalk& walk, Beyond& beyond) {
        while (auto place = HF_TRY(walk.find())) {
            walk.seek(*place);
            auto record = HF_TRY(walk.next());
            beyond.any = true;
            if (!record) {  // whole, but without sense
                walk.seek(*place + HF_RECORD_ALIGNMENT);
                continue;
            }
            // Filler and seals may be the work of a repair that was stopped; they say nothing of when.
            if (record->type != HF_SEGMENT_END && record->type != HF_VOID) {
                if (beyond.first_time_ns == 0) beyond.first_time_ns = record->time_ns;
                beyond.last_time_ns = std::max(beyond.last_time_ns, record->time_ns);
            }
            if (walk.position() >= walk.segment_end()) break;
        }
        return ok();
    }

    void describe() {
        result_.sentence = std::to_string(result_.records) + " records in " + std::to_string(files_.size()) + " segments up to " +
                           std::to_string(result_.end);
    }

    std::string place_text(Lsn lsn) const {
        uint64_t index = segment_of(lsn, segment_bytes_);
        return segment_name(index) + " at byte " + std::to_string(lsn - segment_begin(index, segment_bytes_)) + " (address " + std::to_string(lsn) + ")";
    }

    Disk& disk_;
    const VolumeId& volume_;
    const uint64_t segment_bytes_;
    const SurveyHints hints_;
    std::vector<SegmentFile> files_;
    Survey result_;
    bool any_record_ = false;  // last_time_ns and closed_clean are those of a record
};

}  // namespace

Result<Survey> survey(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, const SurveyHints& hints) {
    return Surveyor(disk, volume, segment_bytes, hints).run();
}

}  // namespace holdfast::journal

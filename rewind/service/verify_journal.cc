#include "rewind/service/verify_journal.h"

#include <optional>
#include <utility>
#include <vector>

#include "base/disk.h"
#include "journal/segment.h"
#include "journal/segment_walk.h"

namespace holdfast::rewind {

namespace {

class JournalVerifier {
public:
    JournalVerifier(Disk& disk, const journal::Volume& volume, journal::Lsn end,
                    const std::function<Status(uint64_t)>& step)
        : disk_(disk), volume_(volume), end_(end), step_(step) {}

    Result<JournalVerification> run() {
        for (const std::string& name : HF_TRY(disk_.list())) {
            const auto index = journal::parse_segment_name(name);
            if (!index || journal::segment_begin(*index, volume_.segment_bytes) >= end_) continue;
            HF_TRY(segment(name, *index));
        }
        return std::move(result_);
    }

private:
    Status segment(const std::string& name, uint64_t index) {
        auto file = disk_.open(name, Disk::Open::existing_read_only);
        // Retention has deleted it since it was listed; the chain begins anew with the next one.
        if (!file && file.error().code == ErrorCode::not_found) {
            chain_.reset();
            return ok();
        }
        if (!file) return std::move(file).error().within("journal segment " + name);
        ++result_.segments;
        std::byte bytes[HF_SEGMENT_HEADER_BYTES];
        const size_t got = HF_TRY((*file)->pread(bytes, 0));
        if (auto header =
                journal::decode_segment_header(ByteSpan(bytes, got), volume_.id, volume_.segment_bytes, index);
            !header) {
            tell(name, header.error().message);
            return ok();
        }
        return records(name, index, **file);
    }

    Status records(const std::string& name, uint64_t index, File& file) {
        journal::SegmentWalk walk = HF_TRY(journal::SegmentWalk::open(file, index, volume_.segment_bytes));
        // A segment that is still being written has no seal yet: its records are checked, its place in the chain later.
        const bool is_sealed = journal::segment_end(index, volume_.segment_bytes) <= end_;
        const auto before = std::exchange(chain_, std::nullopt);
        checksums_.clear();
        while (walk.position() < end_) {
            const journal::Lsn at = walk.position();
            auto record = HF_TRY(walk.next());
            if (!record) {
                if (at < walk.segment_end()) tell(name, "no whole record stands at address " + std::to_string(at));
                return ok();
            }
            HF_TRY(step_(record->length));
            ++result_.records;
            result_.bytes += record->length;
            if (record->type == HF_SEGMENT_END) {
                check_seal(name, record->as<journal::SegmentEnd>(), before);
                return ok();
            }
            checksums_.push_back(walk.checksum());
        }
        if (is_sealed) tell(name, "it has no seal, yet segments follow it");
        return ok();
    }

    // BEFORE is behind the segment before this one; nothing when that is gone or damaged.
    void check_seal(const std::string& name, const journal::SegmentEnd& seal, const std::optional<journal::ChainHash::Value>& before) {
        chain_ = seal.chain_after;
        journal::ChainHash chain(seal.chain_before);
        for (const uint64_t checksum : checksums_) chain.add(checksum);
        if (before && seal.chain_before != *before)
            tell(name, "it does not continue the chain of the segment before it");
        else if (seal.chain_after != chain.after() || seal.record_count != chain.count())
            tell(name, "its seal does not fit its records");
    }

    void tell(const std::string& name, const std::string& what) {
        result_.problems.push_back("Journal segment " + name + " is damaged: " + what);
    }

    Disk& disk_;
    const journal::Volume& volume_;
    const journal::Lsn end_;
    const std::function<Status(uint64_t)>& step_;
    std::optional<journal::ChainHash::Value> chain_;  // behind the last sealed segment
    std::vector<uint64_t> checksums_;  // of the segment's records
    JournalVerification result_;
};

}  // namespace

Result<JournalVerification> verify_journal(const journal::Volume& volume, journal::Lsn end,
                                           const std::function<Status(uint64_t)>& step) {
    auto disk = HF_TRY(open_disk(volume.journal_directory));
    return JournalVerifier(*disk, volume, end, step).run();
}

}  // namespace holdfast::rewind

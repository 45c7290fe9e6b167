#include <algorithm>

#include "base/check.h"
#include "journal/inbound.h"
#include "journal/segment_walk.h"

namespace holdfast::journal {

Status Inbound::cut(Lsn at) {
    HF_TRY(end_sync());
    if (segments_.empty()) return ok();
    // With nothing left of a segment but its header, the header goes too: it may be that of another history.
    at = moment_of(at, segment_bytes_);
    if (at == received_) return ok();
    if (at < begin() || at > received_)
        return Error{ErrorCode::not_found, "the inbound journal cannot be cut at the address " + std::to_string(at) + ": it keeps those from " +
                                               std::to_string(begin()) + " to " + std::to_string(received_)};
    const uint64_t index = segment_of(at, segment_bytes_);
    const auto before = HF_TRY(chain_before(index));
    std::optional<ChainHash> chain = HF_TRY(chain_up_to(at, before));
    if (index == segments_.front() && before) HF_TRY(keep_beginning({segment_begin(index, segment_bytes_), *before, segment_begin(index, segment_bytes_)}));
    announce_cut();
    if (Status dropped = drop_from(at); !dropped) return fence(dropped.error());
    announce_cut_done();
    chain_ = std::move(chain);
    return ok();
}

// The chain where segment INDEX begins: nothing when it is not known.
Result<std::optional<ChainHash::Value>> Inbound::chain_before(uint64_t index) {
    using Known = std::optional<ChainHash::Value>;
    if (index > segments_.front()) {
        const auto previous = HF_TRY(disk_.open(segment_name(index - 1), Disk::Open::existing_read_only));
        if (const auto seal = HF_TRY(find_seal(*previous, index - 1, segment_bytes_))) return Known(seal->chain_after);
    }
    if (const Known known = chain_known_before(index)) return known;
    if (index > segments_.back()) return Known();
    const auto file = HF_TRY(disk_.open(segment_name(index), Disk::Open::existing_read_only));
    const auto own = HF_TRY(find_seal(*file, index, segment_bytes_));
    return own ? Known(own->chain_before) : Known();
}

// The chain that goes on at AT, nothing when it is not known. Errors: not_found when AT is no boundary.
Result<std::optional<ChainHash>> Inbound::chain_up_to(Lsn at, const std::optional<ChainHash::Value>& before) {
    if (is_beginning(at)) return before ? std::optional(ChainHash(*before)) : std::nullopt;
    const uint64_t index = segment_of(at, segment_bytes_);
    const auto file = HF_TRY(disk_.open(segment_name(index), Disk::Open::existing_read_only));
    ChainHash chain(before.value_or(ChainHash::Value{}));
    SegmentWalk walk = HF_TRY(SegmentWalk::open(*file, index, segment_bytes_));
    while (walk.position() < at) {
        const auto record = HF_TRY(walk.next());
        if (!record)
            return Error{ErrorCode::corrupt, "journal segment " + segment_name(index) + " is damaged at the address " + std::to_string(walk.position())};
        if (record->type != HF_SEGMENT_END) chain.add(walk.checksum());
    }
    if (walk.position() > at)
        return Error{ErrorCode::not_found, "the inbound journal cannot be cut at the address " + std::to_string(at) + ": a record reaches across it"};
    if (!before) return std::optional<ChainHash>();
    return std::optional(std::move(chain));
}

// From the newest backward, each removal durable before the next: whenever the power fails, what is left is a journal without
// a hole that ends too late, and the cut is repeated. The other way round, a newer segment would stand behind one that was
// cut, which is what damage looks like.
Status Inbound::drop_from(Lsn at) {
    received_ = at;
    durable_ = std::min(durable_, at);
    publish();  // first, so that no reader is sent to what goes
    file_.reset();
    const bool ends_in_segment = !is_beginning(at);
    while (!segments_.empty() && segment_begin(segments_.back(), segment_bytes_) >= at) {
        HF_TRY(remove_durably(segments_.back()));
        segments_.pop_back();
    }
    if (segments_.empty()) {
        stand_at_beginning();
        return ok();
    }
    file_ = HF_TRY(disk_.open(segment_name(segments_.back()), Disk::Open::existing));
    is_sealed_ = !ends_in_segment;
    if (ends_in_segment) HF_TRY(shorten_newest());
    if (has_unsynced_name_) HF_TRY(disk_.sync_directory());
    has_unsynced_name_ = false;
    durable_ = received_;
    publish();
    return ok();
}

// The newest file ends at received(), durably.
Status Inbound::shorten_newest() {
    HF_TRY(file_->truncate(place_in_newest(received_)));
    HF_TRY(file_->sync());
    // Only so that syncs have less to do; when there is no space, records will find out.
    (void)file_->allocate(segment_bytes_);
    return ok();
}

Status Inbound::remove_durably(uint64_t index) {
    const Status removed = disk_.remove(segment_name(index));
    if (!removed && removed.error().code != ErrorCode::not_found) return removed;
    if (Status synced = disk_.sync_directory(); !synced) return fence(synced.error());
    has_unsynced_name_ = false;
    return ok();
}

Status Inbound::release_below(Lsn lsn) {
    if (fence_) return fence_error();
    // Of what is durable the newest sealed one stays. One after the other: were two removals to reach the disk in the wrong
    // order, a power cut could leave a journal with a segment missing in its middle.
    while (!segments_.empty()) {
        const uint64_t index = segments_.front();
        if (index + 1 >= segment_of(durable_, segment_bytes_) || segment_end(index, segment_bytes_) > lsn) break;
        HF_TRY(remove_durably(index));
        segments_.pop_front();
    }
    return drop_outlived_beginning();
}

}  // namespace holdfast::journal

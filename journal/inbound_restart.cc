#include "base/check.h"
#include "journal/inbound.h"

namespace holdfast::journal {

// Everything goes from the newest backward, each removal durable before the next, and the new beginning is written when nothing is left:
// whenever the power fails, what is found is a journal without a hole that ends too soon, nothing, or the new beginning; and who asked for
// this knows that it must be asked for again.
Status Inbound::restart(const Beginning& beginning) {
    HF_CHECK(is_beginning(beginning.lsn) && segment_of(beginning.equal_at, segment_bytes_) == segment_of(beginning.lsn, segment_bytes_));
    HF_TRY(end_sync());
    announce_cut();
    if (Status forgotten = forget_all(); !forgotten) return fence(forgotten.error());
    if (Status saved = save_beginning(disk_, beginning); !saved) return fence(saved.error());
    beginning_ = beginning;
    stand_at_beginning();
    announce_cut_done();
    return ok();
}

Status Inbound::forget_all() {
    received_ = durable_ = begin();
    publish();  // first, so that no reader is sent to what goes
    file_.reset();
    while (!segments_.empty()) {
        HF_TRY(remove_durably(segments_.back()));
        segments_.pop_back();
    }
    return ok();
}

// REQUIRES: no segment is kept.
void Inbound::stand_at_beginning() {
    received_ = durable_ = begin();
    is_sealed_ = false;
    chain_ = beginning_ ? std::optional(ChainHash(beginning_->chain)) : std::nullopt;
    publish();
}

// The chain where segment INDEX begins, as far as no seal is needed for it.
std::optional<ChainHash::Value> Inbound::chain_known_before(uint64_t index) const {
    if (index == 0) return ChainHash::Value{};
    if (beginning_ && segment_of(beginning_->lsn, segment_bytes_) == index) return beginning_->chain;
    return std::nullopt;
}

// A cut takes the seal of the oldest segment away, and with it what the disk knew of the chain before.
Status Inbound::keep_beginning(const Beginning& beginning) {
    if (beginning_ || beginning.lsn == 0) return ok();
    HF_TRY(save_beginning(disk_, beginning));
    beginning_ = beginning;
    return ok();
}

// The beginning is that of the oldest segment, or of a journal without any; when that has been released it means nothing.
Status Inbound::drop_outlived_beginning() {
    if (!beginning_ || segments_.empty() || segments_.front() == segment_of(beginning_->lsn, segment_bytes_)) return ok();
    HF_TRY(remove_beginning(disk_));
    beginning_.reset();
    return ok();
}

}  // namespace holdfast::journal

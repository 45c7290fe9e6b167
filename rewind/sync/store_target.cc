#include "rewind/sync/store_target.h"

#include "rewind/sync/repair_log.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t batch_bytes_max = 8 << 20;
constexpr size_t batch_records_max = 20'000;
// The end of the gap.
constexpr uint64_t reserved_addresses = repair_record_step;

}  // namespace

Status StoreTarget::append(const journal::Record& record) {
    if (next_ + repair_record_step + reserved_addresses > point_.at)
        return Error{ErrorCode::unsupported, "the replica differs in more than fits between the addresses " + std::to_string(store_.applied()) + " and " +
                                                 std::to_string(point_.at) + "; give it an empty store, and keep the old one for its history"};
    return add(record);
}

Status StoreTarget::add(journal::Record record) {
    record.lsn = next_;
    record.length = repair_record_step;
    if (record.time_ns == 0) record.time_ns = point_.time_ns;
    batch_.add(record);
    batch_bytes_ += journal::encoded_length(record.body);
    next_ = record.end();
    return batch_bytes_ >= batch_bytes_max || batch_.records().size() >= batch_records_max ? settle() : ok();
}

Status StoreTarget::settle() {
    forget_open();
    HF_TRY(store_.apply_repairs(batch_));
    batch_ = Batch();
    batch_bytes_ = 0;
    return ok();
}

// An address is used once, and origin 0 belongs to no host.
Result<ObjectId> StoreTarget::fresh_id() {
    return ObjectId{next_, 0, 0};
}

Status StoreTarget::append_gap(bool begins, const std::string& sentence) {
    journal::Record record;
    record.type = begins ? HF_GAP_BEGIN : HF_GAP_END;
    // The gap begins right after what this store knows. Were it as late as the point, every time in between would lead to the moment before the gap,
    // although the source was somewhere else by then.
    if (begins) {
        const auto known_ns = HF_TRY(store_.index().time_at_lsn(store_.applied()));
        if (known_ns && *known_ns < point_.time_ns) record.time_ns = *known_ns + 1;
    }
    record.body = journal::Gap{begins, HF_GAP_JOURNAL_DAMAGED, record.time_ns ? record.time_ns : point_.time_ns, sentence};
    return add(std::move(record));
}

Status StoreTarget::open_gap(const std::string& sentence) {
    const Status moment = store_.check_moment(store_.applied());
    if (!moment && moment.error().code == ErrorCode::gap) return ok();
    return append_gap(true, sentence);
}

Status StoreTarget::finish(const std::string& sentence) {
    next_ = point_.at - repair_record_step;
    HF_TRY(append_gap(false, sentence));
    HF_TRY(settle());
    return store_.finish_repair();
}

}  // namespace holdfast::rewind

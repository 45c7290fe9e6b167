#include "rewind/index/index_prune.h"

#include "rewind/index/index_events.h"
#include "rewind/index/index_keys.h"
#include "rewind/index/index_time.h"

namespace holdfast::rewind {

namespace {

std::string_view view_of(const rocksdb::Slice& slice) {
    return {slice.data(), slice.size()};
}

class PruneFilter final : public rocksdb::CompactionFilter {
public:
    PruneFilter(Lsn lsn, UndoAddress address) : lsn_(lsn), address_(address) {}

    bool Filter(int, const rocksdb::Slice& key, const rocksdb::Slice& value, std::string*, bool*) const override {
        const std::string_view bytes = view_of(key);
        if (is_time_node_below(bytes, address_)) return true;
        const auto lsn = lsn_of_key(bytes);
        if (!lsn || *lsn >= lsn_) return false;
        return !is_gap_event(bytes, view_of(value));
    }
    const char* Name() const override { return "holdfast.prune"; }

private:
    const Lsn lsn_;
    const UndoAddress address_;
};

class PruneFilterFactory final : public rocksdb::CompactionFilterFactory {
public:
    explicit PruneFilterFactory(std::shared_ptr<const PruneLimit> limit) : limit_(std::move(limit)) {}

    std::unique_ptr<rocksdb::CompactionFilter> CreateCompactionFilter(const rocksdb::CompactionFilter::Context&) override {
        const Lsn lsn = limit_->lsn;
        if (lsn == 0) return nullptr;
        return std::make_unique<PruneFilter>(lsn, limit_->address);
    }
    const char* Name() const override { return "holdfast.prune"; }

private:
    const std::shared_ptr<const PruneLimit> limit_;
};

}  // namespace

std::shared_ptr<rocksdb::CompactionFilterFactory> make_prune_filter(std::shared_ptr<const PruneLimit> limit) {
    return std::make_shared<PruneFilterFactory>(std::move(limit));
}

}  // namespace holdfast::rewind

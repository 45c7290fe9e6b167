#include "journal/unrecorded_times.h"

#include <unordered_set>

#include "base/overloaded.h"
#include "journal/reader.h"

namespace holdfast::journal {
namespace {

constexpr uint64_t segments_max = 8;

// The segment whose first record is the newest of those that are older than SINCE_NS.
Result<uint64_t> first_segment(Reader& reader, const Reader::Extent& extent, uint64_t segment_bytes, uint64_t since_ns, Lsn until) {
    const uint64_t last = segment_of(until, segment_bytes);
    uint64_t index = last;
    for (;; --index) {
        if (index <= extent.first_segment || last - index + 1 >= segments_max) return index;
        reader.seek(segment_begin(index, segment_bytes));
        const auto record = HF_TRY(reader.next());
        if (record && record->time_ns < since_ns) return index;
    }
}

class Unrecorded {
public:
    void follow(const Record& record) {
        std::visit(Overloaded{
                       [&](const Write&) { objects_.insert(record.object); },
                       [&](const Truncate&) { objects_.insert(record.object); },
                       [&](const Fallocate&) { objects_.insert(record.object); },
                       [&](const Birth& birth) { objects_.insert(birth.parent); },
                       [&](const Link& link) { objects_.insert(link.parent); },
                       [&](const Unlink& unlink) { objects_.insert(unlink.parent); },
                       [&](const Rename& rename) { objects_.insert({rename.old_parent, rename.new_parent}); },
                       [&](const SetAttr& change) { if (change.attributes.valid & HF_ATTR_MTIME) objects_.erase(record.object); },
                       [](const auto&) {},
                   },
                   record.body);
    }
    // A birth without a name has no parent.
    std::vector<ObjectId> take() {
        objects_.erase(ObjectId{});
        return {objects_.begin(), objects_.end()};
    }

private:
    std::unordered_set<ObjectId> objects_;
};

}  // namespace

Result<std::vector<ObjectId>> objects_without_times(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, InflightTable* table, uint64_t since_ns, Lsn until) {
    Reader reader(disk, volume, segment_bytes, table);
    const uint64_t first = HF_TRY(first_segment(reader, HF_TRY(Reader::extent(disk)), segment_bytes, since_ns, until));
    reader.seek(segment_begin(first, segment_bytes));
    Unrecorded unrecorded;
    while (reader.position() < until) {
        const auto record = HF_TRY(reader.next());
        if (!record) break;
        unrecorded.follow(*record);
    }
    return unrecorded.take();
}

}  // namespace holdfast::journal

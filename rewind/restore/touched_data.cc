#include "rewind/restore/touched_data.h"

#include <algorithm>
#include <cstring>

#include "rewind/extents.h"
#include "rewind/store.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t block_bytes = 4096;
constexpr uint64_t window_bytes = 256 << 20;

uint64_t round_down(uint64_t value) { return value / block_bytes * block_bytes; }
uint64_t round_up(uint64_t value) { return (value + block_bytes - 1) / block_bytes * block_bytes; }

class Comparison {
public:
    Comparison(const Store& store, const FileAtTwoMoments& file,
               const std::function<Status(const DifferingRange&)>& visit)
        : store_(store), file_(file), visit_(visit), from_(store, file.from), to_(store, file.to) {}

    Status run() {
        from_data_ = HF_TRY(data_extents(from_, file_.from_size));
        to_data_ = HF_TRY(data_extents(to_, file_.to_size));
        for (uint64_t at = 0; at < file_.to_size; at += window_bytes)
            HF_TRY(window(at, std::min(window_bytes, file_.to_size - at)));
        return flush();
    }

private:
    Result<std::vector<DataExtent>> data_extents(const View& view, uint64_t size) {
        if (size == 0) return std::vector<DataExtent>{};
        return view.data_extents(file_.object);
    }

    // The first undo since the earlier moment tells that a range was touched; when it lies before the later moment, it
    // was touched in between. What an append wrote has no undo, so everything beyond the smaller size counts.
    Status window(uint64_t offset, uint64_t length) {
        const Lsn low = std::min(file_.from, file_.to);
        const Lsn high = std::max(file_.from, file_.to);
        ExtentSet touched;
        for (const DataUndo& undo : HF_TRY(store_.index().data_at(file_.object, offset, length, low))) {
            if (undo.lsn < high) touched.add(undo.offset, undo.length);
        }
        const uint64_t common = std::min(file_.from_size, file_.to_size);
        const uint64_t grown = std::max(offset, common);
        if (grown < offset + length) touched.add(grown, offset + length - grown);
        ExtentSet blocks;
        for (const DataExtent& extent : touched.take()) {
            const uint64_t start = round_down(extent.offset);
            const uint64_t end = std::min(round_up(extent.offset + extent.length), offset + length);
            blocks.add(start, end - start);
        }
        for (const DataExtent& extent : blocks.take()) HF_TRY(range(extent));
        return ok();
    }

    Status range(const DataExtent& extent) {
        for (uint64_t at = extent.offset; at < extent.offset + extent.length;) {
            const uint64_t size = std::min(extent.offset + extent.length - at,
                                           differing_range_bytes_max - at % differing_range_bytes_max);
            HF_TRY(read(from_, at, size, theirs_));
            HF_TRY(read(to_, at, size, wanted_));
            for (uint64_t i = 0; i < size;) {
                const uint64_t length = std::min(size - i, block_bytes - (at + i) % block_bytes);
                HF_TRY(block(at + i, i, length));
                i += length;
            }
            HF_TRY(flush());
            at += size;
        }
        return ok();
    }

    Status read(const View& view, uint64_t at, uint64_t size, std::vector<std::byte>& into) {
        into.resize(size);
        const size_t got = HF_TRY(view.read(file_.object, at, into));
        std::fill(into.begin() + got, into.end(), std::byte{0});
        return ok();
    }

    Status block(uint64_t at, uint64_t index, uint64_t length) {
        const bool is_data = touches(to_data_, to_next_, at, length);
        const bool was_data = touches(from_data_, from_next_, at, length) && at < file_.from_size;
        const bool same_bytes = std::memcmp(&theirs_[index], &wanted_[index], length) == 0;
        if (same_bytes && is_data == was_data) return flush();
        if (pending_.length > 0 && (pending_.hole == is_data || pending_.offset + pending_.length != at)) HF_TRY(flush());
        if (pending_.length == 0) {
            pending_ = {at, 0, !is_data, {}};
            pending_index_ = index;
        }
        pending_.length += length;
        return ok();
    }

    Status flush() {
        if (pending_.length == 0) return ok();
        DifferingRange range = pending_;
        pending_.length = 0;
        if (!range.hole) range.bytes = ByteSpan(wanted_).subspan(pending_index_, range.length);
        return visit_(range);
    }

    static bool touches(const std::vector<DataExtent>& extents, size_t& next, uint64_t offset, uint64_t length) {
        while (next < extents.size() && extents[next].offset + extents[next].length <= offset) ++next;
        return next < extents.size() && extents[next].offset < offset + length;
    }

    const Store& store_;
    const FileAtTwoMoments& file_;
    const std::function<Status(const DifferingRange&)>& visit_;
    View from_;
    View to_;
    std::vector<DataExtent> from_data_;
    std::vector<DataExtent> to_data_;
    size_t from_next_ = 0;
    size_t to_next_ = 0;
    std::vector<std::byte> theirs_;
    std::vector<std::byte> wanted_;
    DifferingRange pending_;
    uint64_t pending_index_ = 0;
};

}  // namespace

Status visit_differing(const Store& store, const FileAtTwoMoments& file,
                       const std::function<Status(const DifferingRange&)>& visit) {
    return Comparison(store, file, visit).run();
}

}  // namespace holdfast::rewind

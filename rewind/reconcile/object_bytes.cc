// The bytes and holes of a file: what differs becomes WRITE, TRUNCATE and FALLOCATE (punch) records, block by block.
#include <algorithm>
#include <cstring>

#include "rewind/extents.h"
#include "rewind/reconcile/object_repair.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t block_bytes = 4096;
constexpr uint64_t chunk_bytes = HF_RECORD_DATA_BYTES_MAX;

// True when EXTENTS (ascending, disjoint) cover [offset, offset + length). NEXT moves forward with the questions.
bool covers(const std::vector<DataExtent>& extents, size_t& next, uint64_t offset, uint64_t length) {
    while (next < extents.size() && extents[next].offset + extents[next].length <= offset) ++next;
    return next < extents.size() && extents[next].offset <= offset &&
           offset + length <= extents[next].offset + extents[next].length;
}

uint64_t round_up(uint64_t value) {
    return (value + block_bytes - 1) / block_bytes * block_bytes;
}

}  // namespace

Status ObjectRepair::write_range(const TreeObject& object, int file_fd, uint64_t offset, uint64_t length) {
    ours_.resize(chunk_bytes);
    for (uint64_t at = offset; at < offset + length;) {
        // Pieces end at multiples of their size, so that no block is written in two halves.
        const uint64_t size = std::min(offset + length - at, chunk_bytes - at % chunk_bytes);
        const size_t got = HF_TRY(read_fully(file_fd, at, MutableByteSpan(ours_).first(size)));
        if (got > 0)
            HF_TRY(ledger_.change(HF_WRITE, object.id, journal::Write{at, ByteSpan(ours_).first(got)}));
        if (got < size) return ok();
        HF_TRY(ledger_.report());
        at += size;
    }
    return ok();
}

Status ObjectRepair::compare_bytes(const TreeObject& object, int file_fd, uint64_t image_size) {
    const uint64_t size = object.attributes.size;
    if (image_size != size) HF_TRY(ledger_.change(HF_TRUNCATE, object.id, journal::Truncate{size}));
    const uint64_t common = std::min(size, image_size);
    std::vector<DataExtent> image_data;
    if (common > 0) {
        ExtentSet set(HF_TRY(ledger_.target().data_extents(object.id)));
        set.clip(common);
        image_data = set.take();
        // The image's last block ends with the block, wherever its file ends.
        if (!image_data.empty() && image_data.back().offset + image_data.back().length == image_size)
            image_data.back().length = round_up(image_size) - image_data.back().offset;
    }
    uint64_t end = 0;
    for (const DataExtent& extent : HF_TRY(data_extents_of(file_fd))) {
        if (extent.offset > end) HF_TRY(clear_range(object, {end, extent.offset - end}, image_data));
        HF_TRY(compare_range(object, file_fd, extent, image_data, common));
        end = extent.offset + extent.length;
    }
    if (end < size) HF_TRY(clear_range(object, {end, size - end}, image_data));
    return ok();
}

Status ObjectRepair::compare_range(const TreeObject& object, int file_fd, const DataExtent& range,
                                   const std::vector<DataExtent>& image_data, uint64_t image_size) {
    ours_.resize(chunk_bytes);
    theirs_.resize(chunk_bytes);
    size_t next = 0;
    const uint64_t stop = range.offset + range.length;
    for (uint64_t at = range.offset; at < stop;) {
        const uint64_t size = std::min(stop - at, chunk_bytes - at % chunk_bytes);
        const size_t got = HF_TRY(read_fully(file_fd, at, MutableByteSpan(ours_).first(size)));
        const uint64_t known = at < image_size ? std::min(size, image_size - at) : 0;
        size_t answered = 0;
        if (known > 0)
            answered = HF_TRY(ledger_.target().read(object.id, at, MutableByteSpan(theirs_).first(known)));
        std::fill(theirs_.begin() + answered, theirs_.begin() + size, std::byte{0});
        ledger_.compared(got);

        // Blocks that differ, runs of them in one record. Where the image has a hole even zeros differ: they are data here.
        uint64_t run = got;
        for (uint64_t i = 0; i < got;) {
            const uint64_t length = std::min<uint64_t>(got - i, block_bytes - (at + i) % block_bytes);
            const bool differs = std::memcmp(&ours_[i], &theirs_[i], length) != 0 ||
                                 !covers(image_data, next, at + i, std::min(length, known > i ? known - i : length));
            if (differs && run == got) run = i;
            if (!differs && run != got) {
                HF_TRY(ledger_.change(HF_WRITE, object.id,
                                      journal::Write{at + run, ByteSpan(ours_).subspan(run, i - run)}));
                run = got;
            }
            i += length;
        }
        if (run != got)
            HF_TRY(ledger_.change(HF_WRITE, object.id,
                                  journal::Write{at + run, ByteSpan(ours_).subspan(run, got - run)}));
        if (got < size) return ok();
        HF_TRY(ledger_.report());
        at += size;
    }
    return ok();
}

Status ObjectRepair::clear_range(const TreeObject& object, const DataExtent& hole,
                                 const std::vector<DataExtent>& image_data) {
    const uint64_t hole_end = hole.offset + hole.length;
    for (const DataExtent& extent : image_data) {
        const uint64_t start = std::max(extent.offset, hole.offset);
        uint64_t end = std::min(extent.offset + extent.length, hole_end);
        if (start >= end) continue;
        // The last block of a file is freed only by a punch that reaches its end.
        if (end >= object.attributes.size) end = round_up(end);
        bool differs = round_up(start) + block_bytes <= end;
        if (!differs) {
            // Less than a block: file systems with larger blocks keep it as zeros, and that is no difference.
            theirs_.resize(chunk_bytes);
            const size_t got =
                HF_TRY(ledger_.target().read(object.id, start, MutableByteSpan(theirs_).first(end - start)));
            differs = std::any_of(theirs_.begin(), theirs_.begin() + got, [](std::byte b) { return b != std::byte{0}; });
        }
        if (!differs) continue;
        HF_TRY(ledger_.change(HF_FALLOCATE, object.id,
                              journal::Fallocate{start, end - start, HF_FALLOC_PUNCH_HOLE | HF_FALLOC_KEEP_SIZE}));
    }
    return ok();
}

}  // namespace holdfast::rewind

#include "rewind/reconcile/byte_repair.h"

#include <algorithm>
#include <cstring>

namespace holdfast::rewind {

namespace {

constexpr uint64_t block_bytes = 4096;
constexpr uint64_t chunk_bytes = HF_RECORD_DATA_BYTES_MAX;

// True when EXTENTS (ascending, disjoint) cover [offset, offset + length).
bool covers(const std::vector<DataExtent>& extents, uint64_t offset, uint64_t length) {
    const auto next = std::partition_point(extents.begin(), extents.end(), [&](const DataExtent& extent) { return extent.offset + extent.length <= offset; });
    return next != extents.end() && next->offset <= offset && offset + length <= next->offset + next->length;
}

uint64_t round_up(uint64_t value) {
    return (value + block_bytes - 1) / block_bytes * block_bytes;
}

}  // namespace

Status ByteRepair::fill(const TreeObject& object, FileContents& contents) {
    uint64_t end = 0;
    for (const DataExtent& extent : HF_TRY(contents.data_extents())) {
        HF_TRY(write_range(object, contents, extent));
        end = extent.offset + extent.length;
    }
    if (end < object.attributes.size) HF_TRY(ledger_.change(HF_TRUNCATE, object.id, journal::Truncate{object.attributes.size}));
    return ok();
}

Status ByteRepair::write_range(const TreeObject& object, FileContents& contents, const DataExtent& range) {
    ours_.resize(chunk_bytes);
    const uint64_t stop = range.offset + range.length;
    for (uint64_t at = range.offset; at < stop;) {
        // Pieces end at multiples of their size, so that no block is written in two halves.
        const uint64_t size = std::min(stop - at, chunk_bytes - at % chunk_bytes);
        const size_t got = HF_TRY(contents.read(at, MutableByteSpan(ours_).first(size)));
        if (got > 0) HF_TRY(ledger_.change(HF_WRITE, object.id, journal::Write{at, ByteSpan(ours_).first(got)}));
        if (got < size) return ok();
        HF_TRY(ledger_.report());
        at += size;
    }
    return ok();
}

Result<ImageFile> ByteRepair::look_at(const TreeObject& object, uint64_t image_size) {
    ImageFile image{image_size, {}};
    const uint64_t common = std::min(object.attributes.size, image_size);
    if (common == 0) return image;
    ExtentSet set(HF_TRY(ledger_.target().data_extents(object.id)));
    set.clip(common);
    image.data = set.take();
    // The image's last block ends with the block, wherever its file ends.
    if (!image.data.empty() && image.data.back().offset + image.data.back().length == image_size)
        image.data.back().length = round_up(image_size) - image.data.back().offset;
    return image;
}

Status ByteRepair::set_size(const TreeObject& object, const ImageFile& image) {
    if (image.size == object.attributes.size) return ok();
    return ledger_.change(HF_TRUNCATE, object.id, journal::Truncate{object.attributes.size});
}

Status ByteRepair::compare(const TreeObject& object, FileContents& contents, const ImageFile& image, const DataExtent& window) {
    const uint64_t stop = window.offset + window.length;
    uint64_t end = window.offset;
    for (const DataExtent& extent : HF_TRY(contents.data_extents())) {
        if (extent.offset > end) HF_TRY(clear_range(object, {end, extent.offset - end}, image));
        HF_TRY(compare_range(object, contents, extent, image));
        end = extent.offset + extent.length;
    }
    if (end < stop) HF_TRY(clear_range(object, {end, stop - end}, image));
    return ok();
}

Status ByteRepair::compare_range(const TreeObject& object, FileContents& contents, const DataExtent& range, const ImageFile& image) {
    ours_.resize(chunk_bytes);
    theirs_.resize(chunk_bytes);
    const uint64_t common = std::min(object.attributes.size, image.size);
    const uint64_t stop = range.offset + range.length;
    for (uint64_t at = range.offset; at < stop;) {
        const uint64_t size = std::min(stop - at, chunk_bytes - at % chunk_bytes);
        const size_t got = HF_TRY(contents.read(at, MutableByteSpan(ours_).first(size)));
        const uint64_t known = at < common ? std::min(size, common - at) : 0;
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
                                 !covers(image.data, at + i, std::min(length, known > i ? known - i : length));
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

Status ByteRepair::clear_range(const TreeObject& object, const DataExtent& hole, const ImageFile& image) {
    const uint64_t hole_end = hole.offset + hole.length;
    for (const DataExtent& extent : image.data) {
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

// The undo of records that change bytes.
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "rewind/apply/change_data.h"
#include "rewind/apply/undo_planner.h"

namespace holdfast::rewind {

namespace {

// Up to here a range is read first and looked at for holes only if it reads as zeros; beyond, its holes are asked for first.
constexpr uint64_t read_first_bytes = 256 << 10;

bool is_zero(ByteSpan bytes) {
    return bytes.empty() || (bytes[0] == std::byte{0} && memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace

Status UndoPlanner::plan_data(const Record& record) {
    const ObjectId& object = record.object;
    Pending& state = *HF_TRY(pending(object));
    if (!S_ISREG(state.attributes.mode))
        return Error{ErrorCode::corrupt, "the journal writes to object " + journal::to_string(object) + ", which is no regular file"};
    HF_TRY(keep_capability(object, state));
    // Items carry the state before; the size is changed last, together with the time.
    uint64_t size = state.attributes.size;
    if (record.type == HF_WRITE) {
        const auto& body = record.as<journal::Write>();
        HF_TRY(plan_write(object, state, body));
        size = std::max(size, body.offset + body.data.size());
    } else if (record.type == HF_TRUNCATE) {
        size = record.as<journal::Truncate>().size;
        HF_TRY(plan_truncate(object, state, size));
    } else {
        const auto& body = record.as<journal::Fallocate>();
        HF_TRY(plan_fallocate(object, state, body));
        const uint64_t end = body.offset + body.length;
        if (body.mode & HF_FALLOC_COLLAPSE_RANGE) size -= std::min(size, body.length);
        else if (body.mode & HF_FALLOC_INSERT_RANGE) size += body.length;
        else if (!(body.mode & (HF_FALLOC_KEEP_SIZE | HF_FALLOC_PUNCH_HOLE))) size = std::max(size, end);
    }
    if (gap_end(record) > state.attributes.size) changes_.leave_gap(object);
    HF_TRY(change_time(object, state, record, size != state.attributes.size));
    state.attributes.size = size;
    return ok();
}

Status UndoPlanner::plan_write(const ObjectId& object, Pending& state, const journal::Write& body) {
    const uint64_t end = body.offset + body.data.size();
    if (body.data.empty()) return ok();
    HF_TRY(save_range(object, state, body.offset, end, Save::all));
    HF_TRY(save_touched_tail(object, state, body.offset));
    HF_TRY(fill_block_around(object, state, body.offset, end));
    state.pieces.set_bytes(body.offset, body.data);
    return ok();
}

Status UndoPlanner::plan_truncate(const ObjectId& object, Pending& state, uint64_t size) {
    if (size >= state.attributes.size) return size > state.attributes.size ? save_touched_tail(object, state, size) : ok();
    HF_TRY(save_range(object, state, size, state.attributes.size, Save::all));
    if (size % block_ != 0 && !HF_TRY(is_hole(object, state, size))) state.pieces.set_zeros(size, up(size));
    state.pieces.set_hole(up(size), Pieces::end_of_file);
    return ok();
}

Status UndoPlanner::plan_fallocate(const ObjectId& object, Pending& state, const journal::Fallocate& body) {
    const uint64_t end = body.offset + body.length;
    if (body.mode & (HF_FALLOC_COLLAPSE_RANGE | HF_FALLOC_INSERT_RANGE))
        return save_range(object, state, body.offset, state.attributes.size, Save::all);
    if (body.mode & HF_FALLOC_PUNCH_HOLE) {
        HF_TRY(save_range(object, state, body.offset, end, Save::data_only));
        // Zeros for a part of a block: where the block was a hole already, btrfs may make it data.
        HF_TRY(save_touched_hole(object, state, body.offset));
        HF_TRY(save_touched_hole(object, state, end));
        return clear(object, state, body.offset, end);
    }
    // Space without data still reads as a hole on most file systems, but not on all.
    const bool zeroes = body.mode & HF_FALLOC_ZERO_RANGE;
    HF_TRY(save_range(object, state, body.offset, end, zeroes ? Save::all : Save::holes_only));
    HF_TRY(save_touched_tail(object, state, body.offset));
    return zeroes ? clear(object, state, body.offset, end) : ok();
}

// [from, end) becomes zeros: whole blocks a hole, parts of blocks zeros, unless the block is a hole already.
Status UndoPlanner::clear(const ObjectId& object, Pending& state, uint64_t from, uint64_t end) {
    const uint64_t first_whole = up(from), last_whole = down(end);
    if (from < first_whole && !HF_TRY(is_hole(object, state, from))) state.pieces.set_zeros(from, std::min(first_whole, end));
    if (last_whole < end && last_whole >= from && !HF_TRY(is_hole(object, state, last_whole))) state.pieces.set_zeros(last_whole, end);
    if (first_whole < last_whole) state.pieces.set_hole(first_whole, last_whole);
    return ok();
}

// A write to a part of a hole makes the rest of its block zeros.
Status UndoPlanner::fill_block_around(const ObjectId& object, Pending& state, uint64_t from, uint64_t end) {
    const bool fills_head = from % block_ != 0 && HF_TRY(is_hole(object, state, from));
    const bool fills_tail = end % block_ != 0 && HF_TRY(is_hole(object, state, end));
    if (fills_head) state.pieces.set_zeros(down(from), from);
    if (fills_tail) state.pieces.set_zeros(end, up(end));
    return ok();
}

// A change behind the end of the file also fills the block of that end where it was a hole: when it begins there, and on
// btrfs whenever the file grows beyond it.
Status UndoPlanner::save_touched_tail(const ObjectId& object, const Pending& state, uint64_t from) {
    return from < state.attributes.size ? ok() : save_touched_hole(object, state, state.attributes.size);
}

// The block around OFFSET, if it is cut by it and a hole.
Status UndoPlanner::save_touched_hole(const ObjectId& object, const Pending& state, uint64_t offset) {
    if (offset % block_ == 0 || down(offset) >= state.attributes.size || !HF_TRY(is_hole(object, state, offset))) return ok();
    HF_TRY(save_hole(object, down(offset), up(offset)));
    return flush_hole(object);
}

Result<bool> UndoPlanner::is_hole(const ObjectId& object, const Pending& state, uint64_t offset) {
    const Pieces::Kind kind = state.pieces.at(offset).kind;
    if (kind != Pieces::Kind::image) return kind == Pieces::Kind::hole;
    const uint64_t block = down(offset);
    if (block >= state.image_size) return true;
    const off_t data = ::lseek(HF_TRY(files_.fd(object)), static_cast<off_t>(block), SEEK_DATA);
    if (data < 0 && errno == ENXIO) return true;
    return data >= 0 && static_cast<uint64_t>(data) >= block + block_;
}

Status UndoPlanner::save_range(const ObjectId& object, const Pending& state, uint64_t from, uint64_t end, Save what) {
    end = std::min(end, state.attributes.size);
    if (from >= end) return ok();
    HF_TRY(state.pieces.visit(from, end, [&](const Pieces::Piece& piece) -> Status {
        const uint64_t piece_end = piece.offset + piece.length;
        switch (piece.kind) {
            case Pieces::Kind::image: return save_image(object, state, piece.offset, piece_end, what);
            case Pieces::Kind::hole: return what == Save::data_only ? ok() : save_hole(object, piece.offset, piece_end);
            case Pieces::Kind::zeros: return what == Save::holes_only ? ok() : save_zeros(object, piece.offset, piece_end);
            case Pieces::Kind::bytes: break;
        }
        if (what == Save::holes_only) return ok();
        UndoItem item{UndoKind::data, object};
        item.offset = piece.offset;
        item.length = piece.length;
        item.data = {piece.bytes, piece.length};  // at most the data of one record
        return builder_.add(item);
    }));
    return flush_hole(object);
}

// What the image itself holds of [from, end).
Status UndoPlanner::save_image(const ObjectId& object, const Pending& state, uint64_t from, uint64_t end, Save what) {
    if (const uint64_t inside = std::min(end, state.image_size); from < inside) {
        if (what == Save::holes_only || inside - from > read_first_bytes) {
            HF_TRY(save_extents(object, from, inside, what));
        } else {
            const MutableByteSpan bytes = HF_TRY(builder_.room(inside - from));
            const size_t got = HF_TRY(read_fully(HF_TRY(files_.fd(object)), bytes, from));
            memset(bytes.data() + got, 0, bytes.size() - got);
            bool may_be_hole = false;
            for (uint64_t at = from; at < inside && !may_be_hole; at = down(at) + block_)
                may_be_hole = is_zero(bytes.subspan(at - from, std::min(down(at) + block_, inside) - at));
            if (may_be_hole) {
                HF_TRY(save_extents(object, from, inside, what));
            } else {
                UndoItem item{UndoKind::data, object};
                item.offset = from;
                item.length = bytes.size();
                item.data = bytes;
                HF_TRY(builder_.add(item));
            }
        }
        from = inside;
    }
    if (from >= end) return ok();
    // The file was made longer by this batch: the rest of its last block is zeros, what follows a hole.
    const uint64_t block_end = std::min(end, up(state.image_size));
    if (from < block_end) {
        const bool hole = HF_TRY(is_hole(object, state, from));
        if (hole && what != Save::data_only) HF_TRY(save_hole(object, from, block_end));
        if (!hole && what != Save::holes_only) HF_TRY(save_zeros(object, from, block_end));
        from = block_end;
    }
    return from < end && what != Save::data_only ? save_hole(object, from, end) : ok();
}

// Extent by extent as the file system reports them.
Status UndoPlanner::save_extents(const ObjectId& object, uint64_t from, uint64_t end, Save what) {
    while (from < end) {
        const int fd = HF_TRY(files_.fd(object));
        const off_t found = ::lseek(fd, static_cast<off_t>(from), SEEK_DATA);
        if (found < 0 && errno != ENXIO && errno != EINVAL) return errno_error(errno, "find the data of a file of the image");
        // A file system that cannot tell has data everywhere.
        const bool cannot_tell = found < 0 && errno == EINVAL;
        const uint64_t data = cannot_tell ? from : found < 0 ? end : std::clamp(down(static_cast<uint64_t>(found)), from, end);
        if (from < data && what != Save::data_only) HF_TRY(save_hole(object, from, data));
        if (data >= end) break;
        const off_t hole = cannot_tell ? -1 : ::lseek(fd, static_cast<off_t>(data), SEEK_HOLE);
        const uint64_t data_end = hole < 0 ? end : std::min(end, std::max(up(static_cast<uint64_t>(hole)), data + 1));
        for (from = data; from < data_end;) {
            const uint64_t part = std::min<uint64_t>(UndoBuilder::largest_item, data_end - from);
            if (what != Save::holes_only) {
                const MutableByteSpan bytes = HF_TRY(builder_.room(part));
                const size_t got = HF_TRY(read_fully(HF_TRY(files_.fd(object)), bytes, from));
                memset(bytes.data() + got, 0, bytes.size() - got);
                UndoItem item{UndoKind::data, object};
                item.offset = from;
                item.length = part;
                item.data = bytes;
                HF_TRY(builder_.add(item));
            }
            from += part;
        }
    }
    return ok();
}

Status UndoPlanner::save_zeros(const ObjectId& object, uint64_t from, uint64_t end) {
    while (from < end) {
        const MutableByteSpan bytes = HF_TRY(builder_.room(std::min<uint64_t>(UndoBuilder::largest_item, end - from)));
        memset(bytes.data(), 0, bytes.size());
        UndoItem item{UndoKind::data, object};
        item.offset = from;
        item.length = bytes.size();
        item.data = bytes;
        HF_TRY(builder_.add(item));
        from += bytes.size();
    }
    return ok();
}

// Widened to whole blocks: all of a block that is a hole is one, also where the record does not reach.
Status UndoPlanner::save_hole(const ObjectId& object, uint64_t from, uint64_t end) {
    from = down(from);
    end = up(end);
    if (hole_end_ > hole_from_ && from <= hole_end_) {
        hole_end_ = std::max(hole_end_, end);
        return ok();
    }
    HF_TRY(flush_hole(object));
    hole_from_ = from;
    hole_end_ = end;
    return ok();
}

Status UndoPlanner::flush_hole(const ObjectId& object) {
    if (hole_end_ == hole_from_) return ok();
    UndoItem item{UndoKind::hole, object};
    item.offset = hole_from_;
    item.length = hole_end_ - hole_from_;
    hole_from_ = hole_end_ = 0;
    return builder_.add(item);
}

}  // namespace holdfast::rewind

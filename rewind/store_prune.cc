// The window: dropping the oldest history when it is older, or takes more space, than the volume's limits say.
//
// Whole undo segments go, oldest first, never the newest and never one that a recovery would still need. First the
// window's begin is moved, in memory and on disk, so that nobody is offered a moment whose undo is about to go; then the
// bodies that only those moments could reach; then what the index knows of them; then the segments. A crash in between
// leaves something to drop that the next prune() finds again.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "rewind/read_directory.h"
#include "rewind/store_state.h"

namespace holdfast::rewind {

Result<uint64_t> Store::Impl::prune() {
    uint64_t freed = 0;
    graveyard_bytes = HF_TRY(count_graveyard());
    if (const UndoAddress below = HF_TRY(end_of_age())) {
        if (const auto drop = HF_TRY(plan_drop(below))) freed += HF_TRY(carry_out(*drop));
    }
    while (volume.window_bytes_max != 0 && undo->used_bytes() + graveyard_bytes > volume.window_bytes_max) {
        // One segment at a time, because how much lies in the graveyard for it is known only afterwards.
        const uint64_t next = undo->begin() / undo->segment_bytes() + 1;
        const auto drop = HF_TRY(plan_drop(next * undo->segment_bytes()));
        if (!drop) break;
        freed += HF_TRY(carry_out(*drop));
    }
    return freed;
}

// Everything below this address is older than the limit; 0: nothing is.
Result<UndoAddress> Store::Impl::end_of_age() {
    const uint64_t now = clock.realtime_ns();
    if (volume.window_age_ns == 0 || volume.window_age_ns >= now) return UndoAddress{0};
    const auto oldest = HF_TRY(index->lsn_at_time(now - volume.window_age_ns));
    if (!oldest) return UndoAddress{0};
    return index->undo_address_at(*oldest);
}

// What goes with the whole segments below BELOW. Nothing: there is none that may go.
Result<std::optional<Store::Impl::Drop>> Store::Impl::plan_drop(UndoAddress below) {
    const uint64_t segment = undo->segment_bytes();
    // The newest segment stays, and what lies behind the checkpoint: recovery reads it.
    const UndoAddress newest = std::min(undo->end(), position.undo_end) / segment * segment;
    Drop drop{std::min(below, newest) / segment * segment, window_begin, {}};
    if (drop.below <= undo->begin()) return std::optional<Drop>();
    HF_TRY(undo->scan(undo->begin(), [&](const UndoRecord& record) {
        if (record.address >= drop.below) return false;
        drop.window_begin = std::max(drop.window_begin, record.end_lsn);
        // A directory ends with its last name; a file may live on without one until its ORPHAN_END.
        if (record.type == HF_ORPHAN_END) drop.graves.push_back({record.object, true});
        for (const UndoItem& item : record.items)
            if (item.kind == UndoKind::death) drop.graves.push_back({item.object, false});
        return true;
    }));
    if (drop.window_begin > position.checkpoint) return std::optional<Drop>();
    return std::optional(std::move(drop));
}

Result<uint64_t> Store::Impl::carry_out(const Drop& drop) {
    window_begin = drop.window_begin;
    HF_TRY(save(position.checkpoint));
    gaps.prune_below(drop.window_begin);

    const uint64_t undo_before = undo->used_bytes();
    uint64_t graves = 0;
    for (const Grave& grave : drop.graves) graves += HF_TRY(remove_grave(grave, drop.window_begin));
    HF_TRY(applier->publish());
    HF_TRY(index->prune_below(drop.window_begin));
    HF_TRY(undo->drop_below(drop.below));
    graveyard_bytes = graveyard_bytes - std::min<uint64_t>(graves, graveyard_bytes);
    return undo_before - std::min(undo_before, undo->used_bytes()) + graves;
}

// Removes a dead object's body unless the window still reaches it. Returns the bytes freed.
Result<uint64_t> Store::Impl::remove_grave(const Grave& dead, Lsn window_begin) {
    const ObjectId& object = dead.object;
    const auto location = HF_TRY(index->location(object));
    if (!location || location->links > 0) return uint64_t{0};  // went before, or lives again
    if (!dead.has_ended && !S_ISDIR(location->mode)) return uint64_t{0};
    // Whatever happened to it inside the window needs its body; the last such record will lead here again.
    if (!HF_TRY(index->events_of(object, window_begin, 1)).empty()) return uint64_t{0};
    const std::string grave = Image::grave_name(object);
    struct stat status;
    if (::fstatat(image->graveyard_fd(), grave.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno != ENOENT) return errno_error(errno, "look at " + quoted(grave) + " in the graveyard");
        HF_TRY(applier->forget(object));
        return uint64_t{0};
    }
    if (::unlinkat(image->graveyard_fd(), grave.c_str(), S_ISDIR(status.st_mode) ? AT_REMOVEDIR : 0) != 0)
        return errno_error(errno, "remove " + quoted(grave) + " from the graveyard");
    HF_TRY(applier->forget(object));
    return static_cast<uint64_t>(status.st_blocks) * 512;
}

Result<uint64_t> Store::Impl::count_graveyard() const {
    uint64_t bytes = 0;
    HF_TRY(read_directory(image->graveyard_fd(), [&](const DirectoryEntry& entry) -> Status {
        struct stat status;
        if (::fstatat(image->graveyard_fd(), entry.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0)
            bytes += static_cast<uint64_t>(status.st_blocks) * 512;
        return ok();
    }));
    return bytes;
}

}  // namespace holdfast::rewind

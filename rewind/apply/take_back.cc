// Taking the image back to an earlier moment: what the undo log saved is put where it was.
//
// Like a redo, this brings every name, attribute and byte that the records since then touched to the state wanted, whatever it is
// now; so after a crash it is simply done again. For a name, attribute or xattr the first undo of it counts; for bytes the index
// knows which one is the first. What was born since then goes.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "rewind/apply/applier.h"
#include "rewind/apply/change_data.h"
#include "rewind/apply/change_names.h"
#include "rewind/apply/past_changes.h"

namespace holdfast::rewind {

namespace {

// One question to the index is about this much of a file; what it answers lies in memory.
constexpr uint64_t window_bytes = 256ULL << 20;
constexpr uint64_t copy_bytes = 1 << 20;

// A hole at the end of a file of SIZE bytes ends within a block, and a block that is punched in part stays.
uint64_t end_of_hole(const DataUndo& range, uint64_t size, uint64_t block_bytes) {
    const uint64_t end = range.offset + range.length;
    return end == size ? (end + block_bytes - 1) / block_bytes * block_bytes : end;
}

Status restore_data(int fd, const UndoLog& undo, const DataUndo& range, std::vector<std::byte>& buffer) {
    for (uint64_t done = 0; done < range.length;) {
        buffer.resize(std::min(copy_bytes, range.length - done));
        HF_TRY(undo.read_data(range.item, range.skip + done, buffer));
        HF_TRY(write_fully(fd, buffer, range.offset + done));
        done += buffer.size();
    }
    return ok();
}

}  // namespace

Result<std::vector<Index::HeldName>> Applier::take_back(Lsn at, UndoAddress from) {
    files_.clear();
    unsettled_.clear();
    builder_.written().clear();
    PastChanges past = HF_TRY(PastChanges::collect(undo_, from));
    NameChanger names(files_, past.changes());
    HF_TRY(names.discover());
    HF_TRY(settle_times(past, at));
    HF_TRY(names.run());
    HF_TRY(restore_bytes_of(past, at));
    HF_TRY(change_attributes(past.changes()));
    for (const ObjectId& object : past.unborn()) HF_TRY(remove_unborn(object));
    HF_TRY(publish());
    return past.names();
}

// The time of modification that an object had, where no record since then saved it: otherwise restoring its names or its bytes
// would leave that of now.
Status Applier::settle_times(PastChanges& past, Lsn at) {
    for (auto& [object, change] : past.changes().objects()) {
        if (change.is_unborn) continue;
        const auto time_ns = HF_TRY(index_.unsettled_time_at(object, at));
        if (!time_ns && change.valid & HF_ATTR_MTIME) continue;
        change.attributes.mtime_ns = time_ns ? static_cast<int64_t>(*time_ns)
                                             : HF_TRY(files_.image().attributes_of(HF_TRY(files_.fd(object)))).mtime_ns;
        change.valid |= HF_ATTR_MTIME;
    }
    return ok();
}

// The size comes first: growing may fill a hole at the end (btrfs) that the undo log then makes one again.
Status Applier::restore_bytes_of(const PastChanges& past, Lsn at) {
    std::vector<std::byte> buffer;
    for (const auto& [object, size_then] : past.files()) {
        const auto location = HF_TRY(files_.location(object));
        if (!location || !S_ISREG(location->mode)) continue;
        const int fd = HF_TRY(files_.fd(object));
        const uint64_t size = size_then ? *size_then : HF_TRY(files_.image().attributes_of(fd)).size;
        HF_TRY(set_file_size(fd, size));
        for (uint64_t offset = 0; offset < size; offset += window_bytes)
            for (const DataUndo& range : HF_TRY(index_.data_at(object, offset, std::min(window_bytes, size - offset), at)))
                HF_TRY(range.hole ? punch(fd, range.offset, end_of_hole(range, size, block_bytes_) - range.offset)
                                  : restore_data(fd, undo_, range, buffer));
    }
    return ok();
}

// It has lost its names by now, and those of its entries that lived before have been moved out.
Status Applier::remove_unborn(const ObjectId& object) {
    const int graveyard = files_.image().graveyard_fd();
    const std::string grave = Image::grave_name(object);
    const auto location = HF_TRY(files_.location(object));
    const int flags = location && S_ISDIR(location->mode) ? AT_REMOVEDIR : 0;
    if (location && ::unlinkat(graveyard, grave.c_str(), flags) != 0 && errno != ENOENT)
        return errno_error(errno, "remove " + quoted(grave) + " from the graveyard");
    return files_.remove(object);
}

}  // namespace holdfast::rewind

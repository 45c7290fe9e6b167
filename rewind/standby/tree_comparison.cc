#include "rewind/standby/tree_comparison.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "base/text.h"
#include "rewind/apply/change_data.h"
#include "rewind/apply/make_object.h"
#include "rewind/copy_file.h"
#include "rewind/read_directory.h"
#include "rewind/xattrs.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t piece_bytes = 1 << 20;
constexpr uint64_t block_bytes = 4096;
constexpr uint64_t step_bytes = 16 << 20;
constexpr size_t step_objects = 500;

Result<std::map<std::string, ObjectId>> list(const Image& tree, int directory, const std::string& kept) {
    std::map<std::string, ObjectId> entries;
    HF_TRY(read_directory(directory, [&](const DirectoryEntry& entry) -> Status {
        if (entry.name == kept) return ok();
        const auto object = tree.object_of(directory, entry.name);
        if (!object && object.error().code == ErrorCode::not_found) return ok();
        if (!object) return Error(object.error());
        entries.emplace(entry.name, *object);
        return ok();
    }));
    return entries;
}

Result<struct stat> look_at(int directory, const std::string& name) {
    struct stat status;
    if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW | (name.empty() ? AT_EMPTY_PATH : 0)) != 0)
        return errno_error(errno, "look at " + quoted(name));
    return status;
}

bool is_same_object(const struct stat& one, const struct stat& other) {
    return one.st_mode == other.st_mode && one.st_uid == other.st_uid && one.st_gid == other.st_gid && one.st_mtim.tv_sec == other.st_mtim.tv_sec &&
           one.st_mtim.tv_nsec == other.st_mtim.tv_nsec && one.st_rdev == other.st_rdev;
}

// The bytes of files are compared by themselves.
Status no_bytes(const ObjectId&, TreeUpdate::Age) {
    return ok();
}

// Where data begins at or after FROM; SIZE: nowhere.
Result<uint64_t> next_data(int fd, uint64_t from, uint64_t size) {
    const off_t found = ::lseek(fd, static_cast<off_t>(from), SEEK_DATA);
    if (found >= 0) return std::min(size, static_cast<uint64_t>(found));
    if (errno == ENXIO) return size;
    if (errno == EINVAL) return from;
    return errno_error(errno, "find the data of a file");
}

}  // namespace

bool TreeComparison::followed(Lsn now, std::vector<ObjectId> walk_again) {
    since_ = now;
    directories_ = std::move(walk_again);
    return directories_.empty();
}

Result<bool> TreeComparison::step(const Original& original) {
    const uint64_t objects = figures_.objects, bytes = figures_.bytes_compared;
    while (figures_.objects - objects < step_objects && figures_.bytes_compared - bytes < step_bytes) {
        if (!work_.empty()) {
            if (HF_TRY(compare_some(original, work_.front()))) work_.pop_front();
        } else if (!directories_.empty()) {
            const ObjectId directory = directories_.back();
            directories_.pop_back();
            HF_TRY(visit(original, directory));
        } else {
            return true;
        }
    }
    return false;
}

Status TreeComparison::visit(const Original& original, const ObjectId& directory) {
    ++figures_.objects;
    const auto source = HF_TRY(open_original(original, directory));
    // Moved or removed meanwhile: what was touched is followed in the end.
    if (!source || !HF_TRY(files_.is_there(directory))) return ok();
    const bool is_top = directory == journal::root_object;
    const auto wanted = HF_TRY(list(original.image, source->get(), {}));
    if (is_top && wanted.count(kept_))
        return Error{ErrorCode::exists, "the volume has an entry " + quoted(kept_) + ", which is the name that the standby directory's own entry has"};
    const int tree = HF_TRY(files_.fd(directory));
    const auto present = HF_TRY(list(files_.image(), tree, is_top ? kept_ : std::string()));

    TreeUpdate update(original, files_, places_);
    for (const auto& [name, object] : wanted) {
        ++figures_.objects;
        const auto found = present.find(name);
        const auto status = HF_TRY(look_at(source->get(), name));
        HF_TRY(meet(original, update, {directory, name, object, status}, found == present.end() ? nullptr : &found->second));
        if (S_ISDIR(status.st_mode)) directories_.push_back(object);
        if (S_ISREG(status.st_mode)) work_.push_back({object});
    }
    for (const auto& [name, object] : present) {
        if (wanted.count(name)) continue;
        ++figures_.differences;
        HF_TRY(update.take_name(directory, name));
    }
    // Its entries may change now; its own attributes come with them.
    HF_TRY(update.take_object(directory));
    return update.run(false, no_bytes);
}

// The name shall lead to the same object on both sides. THERE: to which it leads in the tree.
Status TreeComparison::meet(const Original& original, TreeUpdate& update, const Entry& entry, const ObjectId* there) {
    const bool has_name = there && (*there == entry.object || HF_TRY(adopt(entry, *there)));
    if (!has_name) {
        ++figures_.differences;
        return update.take_name(entry.directory, entry.name);
    }
    if (HF_TRY(is_equal(original, entry))) return ok();
    ++figures_.differences;
    return update.take_object(entry.object);
}

// True: what has the name in the tree is the object from here on.
Result<bool> TreeComparison::adopt(const Entry& entry, const ObjectId& there) {
    if (!places_.is_own(there)) return false;
    const struct stat& wanted = entry.status;
    // Asked for again for each entry: it is borrowed until many others were used.
    int tree = HF_TRY(files_.fd(entry.directory));
    const auto present = HF_TRY(look_at(tree, entry.name));
    if ((wanted.st_mode & S_IFMT) != (present.st_mode & S_IFMT) || wanted.st_rdev != present.st_rdev) return false;
    if (S_ISLNK(wanted.st_mode)) return false;  // its target cannot be changed
    // Linked otherwise than in the volume, it is made anew: nobody knows which of its names are right.
    if (!S_ISDIR(present.st_mode) && present.st_nlink != wanted.st_nlink) return false;
    if (HF_TRY(files_.is_there(entry.object))) return false;
    tree = HF_TRY(files_.fd(entry.directory));
    MadeObject found = HF_TRY(open_named(tree, entry.name));
    files_.add(entry.object, std::move(found.location), std::move(found.fd));
    HF_TRY(files_.tell_all());
    return true;
}

Result<bool> TreeComparison::is_equal(const Original& original, const Entry& entry) {
    const int fd = HF_TRY(files_.fd(entry.object));
    if (!is_same_object(entry.status, HF_TRY(look_at(fd, "")))) return false;
    const auto source = HF_TRY(open_original(original, entry.object));
    if (!source) return true;
    return HF_TRY(xattrs_of_object(original.image, entry.object, source->get())) == HF_TRY(xattrs_of_object(files_.image(), entry.object, fd));
}

// True: the file is done.
Result<bool> TreeComparison::compare_some(const Original& original, FileWork& work) {
    const auto source = HF_TRY(open_original(original, work.object));
    if (!source || !HF_TRY(files_.is_there(work.object))) return true;
    const int target = HF_TRY(files_.fd(work.object));
    const uint64_t size = HF_TRY(size_of(source->get())), present = HF_TRY(size_of(target));
    bool has_changed = false;
    if (work.offset == 0 && present != size) {
        HF_TRY(set_file_size(target, size));
        has_changed = true;
    }
    ours_.resize(piece_bytes);
    theirs_.resize(piece_bytes);
    for (uint64_t done = 0; done < step_bytes && work.offset < size;) {
        work.offset = std::min(HF_TRY(next_data(source->get(), work.offset, size)), HF_TRY(next_data(target, work.offset, size)));
        const uint64_t length = std::min(size - work.offset, piece_bytes - work.offset % piece_bytes);
        if (length == 0) break;
        const size_t got = HF_TRY(read_fully(source->get(), MutableByteSpan(ours_).first(length), work.offset));
        const size_t had = HF_TRY(read_fully(target, MutableByteSpan(theirs_).first(length), work.offset));
        std::fill(theirs_.begin() + static_cast<ptrdiff_t>(had), theirs_.begin() + static_cast<ptrdiff_t>(length), std::byte{0});
        for (uint64_t at = 0; at < got;) {
            uint64_t end = at;
            while (end < got && std::memcmp(&ours_[end], &theirs_[end], std::min<uint64_t>(block_bytes, got - end)) != 0) end = std::min<uint64_t>(got, end + block_bytes);
            if (end > at) {
                HF_TRY(copy_part(source->get(), target, work.offset + at, work.offset + end));
                has_changed = true;
                ++figures_.differences;
            }
            at = std::min<uint64_t>(got, end + block_bytes);
        }
        done += length;
        figures_.bytes_compared += length;
        work.offset += length;
    }
    const bool is_done = work.offset >= size;
    if (!has_changed) return is_done;
    // What writing changed: the times, and what a change of bytes takes from a file.
    TreeUpdate update(original, files_, places_);
    HF_TRY(update.take_object(work.object));
    HF_TRY(update.run(false, no_bytes));
    return is_done;
}

}  // namespace holdfast::rewind

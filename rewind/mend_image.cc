#include "rewind/mend_image.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"
#include "rewind/apply/object_files.h"
#include "rewind/read_directory.h"

namespace holdfast::rewind {

namespace {

constexpr size_t objects_at_once = 512;
constexpr size_t changes_at_once = 4096;

using Name = Index::HeldName;

bool is_same(const Name& one, const Name& other) {
    return one.directory == other.directory && one.name == other.name;
}

class Mending {
public:
    Mending(const Image& image, Index& index, const std::function<Status()>& step) : image_(image), index_(index), step_(step) {}

    Result<MendReport> run() {
        HF_TRY(open_aside());
        HF_TRY(look_at_everything());
        HF_TRY(put_everything_back());
        HF_TRY(write_changes());
        HF_TRY(settle_aside());
        return report_;
    }

private:
    // ---- First: whatever stands under a name that is not its own goes aside, so that every name that is wanted is free.

    Status open_aside() {
        const std::string name(set_aside_name);
        if (::mkdirat(image_.graveyard_fd(), name.c_str(), 0700) != 0 && errno != EEXIST) return errno_error(errno, "make the directory for what is set aside");
        aside_.reset(::openat(image_.graveyard_fd(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!aside_) return errno_error(errno, "open the directory for what is set aside");
        // What a mending that was cut off, or an earlier one, left there.
        return read_directory(aside_.get(), [&](const DirectoryEntry& entry) -> Status {
            const FileHandle handle = HF_TRY(file_handle_at(aside_.get(), entry.name));
            const auto object = HF_TRY(known_object(aside_.get(), entry.name, handle));
            set_aside_.emplace(handle.bytes, entry.name);
            if (!object) was_aside_.insert(handle.bytes);
            if (HF_TRY(is_directory(aside_.get(), entry))) waiting_.push_back({handle, object.value_or(ObjectId{}), object.has_value()});
            return ok();
        });
    }

    struct Waiting {
        FileHandle handle;  // by handle: neither depth nor breadth of the tree is bounded by descriptors
        ObjectId directory;
        bool is_ours;
    };

    Status look_at_everything() {
        const auto root = HF_TRY(index_.location(journal::root_object));
        if (!root) return Error{ErrorCode::corrupt, "the index does not know the top of the image"};
        HF_TRY(look(image_.graveyard_fd(), {}, Place::graveyard));
        waiting_.push_back({FileHandle{root->handle}, journal::root_object, true});
        while (!waiting_.empty()) {
            const Waiting next = std::move(waiting_.back());
            waiting_.pop_back();
            const UniqueFd fd = HF_TRY(open_directory(next.handle));
            HF_TRY(look(fd.get(), next.directory, next.is_ours ? Place::ours : Place::foreign));
        }
        return ok();
    }

    enum class Place { graveyard, ours, foreign };

    Status look(int directory_fd, const ObjectId& directory, Place place) {
        // All of them first, because they are moved while they are looked at.
        std::vector<DirectoryEntry> entries;
        HF_TRY(read_directory(directory_fd, [&](const DirectoryEntry& entry) {
            if (place != Place::graveyard || entry.name != set_aside_name) entries.push_back(entry);
            return ok();
        }));
        for (const DirectoryEntry& entry : entries) {
            HF_TRY(step_());
            const FileHandle handle = HF_TRY(file_handle_at(directory_fd, entry.name));
            const auto object = HF_TRY(known_object(directory_fd, entry.name, handle));
            if (HF_TRY(is_directory(directory_fd, entry))) waiting_.push_back({handle, object.value_or(ObjectId{}), object.has_value()});
            const bool is_right = object && HF_TRY(is_own_name(place, {*object, directory, entry.name, true}));
            // What is foreign and lies in something foreign moves with that.
            if (!is_right && (object || place != Place::foreign)) HF_TRY(set_aside(directory_fd, entry.name, handle));
        }
        return ok();
    }

    // The object whose file this is. Nothing: something foreign, a copy, or one that lost its id (take_from_aside() knows it by its handle).
    Result<std::optional<ObjectId>> known_object(int directory_fd, const std::string& name, const FileHandle& handle) {
        const auto object = image_.object_of(directory_fd, name);
        if (!object && object.error().code == ErrorCode::corrupt) return std::optional<ObjectId>();
        if (!object) return object.error();
        const auto location = HF_TRY(index_.location(*object));
        return location && location->handle == handle.bytes ? std::optional(*object) : std::nullopt;
    }

    Result<bool> is_own_name(Place place, const Name& name) {
        if (place == Place::foreign) return false;
        const std::vector<Name> own = HF_TRY(index_.held_names(name.object));
        if (place == Place::graveyard) return own.empty() && name.name == Image::grave_name(name.object);
        return std::any_of(own.begin(), own.end(), [&](const Name& one) { return is_same(one, name); });
    }

    Status set_aside(int directory_fd, const std::string& name, const FileHandle& handle) {
        // A surplus name of what is there already.
        if (set_aside_.count(handle.bytes)) {
            if (::unlinkat(directory_fd, name.c_str(), 0) != 0) return errno_error(errno, "remove a surplus name from the image");
            return ok();
        }
        for (;;) {
            const std::string new_name = std::to_string(next_name_++);
            if (::renameat2(directory_fd, name.c_str(), aside_.get(), new_name.c_str(), RENAME_NOREPLACE) == 0) {
                set_aside_[handle.bytes] = new_name;
                return ok();
            }
            if (errno != EEXIST) return errno_error(errno, "set " + quoted(name) + " aside, which is not the image's");
        }
    }

    // ---- Then: every object that the index knows gets its names, or is forgotten.

    Status put_everything_back() {
        ObjectId after;
        for (;;) {
            const auto objects = HF_TRY(index_.objects_after(after, objects_at_once));
            if (objects.empty()) return ok();
            after = objects.back();
            for (const ObjectId& object : objects) {
                HF_TRY(step_());
                if (object != journal::root_object) HF_TRY(put_back(object));
            }
        }
    }

    Status put_back(const ObjectId& object) {
        const auto location = HF_TRY(index_.location(object));
        if (!location) return ok();
        const std::vector<Name> names = HF_TRY(index_.held_names(object));
        std::vector<Name> kept;
        for (const Name& name : names)
            if (HF_TRY(is_there(name.directory))) kept.push_back(name);
        if (S_ISDIR(location->mode) && names.size() > 1) {
            const Name own = *HF_TRY(name_of_directory(object, *location));
            std::erase_if(kept, [&](const Name& name) { return !is_same(name, own); });
        }
        const bool has_place = names.empty() ? HF_TRY(put_back_grave(object, *location)) : HF_TRY(put_back_names(object, *location, kept));
        if (!has_place) return forget(object, names);
        for (const Name& name : names)
            if (std::none_of(kept.begin(), kept.end(), [&](const Name& one) { return is_same(one, name); })) let_go(name);
        const auto links = static_cast<uint32_t>(kept.size());
        return location->links == links ? ok() : change(object, ImageLocation{location->handle, location->mode, links});
    }

    Result<bool> put_back_grave(const ObjectId& object, const ImageLocation& location) {
        const std::string name = Image::grave_name(object);
        if (HF_TRY(leads_to(image_.graveyard_fd(), name, location))) return true;
        return take_from_aside(object, location, image_.graveyard_fd(), name);
    }

    // NAMES become those that it has afterwards: one that somebody else has by the index, too, is his. False: it is nowhere.
    Result<bool> put_back_names(const ObjectId& object, const ImageLocation& location, std::vector<Name>& names) {
        std::vector<Name> has, missing;
        for (const Name& name : names) {
            const UniqueFd holder = HF_TRY(open_holder(name.directory));
            if (HF_TRY(leads_to(holder.get(), name.name, location))) has.push_back(name);
            else if (::faccessat(holder.get(), name.name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0) missing.push_back(name);
        }
        names = has;
        for (const Name& name : missing) {
            const UniqueFd holder = HF_TRY(open_holder(name.directory));
            if (names.empty()) {
                if (!HF_TRY(take_from_aside(object, location, holder.get(), name.name))) return false;
            } else {
                const UniqueFd from = HF_TRY(open_holder(names.front().directory));
                if (::linkat(from.get(), names.front().name.c_str(), holder.get(), name.name.c_str(), 0) != 0) return errno_error(errno, "give " + quoted(name.name) + " of the image its name again");
                ++report_.put_back;
            }
            names.push_back(name);
        }
        return !names.empty();
    }

    Result<bool> take_from_aside(const ObjectId& object, const ImageLocation& location, int directory_fd, const std::string& name) {
        const auto found = set_aside_.find(location.handle);
        if (found == set_aside_.end()) return false;
        if (::renameat2(aside_.get(), found->second.c_str(), directory_fd, name.c_str(), RENAME_NOREPLACE) != 0) return errno_error(errno, "put " + quoted(name) + " of the image back");
        set_aside_.erase(found);
        ++report_.put_back;
        const auto carried = image_.object_of(directory_fd, name);
        if (carried && *carried == object) return true;
        const std::string id = journal::to_string(object), path = descriptor_path(directory_fd) + "/" + name;
        if (::lsetxattr(path.c_str(), object_id_xattr, id.data(), id.size(), 0) != 0) return errno_error(errno, "write the id of " + quoted(name) + " in the image");
        return true;
    }

    // Whether the directory and those above it are in the image, or can be put back. Upwards until that is known.
    Result<bool> is_there(const ObjectId& directory) {
        std::vector<ObjectId> chain;
        ObjectId current = directory;
        bool is_there = true;
        while (current != journal::root_object) {
            if (const auto known = is_there_.find(current); known != is_there_.end()) {
                is_there = known->second;
                break;
            }
            const auto location = HF_TRY(index_.location(current));
            const auto name = location ? HF_TRY(name_of_directory(current, *location)) : std::nullopt;
            is_there = name && HF_TRY(is_found(*location, *name));
            chain.push_back(current);
            // It may lie in one that is lost; a ring is in no image, and a damaged index must not hang us.
            if (!is_there || chain.size() > depth_max) break;
            current = name->directory;
        }
        for (const ObjectId& one : chain) is_there_[one] = is_there && chain.size() <= depth_max;
        return is_there && chain.size() <= depth_max;
    }

    // The one that it has; an index that was made anew from an image which somebody had changed may know several: the one that leads there.
    Result<std::optional<Name>> name_of_directory(const ObjectId& object, const ImageLocation& location) {
        const std::vector<Name> names = HF_TRY(index_.held_names(object));
        for (const Name& name : names)
            if (names.size() > 1 && !set_aside_.count(location.handle) && HF_TRY(is_found(location, name))) return std::optional(name);
        return names.empty() ? std::nullopt : std::optional(names.front());
    }

    Result<bool> is_found(const ImageLocation& location, const Name& name) {
        if (set_aside_.count(location.handle)) return true;
        const auto holder = HF_TRY(index_.location(name.directory));
        if (!holder) return false;
        const auto directory = open_directory(FileHandle{holder->handle});
        if (!directory && directory.error().code == ErrorCode::not_found) return false;
        if (!directory) return directory.error();
        return leads_to(directory->get(), name.name, location);
    }

    void let_go(const Name& name) { names_.push_back({name.object, name.directory, name.name, false}); }

    // Its names are given anew by whoever makes it anew.
    Status forget(const ObjectId& object, const std::vector<Name>& names) {
        ++report_.lost;
        for (const Name& name : names) let_go(name);
        is_there_[object] = false;
        HF_TRY(image_.spilled().forget(object));
        return change(object, std::nullopt);
    }

    Status change(const ObjectId& object, std::optional<ImageLocation> location) {
        changes_.push_back({object, std::move(location)});
        return changes_.size() >= changes_at_once ? write_changes() : ok();
    }

    Status write_changes() {
        if (!changes_.empty() || !names_.empty()) HF_TRY(index_.insert({}, changes_, names_));
        changes_.clear();
        names_.clear();
        return ok();
    }

    // ---- Last: what is still aside is a surplus name, or foreign.

    Status settle_aside() {
        bool is_empty = true;
        for (const auto& [handle, name] : set_aside_) {
            const auto object = HF_TRY(known_object(aside_.get(), name, FileHandle{handle}));
            if (!object) {
                is_empty = false;
                report_.set_aside += was_aside_.count(handle) == 0;
            } else if (::unlinkat(aside_.get(), name.c_str(), 0) != 0) {
                return errno_error(errno, "remove a surplus name of the image");
            }
        }
        if (is_empty && ::unlinkat(image_.graveyard_fd(), std::string(set_aside_name).c_str(), AT_REMOVEDIR) != 0) return errno_error(errno, "remove the directory for what is set aside");
        return ok();
    }

    // ---- What the index and the image say.

    Result<UniqueFd> open_directory(const FileHandle& handle) const {
        return open_file_handle(image_.root_fd(), handle, O_RDONLY | O_DIRECTORY | O_NOATIME);
    }

    // REQUIRES: is_there(DIRECTORY).
    Result<UniqueFd> open_holder(const ObjectId& directory) const {
        const auto location = HF_TRY(index_.location(directory));
        if (!location) return Error{ErrorCode::corrupt, "directory " + journal::to_string(directory) + " has no place in the image"};
        return open_directory(FileHandle{location->handle});
    }

    static Result<bool> leads_to(int directory_fd, const std::string& name, const ImageLocation& location) {
        const auto handle = file_handle_at(directory_fd, name);
        if (!handle && handle.error().code == ErrorCode::not_found) return false;
        if (!handle) return handle.error();
        return handle->bytes == location.handle;
    }

    static constexpr size_t depth_max = 1 << 16;

    const Image& image_;
    Index& index_;
    const std::function<Status()>& step_;
    UniqueFd aside_;
    uint64_t next_name_ = 0;
    std::unordered_map<std::string, std::string> set_aside_;  // by handle: the name there
    std::unordered_set<std::string> was_aside_;               // the foreign ones that were there before
    std::vector<Waiting> waiting_;
    std::unordered_map<ObjectId, bool> is_there_;  // directories
    std::vector<LocationChange> changes_;
    std::vector<Index::HeldName> names_;
    MendReport report_;
};

}  // namespace

std::string MendReport::sentence() const {
    return "the image had been changed behind the product's back: " + std::to_string(put_back) + " names were put back, " + std::to_string(lost) +
           " objects are lost and are made anew, " + std::to_string(set_aside) + " names of what is not ours were put into graveyard/" + std::string(set_aside_name);
}

Result<MendReport> mend_image(const Image& image, Index& index, const std::function<Status()>& step) {
    return Mending(image, index, step).run();
}

}  // namespace holdfast::rewind

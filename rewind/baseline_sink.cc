#include "rewind/baseline_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "rewind/apply/change_data.h"
#include "rewind/apply/make_object.h"
#include "rewind/apply/object_files.h"
#include "rewind/apply/set_attributes.h"
#include "rewind/copy_file.h"
#include "rewind/read_directory.h"

namespace holdfast::rewind {

namespace {

// Locations and names are handed to the index when this many wait; they are durable only with commit().
constexpr size_t waiting_max = 4096;

}  // namespace

class BaselineSink::Impl {
public:
    Impl(const Image& image, Index& index) : image_(image), index_(index), files_(image, index) {}

    Status make(const BaselineObject& object);
    Status copy_data(const ObjectId& object, int source_fd, uint64_t size, const Progress& progress);
    Status fill(const ObjectId& object, uint64_t size, const std::vector<journal::Write>& data);
    Result<int> file(const ObjectId& object) { return files_.fd(object); }
    Status link(const ObjectId& object, const ObjectId& parent, const std::string& name);
    Status finish(const ObjectId& object, const ObjectAttributes& attributes, const XattrList& xattrs);
    Status remove(const ObjectId& parent, const std::string& name);
    Result<std::optional<ObjectId>> lookup(const ObjectId& parent, const std::string& name);
    Status commit();
    Result<std::optional<ImageLocation>> find(const ObjectId& object) { return files_.location(object); }

private:
    Result<bool> make_new(const BaselineObject& object, int directory, const std::string& name);
    Result<bool> is_elsewhere(const BaselineObject& object, int directory, const std::string& name);
    Status take_in(int directory, const std::string& name, const ObjectId& object, bool in_graveyard);
    Status move_directory(const ObjectId& object, int directory, const std::string& name);
    Status remove_file(int directory, const ObjectId& parent, const std::string& name, const ObjectId& object);
    Status empty_directory(const ObjectId& object, std::vector<ObjectId>& waiting);
    Status remove_tree(const ObjectId& top);
    Status remove_grave(const std::string& name);
    Status hand_over();
    Status hand_over_if_many() { return names_.size() < waiting_max ? ok() : hand_over(); }

    const Image& image_;
    Index& index_;
    ObjectFiles files_;
    std::vector<Index::HeldName> names_;
};

// The place of an object that stands in the image at NAME.
Status BaselineSink::Impl::take_in(int directory, const std::string& name, const ObjectId& object, bool in_graveyard) {
    MadeObject there = HF_TRY(open_named(directory, name));
    if (in_graveyard) there.location.links = 0;
    files_.add(object, std::move(there.location), std::move(there.fd));
    return ok();
}

Status BaselineSink::Impl::make(const BaselineObject& object) {
    const bool nameless = object.name.empty();
    const int directory = nameless ? image_.graveyard_fd() : HF_TRY(files_.fd(object.parent));
    const std::string name = nameless ? Image::grave_name(object.id) : object.name;
    const bool is_new = !HF_TRY(files_.location(object.id)) && HF_TRY(make_new(object, directory, name));
    if (!is_new && HF_TRY(is_elsewhere(object, directory, name))) return link(object.id, object.parent, object.name);
    if (!nameless) names_.push_back({object.id, object.parent, object.name, true});
    return hand_over_if_many();
}

// False: the name belongs to an object.
Result<bool> BaselineSink::Impl::make_new(const BaselineObject& object, int directory, const std::string& name) {
    auto made = make_object(image_, directory, name, {object.id, object.attributes.mode, object.attributes.rdev, object.target});
    if (!made && made.error().sys_errno == EEXIST) return false;
    if (!made) return std::move(made).error();
    if (object.name.empty()) made->location.links = 0;
    files_.add(object.id, std::move(made->location), std::move(made->fd));
    return true;
}

// The object, or the name, may be there already. True: it stands elsewhere and wants one more name. False: it stands at the name.
Result<bool> BaselineSink::Impl::is_elsewhere(const BaselineObject& object, int directory, const std::string& name) {
    const bool nameless = object.name.empty();
    const auto occupant = image_.object_of(directory, name);
    if (!occupant && occupant.error().code != ErrorCode::not_found && occupant.error().code != ErrorCode::corrupt)
        return Error(occupant.error());
    if (occupant && *occupant != object.id)
        return Error{ErrorCode::exists, "the image has another object at " + quoted(name), EEXIST};
    // Made by an attempt that was interrupted, maybe before the index knew of it.
    if (occupant) {
        HF_TRY(take_in(directory, name, object.id, nameless));
        return false;
    }
    HF_TRY(hand_over());  // as in link()
    if (const auto elsewhere = HF_TRY(files_.location(object.id)); elsewhere && !nameless && files_.fd(object.id)) {
        // The tree moved it between two attempts.
        if (!S_ISDIR(elsewhere->mode)) return true;
        HF_TRY(move_directory(object.id, directory, name));
        return false;
    }
    if (HF_TRY(make_new(object, directory, name))) return false;
    return Error{ErrorCode::exists, "the image has something else at " + quoted(name), EEXIST};
}

Status BaselineSink::Impl::move_directory(const ObjectId& object, int directory, const std::string& name) {
    const auto [parent, old_name] = HF_TRY(name_of_directory(HF_TRY(files_.fd(object))));
    if (::renameat2(parent.get(), old_name.c_str(), directory, name.c_str(), RENAME_NOREPLACE) != 0)
        return errno_error(errno, "move " + quoted(old_name) + " to " + quoted(name) + " in the image");
    if (const auto holder = image_.object_of(parent.get()); holder) names_.push_back({object, *holder, old_name, false});
    return ok();
}

Status BaselineSink::Impl::copy_data(const ObjectId& object, int source_fd, uint64_t size, const Progress& progress) {
    return copy_file(source_fd, HF_TRY(files_.fd(object)), size, progress);
}

Status BaselineSink::Impl::fill(const ObjectId& object, uint64_t size, const std::vector<journal::Write>& data) {
    const int fd = HF_TRY(files_.fd(object));
    const bool has_holes = data.size() != 1 || data.front().data.size() != size;
    // Before the bytes: a file that grows over a gap may show what its file system allocated ahead there.
    if (has_holes) HF_TRY(set_file_size(fd, size));
    for (const journal::Write& write : data) HF_TRY(write_fully(fd, write.data, write.offset));
    return ok();
}

Status BaselineSink::Impl::link(const ObjectId& object, const ObjectId& parent, const std::string& name) {
    const int directory = HF_TRY(files_.fd(parent));
    const auto occupant = HF_TRY(lookup(parent, name));
    if (occupant && *occupant != object)
        return Error{ErrorCode::exists, "the image has another object at " + quoted(name), EEXIST};
    HF_TRY(remove_unfinished(image_, directory, name));
    // It may have been made a while ago, and a confined process must know its first name then.
    HF_TRY(hand_over());
    const int fd = HF_TRY(files_.fd(object));
    if (!occupant) {
        const bool in_graveyard = HF_TRY(files_.location(object))->links == 0;
        const int result = in_graveyard ? ::renameat2(image_.graveyard_fd(), Image::grave_name(object).c_str(), directory,
                                                      name.c_str(), RENAME_NOREPLACE)
                                        : ::linkat(fd, "", directory, name.c_str(), AT_EMPTY_PATH);
        if (result != 0) return errno_error(errno, "link " + quoted(name) + " in the image");
    }
    struct stat status;
    if (::fstat(fd, &status) != 0) return errno_error(errno, "count the names of " + quoted(name));
    HF_TRY(files_.set_links(object, static_cast<uint32_t>(status.st_nlink)));
    names_.push_back({object, parent, name, true});
    return hand_over_if_many();
}

Status BaselineSink::Impl::finish(const ObjectId& object, const ObjectAttributes& attributes, const XattrList& xattrs) {
    ObjectChange change;
    change.valid = HF_ATTR_ALL & ~HF_ATTR_CTIME;
    change.attributes = {change.valid,        attributes.mode,     attributes.uid,     attributes.gid,
                         attributes.atime_ns, attributes.mtime_ns, attributes.ctime_ns};
    for (const auto& [name, value] : xattrs)
        if (!is_private_xattr(name)) change.xattrs[name] = value;
    auto set = set_attributes(image_, object, HF_TRY(files_.fd(object)), change, true);
    if (!set) return std::move(set).error().within("object " + journal::to_string(object) + " of the image");
    return ok();
}

Status BaselineSink::Impl::remove(const ObjectId& parent, const std::string& name) {
    if (!parent) return remove_grave(name);
    const int directory = HF_TRY(files_.fd(parent));
    if (HF_TRY(remove_unfinished(image_, directory, name))) return ok();
    const auto object = HF_TRY(lookup(parent, name));
    if (!object) return ok();
    struct stat status;
    if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return errno_error(errno, "look at " + quoted(name));
    if (!S_ISDIR(status.st_mode)) return remove_file(directory, parent, name, *object);
    // Into the graveyard first: in the tree it is gone at once, whatever becomes of the rest.
    if (::renameat2(directory, name.c_str(), image_.graveyard_fd(), Image::grave_name(*object).c_str(), RENAME_NOREPLACE) != 0)
        return errno_error(errno, "move " + quoted(name) + " to the graveyard");
    names_.push_back({*object, parent, name, false});
    return remove_tree(*object);
}

Status BaselineSink::Impl::remove_file(int directory, const ObjectId& parent, const std::string& name, const ObjectId& object) {
    const MadeObject there = HF_TRY(open_named(directory, name));
    if (::unlinkat(directory, name.c_str(), 0) != 0) return errno_error(errno, "remove " + quoted(name) + " from the image");
    if (parent) names_.push_back({object, parent, name, false});
    // Another file may carry the id by now, when this one was left by an attempt that the index never knew.
    const auto location = HF_TRY(files_.location(object));
    if (location && location->handle == there.location.handle) {
        if (there.location.links <= 1) HF_TRY(files_.remove(object));
        if (there.location.links > 1) HF_TRY(files_.set_links(object, there.location.links - 1));
    }
    return hand_over_if_many();
}

Status BaselineSink::Impl::remove_grave(const std::string& name) {
    const int graveyard = image_.graveyard_fd();
    if (HF_TRY(remove_unfinished(image_, graveyard, name))) return ok();
    const auto object = image_.object_of(graveyard, name);
    if (!object || Image::grave_name(*object) != name) return ok();  // none of ours
    struct stat status;
    if (::fstatat(graveyard, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return errno_error(errno, "look at " + quoted(name));
    return S_ISDIR(status.st_mode) ? remove_tree(*object) : remove_file(graveyard, {}, name, *object);
}

// Level by level: every directory is taken out into the graveyard before it is emptied, so that no depth of the tree takes
// more than a few descriptors.
Status BaselineSink::Impl::remove_tree(const ObjectId& top) {
    std::vector<ObjectId> waiting{top};
    while (!waiting.empty()) {
        const ObjectId object = waiting.back();
        waiting.pop_back();
        HF_TRY(empty_directory(object, waiting));
        if (::unlinkat(image_.graveyard_fd(), Image::grave_name(object).c_str(), AT_REMOVEDIR) != 0)
            return errno_error(errno, "remove a directory from the graveyard");
        HF_TRY(files_.remove(object));
        HF_TRY(hand_over_if_many());
    }
    return ok();
}

Status BaselineSink::Impl::empty_directory(const ObjectId& object, std::vector<ObjectId>& waiting) {
    const UniqueFd directory(::openat(image_.graveyard_fd(), Image::grave_name(object).c_str(),
                                      O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory) return errno_error(errno, "open a directory of the graveyard");
    std::vector<std::string> entries;
    HF_TRY(read_directory(directory.get(), [&](const DirectoryEntry& entry) -> Status {
        entries.push_back(entry.name);
        return ok();
    }));
    for (const std::string& name : entries) {
        if (HF_TRY(remove_unfinished(image_, directory.get(), name))) continue;
        const ObjectId child = HF_TRY(image_.object_of(directory.get(), name));
        struct stat status;
        if (::fstatat(directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return errno_error(errno, "look at " + quoted(name));
        if (!S_ISDIR(status.st_mode)) {
            HF_TRY(remove_file(directory.get(), object, name, child));
            continue;
        }
        const std::string grave = Image::grave_name(child);
        if (::renameat2(directory.get(), name.c_str(), image_.graveyard_fd(), grave.c_str(), RENAME_NOREPLACE) != 0)
            return errno_error(errno, "move " + quoted(name) + " to the graveyard");
        names_.push_back({child, object, name, false});
        waiting.push_back(child);
    }
    return ok();
}

Result<std::optional<ObjectId>> BaselineSink::Impl::lookup(const ObjectId& parent, const std::string& name) {
    const auto object = image_.object_of(HF_TRY(files_.fd(parent)), name);
    if (object) return std::optional(*object);
    // Without an id it is the rest of an interrupted make(): as good as absent.
    if (object.error().code == ErrorCode::not_found || object.error().code == ErrorCode::corrupt) return std::optional<ObjectId>();
    return Error(object.error());
}

Status BaselineSink::Impl::hand_over() {
    HF_TRY(index_.insert({}, files_.changes(), names_));
    files_.changes_taken();
    names_.clear();
    return ok();
}

// The image first: a place in the index that leads nowhere would be worse than one that is missing.
Status BaselineSink::Impl::commit() {
    if (::syncfs(image_.root_fd()) != 0) return errno_error(errno, "sync the image");
    HF_TRY(hand_over());
    return index_.flush();
}

BaselineSink::BaselineSink(const Image& image, Index& index) : impl_(std::make_unique<Impl>(image, index)) {}
BaselineSink::~BaselineSink() = default;

Status BaselineSink::make(const BaselineObject& object) {
    return impl_->make(object);
}
Status BaselineSink::copy_data(const ObjectId& object, int source_fd, uint64_t size, const Progress& progress) {
    return impl_->copy_data(object, source_fd, size, progress);
}
Status BaselineSink::fill(const ObjectId& object, uint64_t size, const std::vector<journal::Write>& data) {
    return impl_->fill(object, size, data);
}
Result<int> BaselineSink::file(const ObjectId& object) {
    return impl_->file(object);
}
Status BaselineSink::link(const ObjectId& object, const ObjectId& parent, const std::string& name) {
    return impl_->link(object, parent, name);
}
Status BaselineSink::finish(const ObjectId& object, const ObjectAttributes& attributes, const XattrList& xattrs) {
    return impl_->finish(object, attributes, xattrs);
}
Status BaselineSink::remove(const ObjectId& parent, const std::string& name) {
    return impl_->remove(parent, name);
}
Result<std::optional<ImageLocation>> BaselineSink::find(const ObjectId& object) const {
    return impl_->find(object);
}
Result<std::optional<ObjectId>> BaselineSink::lookup(const ObjectId& parent, const std::string& name) const {
    return impl_->lookup(parent, name);
}
Status BaselineSink::commit() {
    return impl_->commit();
}

}  // namespace holdfast::rewind

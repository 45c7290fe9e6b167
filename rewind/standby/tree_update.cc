#include "rewind/standby/tree_update.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "rewind/apply/change_data.h"
#include "rewind/apply/change_names.h"
#include "rewind/apply/set_attributes.h"
#include "rewind/copy_file.h"
#include "rewind/extents.h"
#include "rewind/reconcile/repair_ledger.h"
#include "rewind/xattrs.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t block_bytes = 4096;
// One question to the index is about this much of a file.
constexpr uint64_t window_bytes = 256 << 20;

uint64_t round_down(uint64_t value) { return value / block_bytes * block_bytes; }
uint64_t round_up(uint64_t value) { return round_down(value + block_bytes - 1); }

Result<std::optional<ImageLocation>> location_with_name(const Original& original, const ObjectId& object) {
    auto location = HF_TRY(original.index.location(object));
    if (location && location->links == 0) location.reset();
    return location;
}

Result<UniqueFd> open_to_look(const Original& original, const ObjectId& object, const ImageLocation& location) {
    const int flags = S_ISREG(location.mode) ? O_RDONLY | O_NOATIME | O_NOFOLLOW | O_CLOEXEC : open_flags_for(location.mode);
    auto opened = original.image.open_object(object, location, flags);
    if (!opened) return std::move(opened).error().within("object " + journal::to_string(object) + " of the image");
    return opened;
}

Result<std::string> target_of(int fd) {
    std::string target(HF_SYMLINK_BYTES_MAX + 1, '\0');
    const ssize_t length = ::readlinkat(fd, "", target.data(), target.size());
    if (length < 0) return errno_error(errno, "read a symbolic link of the image");
    target.resize(static_cast<size_t>(length));
    return target;
}

}  // namespace

Result<std::optional<UniqueFd>> open_original(const Original& original, const ObjectId& object) {
    const auto location = HF_TRY(location_with_name(original, object));
    if (!location) return std::optional<UniqueFd>();
    return std::optional(HF_TRY(open_to_look(original, object, *location)));
}

Result<ObjectId> TreeUpdate::occupant(const ObjectId& directory, const std::string& name) {
    if (directory != open_directory_) {
        auto opened = HF_TRY(open_original(original_, directory));
        open_directory_ = directory;
        directory_fd_ = opened ? std::move(*opened) : UniqueFd();
    }
    if (!directory_fd_) return ObjectId{};
    const auto object = original_.image.object_of(directory_fd_.get(), name);
    if (!object && object.error().code == ErrorCode::not_found) return ObjectId{};
    return object;
}

Status TreeUpdate::take_name(const ObjectId& directory, std::string_view name) {
    const ObjectId wanted = HF_TRY(occupant(directory, std::string(name)));
    changes_.names().push_back({directory, memory_.keep(name), ObjectId{}, wanted});
    return wanted ? take_object(wanted) : ok();
}

Status TreeUpdate::take_object(const ObjectId& object) {
    if (!seen_.insert(object).second) return ok();
    return describe(object, changes_.objects()[object]);
}

// A birth in any case: whether the tree has the object is found out. What is born gets exactly these attributes and xattrs.
Status TreeUpdate::describe(const ObjectId& object, ObjectChange& change) {
    const auto location = HF_TRY(location_with_name(original_, object));
    if (!location) {
        change.is_unborn = true;
        return ok();
    }
    const UniqueFd fd = HF_TRY(open_to_look(original_, object, *location));
    const ObjectAttributes attributes = HF_TRY(original_.image.attributes_of(fd.get()));
    const std::string target = S_ISLNK(attributes.mode) ? HF_TRY(target_of(fd.get())) : std::string();
    Record birth;
    birth.type = journal::birth_type(attributes.mode);
    birth.object = object;
    birth.lsn = births_.size();
    birth.body = birth_of(ObjectId{}, {}, attributes, memory_.keep(std::string_view(target)));
    births_.push_back(std::move(birth));
    change.birth = &births_.back();
    change.attributes = record_attributes(attributes, HF_ATTR_ALL & ~HF_ATTR_CTIME);
    change.valid = change.attributes.valid;
    for (const auto& [name, value] : HF_TRY(xattrs_of_object(original_.image, object, fd.get())))
        change.xattrs[memory_.keep(std::string_view(name))] = memory_.keep(std::string_view(value));
    return ok();
}

// What must be made has a name that is being given.
Status TreeUpdate::check_births() const {
    std::unordered_set<ObjectId> wanted;
    for (const NameChange& name : changes_.names()) wanted.insert(name.wanted);
    for (const auto& [object, change] : changes_.objects())
        if (change.birth && !change.in_image && !wanted.count(object))
            return Error{ErrorCode::corrupt, "object " + journal::to_string(object) + " has gone from the standby directory, and nothing of the volume's removed it"};
    return ok();
}

// Names in directories that are neither there nor come now, and what would come by them alone.
void TreeUpdate::leave_for_the_walk() {
    std::unordered_set<ObjectId> reached;
    for (const auto& [object, change] : changes_.objects())
        if (change.in_image) reached.insert(object);
    // Directories come in any order, so this goes on as long as one more is reached.
    for (size_t before = 0; before != reached.size();) {
        before = reached.size();
        for (const NameChange& name : changes_.names())
            if (name.wanted && reached.count(name.directory)) reached.insert(name.wanted);
    }
    std::erase_if(changes_.names(), [&](const NameChange& name) { return !reached.count(name.directory); });
    for (auto& [object, change] : changes_.objects())
        if (change.birth && !reached.count(object)) change = ObjectChange{.is_unborn = true};
}

Status TreeUpdate::run(bool is_whole, const Bytes& bytes) {
    NameChanger names(files_, changes_);
    HF_TRY(names.discover());
    if (!is_whole) leave_for_the_walk();
    HF_TRY(check_births());
    HF_TRY(names.run());
    for (const auto& [object, change] : changes_.objects()) {
        if (!change.birth) continue;
        if (S_ISDIR(change.attributes.mode) && !change.in_image) born_directories_.push_back(object);
        if (!S_ISREG(change.attributes.mode)) continue;
        const bool is_new = change.in_image && HF_TRY(places_.is_new(object));
        HF_TRY(bytes(object, !change.in_image ? Age::born : is_new ? Age::new_ : Age::known));
    }
    for (const auto& [object, change] : changes_.objects()) {
        if (!change.birth) continue;
        auto set = set_attributes(files_.image(), object, HF_TRY(files_.fd(object)), change, true);
        if (!set) return std::move(set).error().within("object " + journal::to_string(object) + " of the standby directory");
    }
    return files_.tell_all();
}

// The first undo since then tells that a range was touched. What an append wrote has none, so everything beyond the size of then counts.
Status bring_touched_bytes(const Original& original, const ObjectId& object, Lsn since, int target) {
    const auto source = HF_TRY(open_original(original, object));
    if (!source) return ok();
    const uint64_t size = HF_TRY(size_of(source->get()));
    const auto before = HF_TRY(original.index.attributes_at(object, since));
    const uint64_t common = std::min(size, before ? before->size : size);
    if (HF_TRY(size_of(target)) != size) HF_TRY(set_file_size(target, size));
    ExtentSet touched;
    if (common < size) touched.add(round_down(common), size - round_down(common));
    for (uint64_t at = 0; at < size; at += window_bytes) {
        for (const DataUndo& undo : HF_TRY(original.index.data_at(object, at, std::min(window_bytes, size - at), since))) {
            const uint64_t from = round_down(undo.offset), end = std::min(round_up(undo.offset + undo.length), size);
            if (from < end) touched.add(from, end - from);
        }
    }
    for (const DataExtent& extent : touched.take()) HF_TRY(copy_part(source->get(), target, extent.offset, extent.offset + extent.length));
    return ok();
}

Status bring_all_bytes(const Original& original, const ObjectId& object, int target) {
    const auto source = HF_TRY(open_original(original, object));
    if (!source) return ok();
    const uint64_t size = HF_TRY(size_of(source->get()));
    HF_TRY(empty_file(target));
    HF_TRY(set_file_size(target, size));
    return copy_part(source->get(), target, 0, size);
}

}  // namespace holdfast::rewind

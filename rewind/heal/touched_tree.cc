#include "rewind/heal/touched_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace holdfast::rewind {

namespace {

constexpr uint32_t depth_max = 1 << 20;

bool is_gone(const Error& error) {
    return error.sys_errno == ENOENT || error.sys_errno == ESTALE;
}

}  // namespace

// One object, or a name in the one before.
struct TouchedTree::Step {
    journal::TouchedPlace place;
    const journal::TouchedObject* touched;
    bool is_nameless = false;
};

// The top first: everything else is measured by it. Then what has no name, which is otherwise taken for gone.
Result<std::vector<TouchedTree::Step>> TouchedTree::steps_to(const journal::Touched& touched) {
    std::vector<Step> steps;
    uint32_t number = 0;
    const auto add = [&](const journal::TouchedObject& object, uint32_t place, bool is_nameless) {
        steps.push_back({{place}, &object, is_nameless});
        for (uint32_t name = 0; name < object.names.size(); ++name) steps.push_back({{place, name}, &object, is_nameless});
    };
    const auto top = std::find_if(touched.objects.begin(), touched.objects.end(), [](const auto& object) { return object.id == journal::root_object; });
    if (top == touched.objects.end()) return Error{ErrorCode::corrupt, "the top of the tree is not among what was touched"};
    add(*top, static_cast<uint32_t>(top - touched.objects.begin()), false);
    number = static_cast<uint32_t>(touched.objects.size());
    for (const journal::TouchedObject& object : touched.nameless) add(object, number++, true);
    number = 0;
    for (const journal::TouchedObject& object : touched.objects) {
        if (&object != &*top) add(object, number, false);
        ++number;
    }
    return steps;
}

Result<TouchedTree> TouchedTree::look(TouchedPlaces& places, const journal::Touched& touched, uint32_t origin) {
    TouchedTree seen;
    seen.identity_.origin = origin;
    const std::vector<Step> steps = HF_TRY(steps_to(touched));
    std::vector<journal::TouchedPlace> asked;
    for (size_t at = 0; at < steps.size(); at += asked.size()) {
        asked.clear();
        for (size_t i = at; i < std::min(steps.size(), at + journal::heal_places_max); ++i) asked.push_back(steps[i].place);
        auto opened = HF_TRY(places.open_places(asked));
        for (size_t i = 0; i < opened.size(); ++i) HF_TRY(seen.take(steps[at + i], std::move(opened[i])));
    }
    std::stable_sort(seen.directories_.begin(), seen.directories_.end(), [](const Directory& a, const Directory& b) { return a.depth < b.depth; });
    return seen;
}

Status TouchedTree::take(const Step& step, Result<UniqueFd> opened) {
    if (step.place.name != journal::TouchedPlace::itself)
        return is_inside_ ? look_at_name(step.touched->names[step.place.name], std::move(opened)) : ok();
    is_inside_ = false;
    if (!step.touched->ranges.empty()) ranges_[step.touched->id] = step.touched->ranges;
    if (!opened && is_gone(opened.error()) && !step.is_nameless) return ok();
    const UniqueFd fd = HF_TRY(std::move(opened));
    return look_at(step, fd.get());
}

Status TouchedTree::look_at(const Step& step, int fd) {
    const journal::TouchedObject& touched = *step.touched;
    struct stat status;
    if (::fstat(fd, &status) != 0) return errno_error(errno, "look at what was touched");
    if (touched.id == journal::root_object) {
        identity_.device = status.st_dev;
        top_ = HF_TRY(file_handle_at(fd, ""));
    }
    // Somebody may still stand in a directory that was removed; a file that is still open is told as nameless.
    if (status.st_nlink == 0 && !step.is_nameless && nameless_.count(touched.id) == 0) return ok();
    HF_TRY(remember(fd, touched.id));
    if (step.is_nameless) nameless_.insert(touched.id);
    if (!S_ISDIR(status.st_mode)) return ok();
    const uint32_t depth = HF_TRY(depth_of(fd));
    directories_.push_back({touched.id, depth, {}});
    is_inside_ = true;
    return ok();
}

Status TouchedTree::look_at_name(const std::string& name, Result<UniqueFd> opened) {
    Entry entry{name, {}};
    if (!opened && opened.error().sys_errno != ENOENT) return std::move(opened).error().within("look at a name that was touched");
    if (opened) entry.object = HF_TRY(remember(opened->get(), {}));
    directories_.back().entries.push_back(std::move(entry));
    return ok();
}

// KNOWN_AS: what the journal calls it, when that is known already.
Result<ObjectId> TouchedTree::remember(int fd, ObjectId known_as) {
    Item item;
    item.object = HF_TRY(identity_.examine(fd, ""));
    if (known_as == journal::root_object) item.object.id = known_as;
    if (known_as && item.object.id != known_as)
        return Error{ErrorCode::corrupt, "object " + journal::to_string(known_as) + " is found as " + journal::to_string(item.object.id)};
    const ObjectId id = item.object.id;
    if (items_.count(id)) return id;
    item.xattrs = HF_TRY(xattrs_at(fd, ""));
    if (S_ISLNK(item.object.attributes.mode)) {
        item.target.resize(HF_SYMLINK_BYTES_MAX + 1);
        const ssize_t length = ::readlinkat(fd, "", item.target.data(), item.target.size());
        if (length < 0) return errno_error(errno, "read a symbolic link that was touched");
        item.target.resize(static_cast<size_t>(length));
    }
    items_.emplace(id, std::move(item));
    return id;
}

Result<uint32_t> TouchedTree::depth_of(int directory_fd) {
    std::vector<std::string> way;  // from the directory upwards, as far as it is not known
    UniqueFd here(::openat(directory_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    uint32_t depth = 0;
    for (;;) {
        if (!here) return errno_error(errno, "look at what lies above a directory that was touched");
        const FileHandle handle = HF_TRY(file_handle_at(here.get(), ""));
        if (handle == top_) break;
        if (const auto known = depths_.find(handle.bytes); known != depths_.end()) {
            depth = known->second;
            break;
        }
        way.push_back(handle.bytes);
        if (way.size() > depth_max) return Error{ErrorCode::corrupt, "a directory that was touched does not lie in the tree"};
        // Nothing is mounted in a view, so this leads to what lies above in the tree itself.
        here.reset(::openat(here.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    for (auto step = way.rbegin(); step != way.rend(); ++step) depths_[*step] = ++depth;
    return depth;
}

std::vector<DataExtent> TouchedTree::ranges(const ObjectId& object) const {
    std::vector<DataExtent> within;
    const auto found = ranges_.find(object);
    if (found == ranges_.end()) return within;
    const uint64_t size = item(object).object.attributes.size;
    for (const journal::TouchedRange& range : found->second)
        if (range.offset < size) within.push_back({range.offset, std::min(range.length, size - range.offset)});
    return within;
}

uint64_t TouchedTree::bytes() const {
    uint64_t bytes = 0;
    for (const auto& [object, item] : items_)
        if (S_ISREG(item.object.attributes.mode))
            for (const DataExtent& range : ranges(object)) bytes += range.length;
    return bytes;
}

}  // namespace holdfast::rewind

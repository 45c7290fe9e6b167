#include "rewind/heal/touched_tree.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace holdfast::rewind {

namespace {

constexpr uint32_t depth_max = 1 << 20;

// The directory above, never through a mount: what covers the top is the volume's own, which waits for whoever asks this.
// Invalid with EXDEV: the directory above is covered.
UniqueFd open_above(int directory_fd) {
    open_how how{};
    how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_NO_XDEV;
    return UniqueFd(static_cast<int>(::syscall(SYS_openat2, directory_fd, "..", &how, sizeof how)));
}

bool is_gone(const Error& error) {
    return error.sys_errno == ENOENT || error.sys_errno == ESTALE;
}

}  // namespace

Result<TouchedTree> TouchedTree::look(const BackingTree& tree, const journal::Touched& touched) {
    TouchedTree seen(tree);
    const UniqueFd top = HF_TRY(tree.open_top());
    seen.top_ = HF_TRY(file_handle_at(top.get(), ""));
    // Its own times change when the repair needs a place for what is in the way.
    const bool has_top = std::any_of(touched.objects.begin(), touched.objects.end(), [](const auto& object) { return object.id == journal::root_object; });
    if (!has_top) HF_TRY(seen.look_at({journal::root_object, seen.top_.bytes, {}, {}}, false));
    // First: what has no name is otherwise taken for gone.
    for (const journal::TouchedObject& object : touched.nameless) HF_TRY(seen.look_at(object, true));
    for (const journal::TouchedObject& object : touched.objects) HF_TRY(seen.look_at(object, false));
    std::stable_sort(seen.directories_.begin(), seen.directories_.end(), [](const Directory& a, const Directory& b) { return a.depth < b.depth; });
    return seen;
}

Status TouchedTree::look_at(const journal::TouchedObject& touched, bool is_nameless) {
    if (!touched.ranges.empty()) ranges_[touched.id] = touched.ranges;
    auto opened = tree_->open_handle({touched.handle}, O_PATH | O_NOFOLLOW);
    if (!opened && is_gone(opened.error()) && !is_nameless) return ok();
    const UniqueFd fd = HF_TRY(std::move(opened));
    struct stat status;
    if (::fstat(fd.get(), &status) != 0) return errno_error(errno, "look at what was touched");
    // Somebody may still stand in a directory that was removed; a file that is still open is told as nameless.
    if (status.st_nlink == 0 && !is_nameless && nameless_.count(touched.id) == 0) return ok();
    HF_TRY(remember(fd.get(), touched.id));
    if (is_nameless) nameless_.insert(touched.id);
    if (!S_ISDIR(status.st_mode)) return ok();
    return look_into(touched, fd.get());
}

Status TouchedTree::look_into(const journal::TouchedObject& touched, int directory_fd) {
    Directory directory{touched.id, HF_TRY(depth_of(directory_fd)), {}};
    for (const std::string& name : touched.names) {
        Entry entry{name, {}};
        const UniqueFd fd(::openat(directory_fd, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        if (!fd && errno != ENOENT) return errno_error(errno, "look at a name that was touched");
        if (fd) entry.object = HF_TRY(remember(fd.get(), {}));
        directory.entries.push_back(std::move(entry));
    }
    directories_.push_back(std::move(directory));
    return ok();
}

// KNOWN_AS: what the journal calls it, when that is known already.
Result<ObjectId> TouchedTree::remember(int fd, ObjectId known_as) {
    Item item;
    item.object = HF_TRY(tree_->examine(fd, ""));
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
        here = open_above(here.get());
        // Nothing in the tree is covered but its top.
        if (!here && errno == EXDEV) break;
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

#include "rewind/object_search.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "rewind/read_directory.h"

namespace holdfast::rewind {

namespace {

class Search {
public:
    explicit Search(const ImageLocation& wanted) : wanted_(wanted), inode_(FileHandle{wanted.handle}.identity().inode) {}

    // Whether DIRECTORY has a name of it. Directories in it wait to be listed.
    Result<bool> look(int directory) {
        HF_TRY(read_directory(directory, [&](const DirectoryEntry& entry) -> Status {
            if (!name_.empty()) return ok();
            const bool may_be_it = (inode_ == 0 || entry.inode == inode_) && (entry.type == 0 || entry.type == (wanted_.mode & S_IFMT));
            if (!may_be_it && entry.type != 0 && !S_ISDIR(entry.type)) return ok();
            const auto handle = file_handle_at(directory, entry.name);
            if (!handle && handle.error().code == ErrorCode::not_found) return ok();  // moved meanwhile
            if (!handle) return Error(handle.error());
            if (may_be_it && handle->bytes == wanted_.handle) name_ = entry.name;
            else if (const auto is_tree = is_directory(directory, entry); is_tree && *is_tree) waiting_.push_back(*handle);
            return ok();
        }));
        return !name_.empty();
    }
    std::optional<FileHandle> next() {
        if (waiting_.empty()) return std::nullopt;
        const FileHandle handle = std::move(waiting_.back());
        waiting_.pop_back();
        return handle;
    }
    const std::string& name() const { return name_; }

private:
    const ImageLocation& wanted_;
    const uint64_t inode_;  // 0: this file system's handles do not tell
    std::string name_;
    std::vector<FileHandle> waiting_;  // by handle: neither depth nor breadth of the tree is bounded by descriptors
};

}  // namespace

Result<FoundName> search_for(const Image& image, const ImageLocation& location) {
    Search search(location);
    for (const int top : {image.graveyard_fd(), image.root_fd()}) {
        if (!HF_TRY(search.look(top))) continue;
        UniqueFd directory(::fcntl(top, F_DUPFD_CLOEXEC, 0));
        if (!directory) return errno_error(errno, "open the top of the image");
        return FoundName{std::move(directory), search.name()};
    }
    while (const auto handle = search.next()) {
        auto directory = open_file_handle(image.root_fd(), *handle, O_RDONLY | O_DIRECTORY | O_NOATIME);
        if (!directory && directory.error().code == ErrorCode::not_found) continue;
        if (!directory) return std::move(directory).error();
        if (HF_TRY(search.look(directory->get()))) return FoundName{std::move(*directory), search.name()};
    }
    return Error{ErrorCode::not_found, "no name in the image leads to the object", ENOENT};
}

}  // namespace holdfast::rewind

#include "fusefs/filter/directory_cache.h"

#include <fcntl.h>

#include <cerrno>

namespace holdfast::fusefs {
namespace {

Result<UniqueFd> open_directory(const NodeIds& ids, const Orphans& orphans, NodeId node) {
    // A removed directory may not be opened by its handle any more; what is asked of it ends in ENOENT by itself.
    if (const auto orphan = orphans.find(node)) {
        const int fd = ::fcntl(orphan->get(), F_DUPFD_CLOEXEC, 0);
        if (fd < 0) return errno_error(errno, "a descriptor of a removed directory");
        return UniqueFd(fd);
    }
    return ids.open(node, O_PATH | O_DIRECTORY);
}

}  // namespace

Result<int> DirectoryCache::get(const NodeIds& ids, const Orphans& orphans, NodeId node, NodeId kept) {
    if (node == root_node) return ids.root_fd();
    Entry& entry = entries_[slot_of(node)];
    if (entry.node == node) return entry.fd.get();
    UniqueFd fd = HF_TRY(open_directory(ids, orphans, node));
    if (kept != 0 && kept != root_node && entry.node == kept) {
        beside_ = std::move(fd);
        return beside_.get();
    }
    entry = {node, std::move(fd), {}};
    return entry.fd.get();
}

}  // namespace holdfast::fusefs

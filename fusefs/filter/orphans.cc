#include "fusefs/filter/orphans.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/log.h"

namespace holdfast::fusefs {

bool Orphans::keep(uint64_t inode, int fd) {
    return keeper_ && keeper_->keep(inode, fd).has_value();
}

void Orphans::unkeep(uint64_t inode) {
    if (keeper_) keeper_->release(inode);
}

void Orphans::add(Orphan orphan) {
    std::lock_guard lock(mutex_);
    const NodeId node = orphan.node;
    orphans_.insert_or_assign(node, std::move(orphan));
    count_.store(orphans_.size());
}

std::optional<Orphan> Orphans::take(NodeId node) {
    if (count_.load() == 0) return std::nullopt;
    std::lock_guard lock(mutex_);
    const auto at = orphans_.find(node);
    if (at == orphans_.end()) return std::nullopt;
    Orphan orphan = std::move(at->second);
    orphans_.erase(at);
    count_.store(orphans_.size());
    return orphan;
}

std::shared_ptr<UniqueFd> Orphans::find(NodeId node) const {
    if (count_.load() == 0) return nullptr;
    std::lock_guard lock(mutex_);
    const auto at = orphans_.find(node);
    return at == orphans_.end() ? nullptr : at->second.fd;
}

bool Orphans::is_removed_directory(NodeId node) const {
    if (count_.load() == 0) return false;
    std::lock_guard lock(mutex_);
    const auto at = orphans_.find(node);
    return at != orphans_.end() && at->second.is_directory;
}

std::vector<journal::ObjectId> Orphans::files() const {
    std::lock_guard lock(mutex_);
    std::vector<journal::ObjectId> files;
    for (const auto& [node, orphan] : orphans_)
        if (!orphan.is_directory) files.push_back(orphan.id);
    return files;
}

std::vector<Orphan> Orphans::take_all() {
    std::lock_guard lock(mutex_);
    std::vector<Orphan> all;
    for (auto& [node, orphan] : orphans_) all.push_back(std::move(orphan));
    orphans_.clear();
    count_.store(0);
    return all;
}

void Orphans::fetch_kept(const NodeIds& ids) {
    if (!keeper_) return;
    for (const uint64_t inode : keeper_->kept()) {
        auto fd = keeper_->fetch(inode);
        if (!fd) continue;
        auto name = ids.name_at(fd->get(), "");
        struct stat status {};
        // One that got its name back just before its descriptor was to be released is no orphan any more.
        if (!name || ::fstat(fd->get(), &status) != 0 || status.st_nlink > 0) {
            keeper_->release(inode);
            continue;
        }
        add({name->node, name->id, std::make_shared<UniqueFd>(std::move(*fd)), true, S_ISDIR(status.st_mode)});
    }
}

}  // namespace holdfast::fusefs

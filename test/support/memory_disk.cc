#include "test/support/memory_disk.h"

#include <algorithm>
#include <cerrno>

#include "test/support/faulty_disk.h"

namespace holdfast::test {
namespace {

constexpr uint64_t sector_bytes = 512;

}  // namespace

class MemoryFile final : public File, public LosesDirtyPages {
public:
    MemoryFile(MemoryDisk& disk, std::shared_ptr<MemoryDisk::Inode> inode, bool is_read_only)
        : disk_(disk), inode_(std::move(inode)), is_read_only_(is_read_only) {}

    Result<size_t> pread(MutableByteSpan data, uint64_t offset) override {
        std::lock_guard lock(disk_.mutex_);
        if (offset >= inode_->now.size()) return size_t{0};
        const size_t size = std::min<uint64_t>(data.size(), inode_->now.size() - offset);
        inode_->now.read(data.first(size), offset);
        return size;
    }

    Status pwrite(std::span<const ByteSpan> pieces, uint64_t offset) override {
        std::lock_guard lock(disk_.mutex_);
        if (is_read_only_) return errno_error(EBADF, "write");
        uint64_t total = 0;
        for (ByteSpan piece : pieces) total += piece.size();
        if (offset + total > inode_->now.size()) HF_TRY(disk_.grow_locked(*inode_, offset + total));
        inode_->dirty.push_back({offset, total});
        for (ByteSpan piece : pieces) {
            inode_->now.write(piece, offset);
            offset += piece.size();
        }
        return ok();
    }

    Status sync() override {
        std::lock_guard lock(disk_.mutex_);
        ++disk_.sync_count_;
        inode_->durable.resize(inode_->now.size());
        for (const auto& range : inode_->dirty) {
            if (range.offset >= inode_->now.size()) continue;
            const uint64_t size = std::min<uint64_t>(range.size, inode_->now.size() - range.offset);
            inode_->durable.copy_range(inode_->now, range.offset, size);
        }
        inode_->dirty.clear();
        return ok();
    }

    void lose_dirty_pages() override {
        std::lock_guard lock(disk_.mutex_);
        inode_->dirty.clear();
    }

    Status allocate(uint64_t bytes) override {
        std::lock_guard lock(disk_.mutex_);
        return bytes > inode_->now.size() ? disk_.grow_locked(*inode_, bytes) : ok();
    }

    Status truncate(uint64_t bytes) override {
        std::lock_guard lock(disk_.mutex_);
        if (bytes > inode_->now.size()) return disk_.grow_locked(*inode_, bytes);
        inode_->now.resize(bytes);
        return ok();
    }

    Result<uint64_t> size() override {
        std::lock_guard lock(disk_.mutex_);
        return inode_->now.size();
    }

    int fd() const override { return -1; }

private:
    MemoryDisk& disk_;
    std::shared_ptr<MemoryDisk::Inode> inode_;
    const bool is_read_only_;
};

Status MemoryDisk::grow_locked(Inode& inode, uint64_t size) {
    const uint64_t used = used_locked(), more = size - inode.now.size();
    if (more > capacity_bytes_ || used > capacity_bytes_ - more) return errno_error(ENOSPC, "grow a file");
    inode.now.resize(size);
    return ok();
}

uint64_t MemoryDisk::used_locked() const {
    uint64_t bytes = 0;
    for (const auto& [name, inode] : names_) bytes += inode->now.size();
    return bytes;
}

void MemoryDisk::changed_names_locked() {
    unsynced_names_.push_back(names_);
}

Result<std::unique_ptr<File>> MemoryDisk::open(std::string_view name, Open how) {
    std::lock_guard lock(mutex_);
    auto found = names_.find(name);
    if (how == Open::create_new) {
        if (found != names_.end()) return errno_error(EEXIST, "open " + std::string(name));
        found = names_.emplace(name, std::make_shared<Inode>()).first;
        changed_names_locked();
    }
    if (found == names_.end()) return errno_error(ENOENT, "open " + std::string(name));
    return std::unique_ptr<File>(new MemoryFile(*this, found->second, how == Open::existing_read_only));
}

Status MemoryDisk::rename(std::string_view from, std::string_view to) {
    std::lock_guard lock(mutex_);
    const auto found = names_.find(from);
    if (found == names_.end()) return errno_error(ENOENT, "rename " + std::string(from));
    auto inode = found->second;
    names_.erase(found);
    names_.insert_or_assign(std::string(to), std::move(inode));
    changed_names_locked();
    return ok();
}

Status MemoryDisk::remove(std::string_view name) {
    std::lock_guard lock(mutex_);
    const auto found = names_.find(name);
    if (found == names_.end()) return errno_error(ENOENT, "remove " + std::string(name));
    names_.erase(found);
    changed_names_locked();
    return ok();
}

Result<std::vector<std::string>> MemoryDisk::list() {
    std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& [name, inode] : names_) names.push_back(name);
    return names;
}

Status MemoryDisk::sync_directory() {
    std::lock_guard lock(mutex_);
    unsynced_names_.assign(1, names_);
    return ok();
}

Result<uint64_t> MemoryDisk::free_bytes() {
    std::lock_guard lock(mutex_);
    return capacity_bytes_ - std::min(capacity_bytes_, used_locked());
}

std::unique_ptr<MemoryDisk> MemoryDisk::after_power_loss(std::mt19937_64& random) const {
    std::lock_guard lock(mutex_);
    auto next = std::make_unique<MemoryDisk>(capacity_bytes_);
    const Names& names = unsynced_names_[random() % unsynced_names_.size()];
    for (const auto& [name, inode] : names) {
        auto kept = std::make_shared<Inode>();
        kept->durable = inode->durable;
        if (random() % 2 == 0) kept->durable.resize(inode->now.size());
        // In a third of the cases nothing of the unsynced bytes survives, in a third everything, else some.
        const uint64_t luck = random() % 3;
        for (const auto& range : inode->dirty) {
            const uint64_t end = std::min({range.offset + range.size, kept->durable.size(), inode->now.size()});
            for (uint64_t at = range.offset; at < end;) {
                const uint64_t stop = std::min(end, (at / sector_bytes + 1) * sector_bytes);
                if (luck == 2 || (luck == 1 && random() % 2 == 0))
                    kept->durable.copy_range(inode->now, at, stop - at);
                at = stop;
            }
        }
        kept->now = kept->durable;
        next->names_.emplace(name, std::move(kept));
    }
    next->unsynced_names_.assign(1, next->names_);
    return next;
}

std::unique_ptr<MemoryDisk> MemoryDisk::after_process_crash() const {
    std::lock_guard lock(mutex_);
    auto next = std::make_unique<MemoryDisk>(capacity_bytes_);
    // What was durable stays so, and what was not synced may still be lost when the power fails.
    std::map<const Inode*, std::shared_ptr<Inode>> copies;
    const auto copy_of = [&](const Names& names) {
        Names copy;
        for (const auto& [name, inode] : names) {
            auto& same = copies[inode.get()];
            if (!same) same = std::make_shared<Inode>(*inode);
            copy.emplace(name, same);
        }
        return copy;
    };
    next->names_ = copy_of(names_);
    next->unsynced_names_.clear();
    for (const Names& names : unsynced_names_) next->unsynced_names_.push_back(copy_of(names));
    return next;
}

void MemoryDisk::set_capacity(uint64_t bytes) {
    std::lock_guard lock(mutex_);
    capacity_bytes_ = bytes;
}

uint64_t MemoryDisk::sync_count() const {
    std::lock_guard lock(mutex_);
    return sync_count_;
}

std::vector<std::byte> MemoryDisk::contents(std::string_view name) const {
    std::lock_guard lock(mutex_);
    return names_.find(name)->second->now.to_vector();
}

void MemoryDisk::set_contents(std::string_view name, ByteSpan bytes) {
    std::lock_guard lock(mutex_);
    auto inode = std::make_shared<Inode>();
    inode->now = inode->durable = SharedBytes(bytes);
    names_.insert_or_assign(std::string(name), inode);
    unsynced_names_.assign(1, names_);
}

}  // namespace holdfast::test

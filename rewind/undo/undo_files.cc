#include "rewind/undo/undo_files.h"

#include <algorithm>

namespace holdfast::rewind {

Status UndoFiles::adopt(uint64_t index) {
    auto file = HF_TRY(disk_.open(undo_segment_name(index), Disk::Open::existing_read_only));
    set_size(index, HF_TRY(file->size()));
    return ok();
}

Result<std::shared_ptr<File>> UndoFiles::create(uint64_t index) {
    return std::shared_ptr<File>(HF_TRY(disk_.open(undo_segment_name(index), Disk::Open::create_new)));
}

Result<std::shared_ptr<File>> UndoFiles::open_for_writing(uint64_t index) {
    return std::shared_ptr<File>(HF_TRY(disk_.open(undo_segment_name(index), Disk::Open::existing)));
}

Result<std::shared_ptr<File>> UndoFiles::get(uint64_t index) {
    // Opened under the lock: rare, and two threads that open the same file at once would help nobody.
    MutexLock lock(mutex_);
    if (!sizes_.count(index)) {
        const bool dropped = sizes_.empty() || index < sizes_.begin()->first;
        if (dropped) return Error{ErrorCode::not_found, "this history has left the window: undo segment " + undo_segment_name(index) + " was dropped"};
        return Error{ErrorCode::corrupt, "undo segment " + undo_segment_name(index) + " is missing"};
    }
    if (const auto found = open_.find(index); found != open_.end()) {
        found->second.used_at = ++uses_;
        return found->second.file;
    }
    auto file = disk_.open(undo_segment_name(index), Disk::Open::existing_read_only);
    if (!file && file.error().code == ErrorCode::not_found)
        return Error{ErrorCode::corrupt, "undo segment " + undo_segment_name(index) + " has vanished"};
    if (!file) return std::move(file).error();
    if (open_.size() >= undo_open_files_max) {
        const auto oldest = std::min_element(open_.begin(), open_.end(), [](const auto& a, const auto& b) { return a.second.used_at < b.second.used_at; });
        open_.erase(oldest);
    }
    const auto [entry, inserted] = open_.emplace(index, OpenFile{std::move(*file), ++uses_});
    return entry->second.file;
}

void UndoFiles::set_size(uint64_t index, uint64_t bytes) {
    MutexLock lock(mutex_);
    sizes_[index] = bytes;
}

void UndoFiles::forget(uint64_t index) {
    MutexLock lock(mutex_);
    sizes_.erase(index);
    open_.erase(index);
}

std::optional<uint64_t> UndoFiles::size(uint64_t index) const {
    MutexLock lock(mutex_);
    const auto found = sizes_.find(index);
    return found == sizes_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<uint64_t> UndoFiles::oldest() const {
    MutexLock lock(mutex_);
    return sizes_.empty() ? std::nullopt : std::optional(sizes_.begin()->first);
}

std::optional<uint64_t> UndoFiles::newest() const {
    MutexLock lock(mutex_);
    return sizes_.empty() ? std::nullopt : std::optional(sizes_.rbegin()->first);
}

uint64_t UndoFiles::used_bytes() const {
    MutexLock lock(mutex_);
    uint64_t bytes = 0;
    for (const auto& [index, size] : sizes_) bytes += size;
    return bytes;
}

}  // namespace holdfast::rewind

#include "fusefs/filter/open_files.h"

#include <fcntl.h>

#include <algorithm>

namespace holdfast::fusefs {
namespace {

constexpr unsigned access_bits = 8;
constexpr uint64_t access_mask = 0x3, directory_bit = 0x4, noatime_bit = 0x8;
constexpr unsigned tick_shift = 10;  // a number for every microsecond: more than one thread can open in that time

}  // namespace

OpenFiles::OpenFiles(const Clock& clock) : next_(clock.monotonic_ns() >> tick_shift) {}

int OpenFiles::flags_of(uint64_t handle) {
    int flags = static_cast<int>(handle & access_mask);
    if (handle & directory_bit) flags |= O_DIRECTORY;
    if (handle & noatime_bit) flags |= O_NOATIME;
    return flags;
}

OpenFilePointer OpenFiles::add(NodeId node, const journal::ObjectId& id, UniqueFd fd, int flags) {
    uint64_t access = static_cast<uint64_t>(flags & O_ACCMODE) & access_mask;
    if (flags & O_DIRECTORY) access |= directory_bit;
    if (flags & O_NOATIME) access |= noatime_bit;
    return insert(next_.fetch_add(1, std::memory_order_relaxed) << access_bits | access, node, id, std::move(fd));
}

OpenFilePointer OpenFiles::adopt(uint64_t handle, NodeId node, const journal::ObjectId& id, UniqueFd fd) {
    OpenFilePointer file = insert(handle, node, id, std::move(fd));
    if ((handle & access_mask) != O_RDONLY) file->object->has_new_times = true;
    return file;
}

OpenFilePointer OpenFiles::insert(uint64_t handle, NodeId node, const journal::ObjectId& id, UniqueFd fd) {
    auto file = std::make_shared<OpenFile>();
    file->fd = std::move(fd);
    file->handle = handle;
    file->is_directory = handle & directory_bit;
    // The file's shard is held across both steps: nobody finds it before it has its object, and of two threads that
    // adopt one handle the second takes what the first made.
    FileShard& shard = shard_of(handle);
    std::lock_guard lock(shard.mutex);
    auto [at, is_new] = shard.files.try_emplace(handle, file);
    if (!is_new) return at->second;
    ObjectShard& object_shard = object_shard_of(node);
    std::lock_guard object_lock(object_shard.mutex);
    Opened& opened = object_shard.objects[node];
    if (!opened.object) {
        opened.object = std::make_shared<OpenObject>();
        opened.object->node = node;
        opened.object->id = id;
    }
    opened.files.push_back(file);
    file->object = opened.object;
    return file;
}

OpenFilePointer OpenFiles::find(uint64_t handle) const {
    FileShard& shard = shard_of(handle);
    std::lock_guard lock(shard.mutex);
    const auto at = shard.files.find(handle);
    return at == shard.files.end() ? nullptr : at->second;
}

std::pair<OpenFilePointer, bool> OpenFiles::remove(uint64_t handle) {
    FileShard& shard = shard_of(handle);
    std::lock_guard lock(shard.mutex);
    const auto at = shard.files.find(handle);
    if (at == shard.files.end()) return {nullptr, false};
    OpenFilePointer file = std::move(at->second);
    shard.files.erase(at);
    ObjectShard& object_shard = object_shard_of(file->object->node);
    std::lock_guard object_lock(object_shard.mutex);
    const auto opened = object_shard.objects.find(file->object->node);
    auto& files = opened->second.files;
    files.erase(std::find(files.begin(), files.end(), file));
    const bool is_last = files.empty();
    if (is_last) object_shard.objects.erase(opened);
    return {std::move(file), is_last};
}

std::shared_ptr<OpenObject> OpenFiles::object(NodeId node) const {
    ObjectShard& shard = object_shard_of(node);
    std::lock_guard lock(shard.mutex);
    const auto at = shard.objects.find(node);
    return at == shard.objects.end() ? nullptr : at->second.object;
}

OpenFilePointer OpenFiles::any_of(NodeId node) const {
    ObjectShard& shard = object_shard_of(node);
    std::lock_guard lock(shard.mutex);
    const auto at = shard.objects.find(node);
    return at == shard.objects.end() ? nullptr : at->second.files.front();
}

std::vector<std::shared_ptr<OpenObject>> OpenFiles::objects() const {
    std::vector<std::shared_ptr<OpenObject>> all;
    for (ObjectShard& shard : objects_) {
        std::lock_guard lock(shard.mutex);
        for (const auto& [node, opened] : shard.objects) all.push_back(opened.object);
    }
    return all;
}

}  // namespace holdfast::fusefs

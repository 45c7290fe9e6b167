#include "rewind/extents.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace holdfast::rewind {

ExtentSet::ExtentSet(const std::vector<DataExtent>& extents) {
    for (const DataExtent& extent : extents) add(extent.offset, extent.length);
}

void ExtentSet::add(uint64_t offset, uint64_t length) {
    if (length == 0) return;
    uint64_t start = offset;
    uint64_t end = offset + length;
    auto next = ends_.upper_bound(start);
    if (next != ends_.begin() && std::prev(next)->second >= start) --next;
    while (next != ends_.end() && next->first <= end) {
        start = std::min(start, next->first);
        end = std::max(end, next->second);
        next = ends_.erase(next);
    }
    ends_.emplace(start, end);
}

void ExtentSet::remove(uint64_t offset, uint64_t length) {
    if (length == 0) return;
    const uint64_t end = offset + length;
    auto next = ends_.upper_bound(offset);
    if (next != ends_.begin() && std::prev(next)->second > offset) --next;
    while (next != ends_.end() && next->first < end) {
        const auto [old_start, old_end] = *next;
        next = ends_.erase(next);
        if (old_start < offset) ends_.emplace(old_start, offset);
        if (old_end > end) ends_.emplace(end, old_end);
    }
}

uint64_t ExtentSet::bytes() const {
    uint64_t sum = 0;
    for (const auto& [start, end] : ends_) sum += end - start;
    return sum;
}

std::vector<DataExtent> ExtentSet::take() const {
    std::vector<DataExtent> extents;
    extents.reserve(ends_.size());
    for (const auto& [start, end] : ends_) extents.push_back({start, end - start});
    return extents;
}

Result<std::vector<DataExtent>> data_extents_of(int fd) {
    struct stat info;
    if (fstat(fd, &info) != 0) return errno_error(errno, "look at a file");
    std::vector<DataExtent> extents;
    const off_t size = info.st_size;
    off_t at = 0;
    while (at < size) {
        const off_t data = lseek(fd, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) break;
        if (data < 0 && errno == EINVAL && at == 0) return std::vector<DataExtent>{{0, static_cast<uint64_t>(size)}};
        if (data < 0) return errno_error(errno, "find the data of a file");
        off_t hole = lseek(fd, data, SEEK_HOLE);
        if (hole < 0) return errno_error(errno, "find the holes of a file");
        hole = std::min(hole, size);
        if (hole <= data) break;
        extents.push_back({static_cast<uint64_t>(data), static_cast<uint64_t>(hole - data)});
        at = hole;
    }
    return extents;
}

}  // namespace holdfast::rewind

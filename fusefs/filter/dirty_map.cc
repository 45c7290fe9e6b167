#include "fusefs/filter/dirty_map.h"

#include <algorithm>

#include "base/overloaded.h"

namespace holdfast::fusefs {

using journal::ObjectId;
using journal::TouchedObject;
using journal::TouchedRange;

namespace {

// Map nodes and their allocations, about.
constexpr size_t entry_bytes = 160, name_bytes = 96, range_bytes = sizeof(TouchedRange);

uint64_t end_of(const TouchedRange& range) {
    return range.length > UINT64_MAX - range.offset ? UINT64_MAX : range.offset + range.length;
}

uint64_t round_up(uint64_t value, uint64_t grain) {
    return value > UINT64_MAX - grain ? UINT64_MAX : (value + grain - 1) / grain * grain;
}

}  // namespace

void DirtyRanges::add(uint64_t offset, uint64_t length) {
    if (length == 0) return;
    uint64_t begin = offset / grain_ * grain_;
    uint64_t end = round_up(end_of({offset, length}), grain_);
    // Everything that overlaps or touches becomes one.
    const auto first = std::partition_point(ranges_.begin(), ranges_.end(), [&](const TouchedRange& range) { return end_of(range) < begin; });
    auto last = first;
    for (; last != ranges_.end() && last->offset <= end; ++last) {
        begin = std::min(begin, last->offset);
        end = std::max(end, end_of(*last));
    }
    const TouchedRange whole{begin, end - begin};
    if (first == last) {
        ranges_.insert(first, whole);
    } else {
        *first = whole;
        ranges_.erase(first + 1, last);
    }
    while (ranges_.size() > dirty_ranges_max) coarsen();
}

void DirtyRanges::coarsen() {
    grain_ *= 2;
    std::vector<TouchedRange> finer;
    finer.swap(ranges_);
    for (const TouchedRange& range : finer) {
        const uint64_t begin = range.offset / grain_ * grain_, end = round_up(end_of(range), grain_);
        if (!ranges_.empty() && end_of(ranges_.back()) >= begin)
            ranges_.back().length = std::max(end, end_of(ranges_.back())) - ranges_.back().offset;
        else
            ranges_.push_back({begin, end - begin});
    }
}

void DirtyMap::note(const journal::Record& record, uint64_t length) {
    const std::lock_guard lock(mutex_);
    if (is_everything_) return;
    const ObjectId& object = record.object;
    std::visit(Overloaded{[&](const journal::Write& write) { touch_bytes(object, write.offset, std::max<uint64_t>(length, write.data.size())); },
                          // What was cut off comes back as zeros when the file grows again.
                          [&](const journal::Truncate& truncate) { touch_bytes(object, truncate.size, UINT64_MAX); },
                          [&](const journal::Fallocate& range) {
                              const bool moves = range.mode & (HF_FALLOC_COLLAPSE_RANGE | HF_FALLOC_INSERT_RANGE);
                              touch_bytes(object, range.offset, moves ? UINT64_MAX : range.length);
                          },
                          // What is born has no id yet: it is found by its name, or among what has none.
                          [&](const journal::Birth& birth) {
                              if (!birth.name.empty()) touch_name(birth.parent, birth.name);
                          },
                          [&](const journal::Link& link) { touch(object), touch_name(link.parent, link.name); },
                          [&](const journal::Unlink& unlink) { touch(object), touch_name(unlink.parent, unlink.name); },
                          [&](const journal::Rename& rename) {
                              touch(object);
                              touch(rename.other);
                              touch_name(rename.old_parent, rename.old_name);
                              touch_name(rename.new_parent, rename.new_name);
                          },
                          [&](const journal::SetAttr&) { touch(object); },
                          [&](const journal::SetXattr&) { touch(object); },
                          [&](const journal::RemoveXattr&) { touch(object); },
                          // Of ends it is told which objects without a name there still are.
                          [](const journal::OrphanEnd&) {}, [](const journal::Bookmark&) {}, [](const journal::Gap&) {},
                          [](const journal::Session&) {}, [](const journal::SegmentEnd&) {}, [](const journal::Marker&) {}},
               record.body);
}

DirtyMap::Entry* DirtyMap::entry(const ObjectId& object) {
    if (!object || is_everything_) return nullptr;
    const auto [at, is_new] = entries_.try_emplace(object);
    if (!is_new) return &at->second;
    objects_.store(entries_.size());
    return account(1, entry_bytes) ? &at->second : nullptr;
}

void DirtyMap::touch_bytes(const ObjectId& object, uint64_t offset, uint64_t length) {
    Entry* found = entry(object);
    if (!found) return;
    const size_t before = found->ranges.list().size();
    found->ranges.add(offset, length);
    if (found->ranges.list().size() > before) (void)account(0, range_bytes);
}

void DirtyMap::touch_name(const ObjectId& directory, std::string_view name) {
    Entry* found = entry(directory);
    if (found && !found->names.contains(name) && account(1, name_bytes + name.size())) found->names.emplace(name);
}

// False: the map has become "everything", and nothing of it is left.
bool DirtyMap::account(size_t notes, size_t bytes) {
    notes_ += notes;
    bytes_ += bytes;
    if (notes_ <= notes_max_ && bytes_ <= bytes_max_) return true;
    lose_locked();
    return false;
}

void DirtyMap::lose_locked() {
    entries_.clear();
    notes_ = bytes_ = 0;
    objects_ = 0;
    is_everything_ = true;
}

void DirtyMap::lose() {
    const std::lock_guard lock(mutex_);
    lose_locked();
}

void DirtyMap::clear() {
    const std::lock_guard lock(mutex_);
    lose_locked();
    is_everything_ = false;
}

std::vector<TouchedObject> DirtyMap::take() {
    const std::lock_guard lock(mutex_);
    std::vector<TouchedObject> taken;
    taken.reserve(entries_.size());
    for (auto& [object, entry] : entries_) taken.push_back({object, {}, entry.ranges.list(), {entry.names.begin(), entry.names.end()}});
    entries_.clear();
    notes_ = bytes_ = 0;
    objects_ = 0;
    return taken;
}

void DirtyMap::give_back(const std::vector<TouchedObject>& taken) {
    const std::lock_guard lock(mutex_);
    for (const TouchedObject& object : taken) {
        touch(object.id);
        for (const TouchedRange& range : object.ranges) touch_bytes(object.id, range.offset, range.length);
        for (const std::string& name : object.names) touch_name(object.id, name);
    }
}

}  // namespace holdfast::fusefs

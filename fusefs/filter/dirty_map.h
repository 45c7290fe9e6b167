// What changed while nothing was recorded: of each object that its attributes may differ, which of its bytes, and which names
// in a directory. Healing a gap (docs/decisions/0014) looks at these objects and at no others.
//
// Noted before the change is made and inside the same passage of the gate, so whoever closes the gate and takes the map has everything
// that was changed until then. A note too many costs a look; a note too few would be a lie about the past (I4).
//
// Bound: dirty_notes_max objects and names, because everybody waits while they are looked at; dirty_bytes_max of memory; dirty_ranges_max for
// one file. A file with more ranges than that keeps them coarser; a map that is full turns into "everything", and then only a comparison of
// everything ends the gap.
// Thread rule: DirtyMap any thread; DirtyRanges a plain value.
#pragma once

#include <atomic>
#include <mutex>
#include <set>
#include <unordered_map>

#include "journal/healing.h"

namespace holdfast::fusefs {

inline constexpr size_t dirty_bytes_max = 64 << 20;
inline constexpr size_t dirty_notes_max = 100'000;
inline constexpr size_t dirty_ranges_max = 64;
inline constexpr uint64_t dirty_grain_bytes = 64 << 10;  // as fine as ranges are kept

class DirtyRanges {
public:
    void add(uint64_t offset, uint64_t length);
    const std::vector<journal::TouchedRange>& list() const { return ranges_; }

private:
    void coarsen();

    std::vector<journal::TouchedRange> ranges_;  // ascending, disjoint, at multiples of grain_; the last may be without an end
    uint64_t grain_ = dirty_grain_bytes;
};

class DirtyMap {
public:
    explicit DirtyMap(size_t notes_max = dirty_notes_max, size_t bytes_max = dirty_bytes_max) : notes_max_(notes_max), bytes_max_(bytes_max) {}

    // RECORD is about to happen or has happened, and is not recorded. LENGTH: how many bytes a WRITE concerns whose data is not in it yet.
    void note(const journal::Record& record, uint64_t length = 0);
    // It is not known what changed.
    void lose();
    // Nothing has changed: a gap begins.
    void clear();

    bool is_everything() const { return is_everything_.load(); }
    uint64_t objects() const { return objects_.load(); }
    // What was noted, which is not in the map any more; handles are for the caller to fill in. REQUIRES: not is_everything().
    std::vector<journal::TouchedObject> take();
    // Notes TAKEN again: what it says was not repaired.
    void give_back(const std::vector<journal::TouchedObject>& taken);

private:
    struct Entry {
        DirtyRanges ranges;
        std::set<std::string, std::less<>> names;
    };
    Entry* entry(const journal::ObjectId& object);
    void touch(const journal::ObjectId& object) { (void)entry(object); }
    void touch_bytes(const journal::ObjectId& object, uint64_t offset, uint64_t length);
    void touch_name(const journal::ObjectId& directory, std::string_view name);
    bool account(size_t notes, size_t bytes);
    void lose_locked();

    const size_t notes_max_, bytes_max_;
    std::mutex mutex_;
    std::unordered_map<journal::ObjectId, Entry> entries_;
    size_t notes_ = 0;
    size_t bytes_ = 0;  // about what they take
    std::atomic<bool> is_everything_ = false;
    std::atomic<uint64_t> objects_ = 0;
};

}  // namespace holdfast::fusefs

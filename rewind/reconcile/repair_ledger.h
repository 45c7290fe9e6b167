// The ledger of a repair: appends records and knows which answers of the target they have outdated, so that the image is
// settled only when a question depends on it, and in any case every ledger_unsettled_bytes_max.
// Thread rule: one thread.
#pragma once

#include <unordered_map>
#include <unordered_set>

#include "rewind/reconcile/repair_target.h"
#include "rewind/work_progress.h"

namespace holdfast::rewind {

inline constexpr uint64_t ledger_unsettled_bytes_max = 32 << 20;
inline constexpr uint64_t ledger_unsettled_names_max = 100'000;

// The birth of an object that has NAME in PARENT, without its xattrs: as many of them as xattrs_in_birth() says fit into the record, from
// the front; the rest follows one by one. It borrows NAME and TARGET.
journal::Birth birth_of(const ObjectId& parent, std::string_view name, const ObjectAttributes& attributes, std::string_view target);
size_t xattrs_in_birth(const XattrList& xattrs);
// VALID: HF_ATTR_*.
journal::Attributes record_attributes(const ObjectAttributes& attributes, uint32_t valid);

class RepairLedger {
public:
    RepairLedger(RepairTarget& target, const ProgressSink& progress) : target_(target), progress_(progress) {}

    RepairTarget& target() { return target_; }

    Status bear(const ObjectId& object, const journal::Birth& birth);
    Status link(const ObjectId& object, const ObjectId& directory, const std::string& name);
    Status unlink(const ObjectId& object, const ObjectId& directory, const std::string& name, bool is_last);
    Status remove_directory(const ObjectId& object, const ObjectId& parent, const std::string& name);
    Status move(const ObjectId& object, const ImageName& from, const ImageName& to);
    // A change of the object itself: data, attributes, xattrs.
    Status change(hf_record_type type, const ObjectId& object, journal::Body body);
    Status set_attributes(const ObjectId& object, const ObjectAttributes& attributes, uint32_t valid);

    // These are open somewhere: with their last name they do not end.
    void keep_open(std::unordered_set<ObjectId> objects) { open_ = std::move(objects); }

    // Names in the image and in what was appended; 0: not there.
    Result<uint32_t> links(const ObjectId& object);
    Result<std::vector<ViewEntry>> list(const ObjectId& directory);
    Result<std::optional<ViewEntry>> lookup(const ObjectId& directory, const std::string& name);
    Result<std::vector<ImageName>> names(const ObjectId& object);
    // Entries of DIRECTORY were changed by this repair.
    bool is_dirty(const ObjectId& directory) const { return dirty_.count(directory) != 0; }

    uint64_t repairs() const { return repairs_; }
    uint64_t bytes_written() const { return bytes_written_; }
    void examined(uint64_t objects) { objects_ += objects; }
    void compared(uint64_t bytes) { bytes_compared_ += bytes; }
    uint64_t objects() const { return objects_; }
    uint64_t bytes_compared() const { return bytes_compared_; }
    Status report();  // tells the progress sink; unavailable when it says stop

private:
    Status append(const journal::Record& record);
    Status settle();

    RepairTarget& target_;
    const ProgressSink& progress_;
    std::unordered_set<ObjectId> open_;
    // Since the last settle():
    uint64_t unsettled_bytes_ = 0;
    std::unordered_map<ObjectId, int> links_changed_;
    std::unordered_set<ObjectId> names_changed_;
    std::unordered_set<ObjectId> entries_changed_;
    // Since the start:
    std::unordered_set<ObjectId> dirty_;
    uint64_t repairs_ = 0;
    uint64_t bytes_written_ = 0;
    uint64_t objects_ = 0;
    uint64_t bytes_compared_ = 0;
    uint64_t reported_ns_ = 0;
};

}  // namespace holdfast::rewind

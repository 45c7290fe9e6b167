// What a run of records leaves behind: for every directory entry that they touch the object it leads to in the end, and
// for every object the attributes and xattrs that were set. Bytes of files are not here; they are changed record by record.
//
// The image is brought to this state instead of being led through every step, because then it does not matter which
// part of it is there already. That is what makes the same code right after a crash, when some changes reached the disk
// and others did not, in any order.
//
// Thread rule: plain value. Names, values and births are borrowed from the records.
#pragma once

#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "journal/record.h"

namespace holdfast::rewind {

using journal::ObjectId;
using journal::Record;

inline constexpr std::string_view capability_xattr = "security.capability";

struct ObjectChange {
    const Record* birth = nullptr;  // the object was made (or made again) by this record
    bool in_image = false;          // with a birth: the image has it already
    bool is_unborn = false;         // it goes, and may be gone already
    bool leaves_gap = false;        // a record may make the file grow over bytes that it does not write
    uint32_t valid = 0;             // HF_ATTR_* that are to be set
    journal::Attributes attributes{};
    // Nothing: to be removed. After a birth the object has these and no others.
    std::map<std::string_view, std::optional<std::string_view>> xattrs;
};

struct NameChange {
    ObjectId directory;
    std::string_view name;
    ObjectId current;  // what the image has there; zero: nothing
    ObjectId wanted;   // what it shall have
};

class Changes {
public:
    // Takes in RECORD, whose memory lives as long as this.
    void follow(const Record& record);

    // A change of owner clears set-id bits, and any change of bytes or owner drops a capability. The stream says so in
    // records of their own when that happened at the source; where it does not, it must not happen in the image either.
    void keep_mode(const ObjectId& object, uint32_t mode);
    // The same for the time of a directory that moves: XFS changes it, others do not.
    void keep_time(const ObjectId& object, int64_t mtime_ns);
    void keep_capability(const ObjectId& object, std::string_view value);
    // So that only the files of which this is true are asked for their size before they are written.
    void leave_gap(const ObjectId& object) { objects_[object].leaves_gap = true; }

    std::unordered_map<ObjectId, ObjectChange>& objects() { return objects_; }
    const std::unordered_map<ObjectId, ObjectChange>& objects() const { return objects_; }
    const ObjectChange* find(const ObjectId& object) const;
    // In the order in which they were first touched.
    std::vector<NameChange>& names() { return names_; }
    const std::vector<NameChange>& names() const { return names_; }

private:
    struct Key {
        ObjectId directory;
        std::string_view name;
        bool operator==(const Key&) const = default;
    };
    struct KeyHash {
        size_t operator()(const Key& key) const;
    };
    void bind(const Record& record, const ObjectId& directory, std::string_view name, const ObjectId& before,
              const ObjectId& after);
    void born(const Record& record);
    void set_attributes(const ObjectId& object, const journal::Attributes& attributes);
    void set_xattr(const ObjectId& object, std::string_view name, std::optional<std::string_view> value);
    void touch(const ObjectId& object, const Record& record);

    std::unordered_map<ObjectId, ObjectChange> objects_;
    std::vector<NameChange> names_;
    std::unordered_map<Key, size_t, KeyHash> positions_;  // in names_
};

}  // namespace holdfast::rewind

#include "journal/record_rules.h"

#include <sys/stat.h>

namespace holdfast::journal {
namespace {

bool is_component(std::string_view name) {
    return !name.empty() && name.size() <= HF_NAME_BYTES_MAX && name != "." && name != ".." &&
           name.find('/') == name.npos && name.find('\0') == name.npos;
}

bool is_xattr_name(std::string_view name) {
    return !name.empty() && name.size() <= HF_NAME_BYTES_MAX && name.find('\0') == name.npos;
}

bool is_mode(uint32_t mode) {
    return (mode & ~uint32_t{S_IFMT | 07777}) == 0;
}

// Each returns the rule that is broken, or null.

const char* broken(hf_record_type, const Write& b) {
    if (b.data.size() > HF_RECORD_DATA_BYTES_MAX) return "the data of one write is at most 1 MiB";
    if (b.offset > file_offset_max - b.data.size()) return "a write ends within the largest file offset";
    return nullptr;
}

const char* broken(hf_record_type, const Truncate& b) {
    return b.size <= file_offset_max ? nullptr : "a size is at most the largest file offset";
}

const char* broken(hf_record_type, const Fallocate& b) {
    constexpr uint32_t known = HF_FALLOC_KEEP_SIZE | HF_FALLOC_PUNCH_HOLE | HF_FALLOC_COLLAPSE_RANGE |
                               HF_FALLOC_ZERO_RANGE | HF_FALLOC_INSERT_RANGE;
    if (b.mode & ~known) return "the mode of an allocation has only known bits";
    if (b.length == 0) return "an allocation is not empty";
    if (b.offset > file_offset_max || b.length > file_offset_max - b.offset)
        return "an allocation ends within the largest file offset";
    return nullptr;
}

const char* broken_name_of(const Birth& b, hf_record_type type) {
    if (b.name.empty()) return type == HF_CREATE ? nullptr : "only a regular file is born without a name";
    if (!is_component(b.name)) return "a name is one component of a path";
    if (!b.parent) return "a name is in a directory";
    return nullptr;
}

const char* broken(hf_record_type type, const Birth& b) {
    if (const char* rule = broken_name_of(b, type)) return rule;
    if (b.attributes.valid & ~HF_ATTR_ALL) return "attributes have only known bits";
    if (!(b.attributes.valid & HF_ATTR_MODE)) return "an object is born with its mode";
    if (!is_mode(b.attributes.mode)) return "a mode has only type and permission bits";
    if (birth_type(b.attributes.mode) != type) return "the type of a birth is that of its mode";
    if (type != HF_MKNOD && b.rdev != 0) return "only a special file has a device number";
    if (type == HF_SYMLINK) {
        if (b.target.empty() || b.target.size() > HF_SYMLINK_BYTES_MAX || b.target.find('\0') != b.target.npos)
            return "a target has 1 to 4095 bytes, none of them zero";
    } else if (!b.target.empty()) {
        return "only a symbolic link has a target";
    }
    if (b.xattrs.size() > UINT16_MAX) return "an object is born with at most 65535 extended attributes";
    for (const Xattr& x : b.xattrs) {
        if (!is_xattr_name(x.name)) return "the name of an extended attribute has 1 to 255 bytes, none of them zero";
        if (x.value.size() > HF_XATTR_VALUE_BYTES_MAX) return "the value of an extended attribute is at most 64 KiB";
    }
    return nullptr;
}

const char* broken(hf_record_type, const Link& b) {
    if (!is_component(b.name)) return "a name is one component of a path";
    return b.parent ? nullptr : "a name is in a directory";
}

const char* broken(hf_record_type, const Unlink& b) {
    if (!is_component(b.name)) return "a name is one component of a path";
    return b.parent ? nullptr : "a name is in a directory";
}

const char* broken(hf_record_type, const Rename& b) {
    if (!is_component(b.old_name) || !is_component(b.new_name)) return "a name is one component of a path";
    if (!b.old_parent || !b.new_parent) return "a name is in a directory";
    if (b.exchange && !b.other) return "an exchange has two objects";
    if (b.exchange && b.last_link) return "an exchange takes no name away";
    if (b.last_link && !b.other) return "a rename takes a name only from the object that it replaces";
    return nullptr;
}

const char* broken(hf_record_type, const SetAttr& b) {
    if (b.attributes.valid & ~HF_ATTR_ALL) return "attributes have only known bits";
    if ((b.attributes.valid & HF_ATTR_MODE) && !is_mode(b.attributes.mode))
        return "a mode has only type and permission bits";
    return nullptr;
}

const char* broken(hf_record_type, const SetXattr& b) {
    if (!is_xattr_name(b.xattr.name)) return "the name of an extended attribute has 1 to 255 bytes, none of them zero";
    return b.xattr.value.size() <= HF_XATTR_VALUE_BYTES_MAX ? nullptr
                                                            : "the value of an extended attribute is at most 64 KiB";
}

const char* broken(hf_record_type, const RemoveXattr& b) {
    return is_xattr_name(b.name) ? nullptr
                                 : "the name of an extended attribute has 1 to 255 bytes, none of them zero";
}

const char* broken(hf_record_type, const Bookmark& b) {
    const bool is_fine = !b.name.empty() && b.name.size() <= HF_BOOKMARK_NAME_BYTES_MAX &&
                         b.name.find('/') == b.name.npos && b.name.find('\0') == b.name.npos;
    return is_fine ? nullptr : "a bookmark's name has 1 to 254 bytes, none of them a slash or zero";
}

const char* broken(hf_record_type type, const Gap& b) {
    if (b.begin != (type == HF_GAP_BEGIN)) return "a gap record says which end of the gap it is";
    if (b.reason < HF_GAP_HOST_CRASH || b.reason > HF_GAP_BYPASS) return "a gap has a known reason";
    return b.sentence.size() <= HF_GAP_SENTENCE_BYTES_MAX ? nullptr : "the sentence of a gap is at most 64 KiB";
}

const char* broken(hf_record_type type, const Session& b) {
    return b.open == (type == HF_SESSION_OPEN) ? nullptr : "a session record says which end of the session it is";
}

const char* broken(hf_record_type, const OrphanEnd&) {
    return nullptr;
}
const char* broken(hf_record_type, const SegmentEnd&) {
    return nullptr;
}
const char* broken(hf_record_type, const Marker&) {
    return nullptr;
}

// What goes with a type: its body, its flags, and whether it is about an object.
struct Kind {
    hf_record_type type;
    const char* name;
    bool (*has_body)(const Body&);
    bool about_object = false;
    uint16_t flags = HF_RECORD_REPAIR;
};

template <typename T>
bool holds(const Body& body) {
    return std::holds_alternative<T>(body);
}
bool holds_nothing_known(const Body&) {
    return false;
}

constexpr uint16_t last_link_flags = HF_RECORD_REPAIR | HF_RECORD_LAST_LINK;

constexpr Kind kinds[] = {
    {HF_VOID, "VOID", holds<Marker>},
    {HF_SEGMENT_END, "SEGMENT_END", holds<SegmentEnd>},
    {HF_WRITE, "WRITE", holds<Write>, true, HF_RECORD_REPAIR | HF_RECORD_FROM_MMAP},
    {HF_TRUNCATE, "TRUNCATE", holds<Truncate>, true},
    {HF_FALLOCATE, "FALLOCATE", holds<Fallocate>, true},
    {HF_CREATE, "CREATE", holds<Birth>, true},
    {HF_MKDIR, "MKDIR", holds<Birth>, true},
    {HF_MKNOD, "MKNOD", holds<Birth>, true},
    {HF_SYMLINK, "SYMLINK", holds<Birth>, true},
    {HF_LINK, "LINK", holds<Link>, true},
    {HF_UNLINK, "UNLINK", holds<Unlink>, true, last_link_flags},
    {HF_RMDIR, "RMDIR", holds<Unlink>, true, last_link_flags},
    {HF_RENAME, "RENAME", holds<Rename>, true, last_link_flags},
    {HF_SETATTR, "SETATTR", holds<SetAttr>, true},
    {HF_SETXATTR, "SETXATTR", holds<SetXattr>, true},
    {HF_REMOVEXATTR, "REMOVEXATTR", holds<RemoveXattr>, true},
    {HF_ORPHAN_END, "ORPHAN_END", holds<OrphanEnd>, true},
    {HF_BOOKMARK, "BOOKMARK", holds<Bookmark>},
    {HF_HEARTBEAT, "HEARTBEAT", holds<Marker>},
    {HF_SYNC_POINT, "SYNC_POINT", holds<Marker>},
    {HF_GAP_BEGIN, "GAP_BEGIN", holds<Gap>},
    {HF_GAP_END, "GAP_END", holds<Gap>},
    {HF_SESSION_OPEN, "SESSION_OPEN", holds<Session>},
    {HF_SESSION_CLOSE, "SESSION_CLOSE", holds<Session>},
    // These have a number and no meaning yet in this version.
    {HF_VERIFY, "VERIFY", holds_nothing_known},
    {HF_SNAPSHOT_DIR, "SNAPSHOT_DIR", holds_nothing_known},
    {HF_SNAPSHOT_OBJECT, "SNAPSHOT_OBJECT", holds_nothing_known},
    {HF_SNAPSHOT_DATA, "SNAPSHOT_DATA", holds_nothing_known},
    {HF_DEMOTE, "DEMOTE", holds_nothing_known},
    {HF_PROMOTE, "PROMOTE", holds_nothing_known},
};

const Kind* find_kind(uint16_t type) {
    for (const Kind& kind : kinds) {
        if (kind.type == type) return &kind;
    }
    return nullptr;
}

}  // namespace

const char* broken_rule(const Record& record) {
    const Kind* kind = find_kind(record.type);
    if (!kind || !kind->has_body(record.body)) return "the body of a record fits its type";
    if (record.flags & ~kind->flags) return "the flags of a record fit its type";
    if (static_cast<bool>(record.object) != kind->about_object) return "an operation names its object, an event none";
    return std::visit([&](const auto& body) { return broken(record.type, body); }, record.body);
}

bool is_known_type(uint16_t type) {
    const Kind* kind = find_kind(type);
    return kind && kind->has_body != holds_nothing_known;
}

uint32_t record_bytes_max(hf_record_type type) {
    return type == HF_SEGMENT_END ? HF_SEGMENT_BYTES_MAX : HF_RECORD_BYTES_MAX;
}

const char* to_string(hf_record_type type) {
    const Kind* kind = find_kind(static_cast<uint16_t>(type));
    return kind ? kind->name : "UNKNOWN";
}

}  // namespace holdfast::journal

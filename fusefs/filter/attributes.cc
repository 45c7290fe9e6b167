#include "fusefs/filter/attributes.h"

#include <sys/sysmacros.h>

namespace holdfast::fusefs {

uint32_t device_to_fuse(dev_t device) {
    const uint32_t high = major(device), low = minor(device);
    return (low & 0xff) | (high << 8) | ((low & ~0xffu) << 12);
}

dev_t device_from_fuse(uint32_t device) {
    return makedev((device & 0xfff00) >> 8, (device & 0xff) | ((device >> 12) & 0xfff00));
}

fuse_attr to_fuse(const struct stat& status) {
    fuse_attr attr{};
    attr.ino = status.st_ino;
    attr.size = static_cast<uint64_t>(status.st_size);
    attr.blocks = static_cast<uint64_t>(status.st_blocks);
    attr.atime = static_cast<uint64_t>(status.st_atim.tv_sec);
    attr.mtime = static_cast<uint64_t>(status.st_mtim.tv_sec);
    attr.ctime = static_cast<uint64_t>(status.st_ctim.tv_sec);
    attr.atimensec = static_cast<uint32_t>(status.st_atim.tv_nsec);
    attr.mtimensec = static_cast<uint32_t>(status.st_mtim.tv_nsec);
    attr.ctimensec = static_cast<uint32_t>(status.st_ctim.tv_nsec);
    attr.mode = status.st_mode;
    attr.nlink = static_cast<uint32_t>(status.st_nlink);
    attr.uid = status.st_uid;
    attr.gid = status.st_gid;
    attr.rdev = device_to_fuse(status.st_rdev);
    attr.blksize = static_cast<uint32_t>(status.st_blksize);
    return attr;
}

fuse_attr_out attributes_answer(const struct stat& status) {
    fuse_attr_out out{};
    out.attr_valid = valid_seconds;
    out.attr = to_fuse(status);
    return out;
}

fuse_entry_out entry_answer(const ObjectName& name, const struct stat& status) {
    fuse_entry_out out{};
    out.nodeid = name.node;
    out.generation = name.id.generation;
    out.entry_valid = valid_seconds;
    out.attr_valid = valid_seconds;
    out.attr = to_fuse(status);
    return out;
}

fuse_entry_out no_entry_answer() {
    fuse_entry_out out{};
    out.entry_valid = valid_seconds;
    return out;
}

journal::Attributes to_record(const struct stat& status, uint32_t valid) {
    journal::Attributes attributes{};
    attributes.valid = valid;
    if (valid & HF_ATTR_MODE) attributes.mode = status.st_mode;
    if (valid & HF_ATTR_UID) attributes.uid = status.st_uid;
    if (valid & HF_ATTR_GID) attributes.gid = status.st_gid;
    if (valid & HF_ATTR_ATIME) attributes.atime_ns = nanoseconds(status.st_atim);
    if (valid & HF_ATTR_MTIME) attributes.mtime_ns = nanoseconds(status.st_mtim);
    if (valid & HF_ATTR_CTIME) attributes.ctime_ns = nanoseconds(status.st_ctim);
    return attributes;
}

}  // namespace holdfast::fusefs

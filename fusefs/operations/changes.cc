#include "fusefs/operations/changes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

namespace holdfast::fusefs {
namespace {

journal::Record record_of(const ObjectName& object, hf_record_type type, journal::Body body) {
    journal::Record record;
    record.type = type;
    record.object = object.id;
    record.body = std::move(body);
    return record;
}

IntentFacts facts_of(const ObjectName& object) {
    IntentFacts facts;
    facts.node = object.node;
    facts.repeatable = 1;
    return facts;
}

}  // namespace

Outcome change_mode(const Change& change, const ObjectName& object, const ObjectFd& fd, mode_t mode) {
    struct stat status {};
    if (::fstatat(fd.get(), "", &status, AT_EMPTY_PATH) != 0) return errno;
    journal::Attributes wanted{};
    wanted.valid = HF_ATTR_MODE;
    wanted.mode = (status.st_mode & S_IFMT) | (mode & 07777);
    const Outcome outcome = carry_out(
        change, record_of(object, HF_SETATTR, journal::SetAttr{wanted}), facts_of(object), [&](journal::Record& happened) {
            const int result = fd.is_path() ? ::chmod(fd.path().c_str(), mode & 07777) : ::fchmod(fd.get(), mode & 07777);
            if (result != 0) return errno;
            if (::fstatat(fd.get(), "", &status, AT_EMPTY_PATH) == 0)
                happened.body = journal::SetAttr{to_record(status, HF_ATTR_MODE)};
            return 0;
        });
    if (outcome != 0) return outcome;
    if (auto open = change.shared.files.object(object.node)) open->is_unprivileged = false;
    return record_access_acl(change, object, fd);
}

Outcome take_capability(const Change& change, const ObjectName& object, const ObjectFd& fd) {
    const auto open = change.shared.files.object(object.node);
    if (open && open->has_no_capability) return 0;
    if (get_xattr(fd, capability_xattr, nullptr, 0) >= 0) {
        const auto remove = [&](journal::Record&) {
            const int result = fd.is_path() ? ::removexattr(fd.path().c_str(), capability_xattr)
                                            : ::fremovexattr(fd.get(), capability_xattr);
            return result == 0 ? 0 : errno;
        };
        const Outcome outcome =
            carry_out(change, record_of(object, HF_REMOVEXATTR, journal::RemoveXattr{capability_xattr}), facts_of(object), remove);
        if (outcome != 0) return outcome;
    } else if (errno != ENODATA && errno != EOPNOTSUPP) {
        return 0;  // not known: the next change asks again
    }
    if (open) open->has_no_capability = true;
    return 0;
}

Outcome take_privileges(const Change& change, const ObjectName& object, const ObjectFd& fd) {
    const auto open = change.shared.files.object(object.node);
    if (open && open->is_unprivileged) return 0;
    struct stat status {};
    if (::fstatat(fd.get(), "", &status, AT_EMPTY_PATH) != 0) return errno;
    mode_t mode = status.st_mode & ~S_ISUID;
    // Without group execution the bit once meant mandatory locking; members of the group keep it.
    if ((mode & S_ISGID) && ((mode & S_IXGRP) || !caller_is_member(change.request, status.st_gid))) mode &= ~S_ISGID;
    if (mode != status.st_mode)
        if (const Outcome outcome = change_mode(change, object, fd, mode)) return outcome;
    if (const Outcome outcome = take_capability(change, object, fd)) return outcome;
    if (open && !(mode & S_ISGID)) open->is_unprivileged = true;
    return 0;
}

bool caller_is_member(const Request& request, gid_t group) {
    const fuse_in_header& header = request.header();
    return header.gid == group || is_in_group(header.pid, group);
}

ssize_t get_xattr(const ObjectFd& fd, const char* name, void* value, size_t size) {
    return fd.is_path() ? ::getxattr(fd.path().c_str(), name, value, size) : ::fgetxattr(fd.get(), name, value, size);
}

ssize_t list_xattrs(const ObjectFd& fd, char* names, size_t size) {
    return fd.is_path() ? ::listxattr(fd.path().c_str(), names, size) : ::flistxattr(fd.get(), names, size);
}

Outcome record_access_acl(const Change& change, const ObjectName& object, const ObjectFd& fd) {
    if (!change.shared.recorder.has_journal()) return 0;
    Buffer& value = change.thread.data;
    const ssize_t size = get_xattr(fd, access_acl_xattr, value.data(), value.size());
    if (size <= 0 || change.shared.orphans.is_removed_directory(object.node)) return 0;
    const std::string_view text(reinterpret_cast<const char*>(value.data()), static_cast<size_t>(size));
    change.shared.recorder.append_or_gap(record_of(object, HF_SETXATTR, journal::SetXattr{{access_acl_xattr, text}}));
    return 0;
}

}  // namespace holdfast::fusefs

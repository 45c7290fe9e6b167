// Extended attributes, ACLs among them.
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cerrno>
#include <cstring>

#include "fusefs/operations/changes.h"
#include "fusefs/operations/operations.h"

namespace holdfast::fusefs {
namespace {

// Under these names a store keeps what it knows of an object in the image. Through the mount they are neither seen nor
// set: a copy of them would take an object's identity.
constexpr std::string_view own_prefix = "trusted.holdfast.";
constexpr std::string_view trusted_prefix = "trusted.";

bool is_own(std::string_view name) {
    return name.starts_with(own_prefix);
}
bool is_acl(std::string_view name) {
    return name == access_acl_xattr || name == default_acl_xattr;
}

IntentFacts facts_of(const ObjectName& object, const ObjectFd& fd) {
    IntentFacts facts;
    facts.node = object.node;
    struct stat status {};
    if (::fstatat(fd.get(), "", &status, AT_EMPTY_PATH) == 0) facts.ctime_before_ns = nanoseconds(status.st_ctim);
    return facts;
}

int set_value(const ObjectFd& fd, const std::string& name, ByteSpan value, int flags) {
    const int result = fd.is_path() ? ::setxattr(fd.path().c_str(), name.c_str(), value.data(), value.size(), flags)
                                    : ::fsetxattr(fd.get(), name.c_str(), value.data(), value.size(), flags);
    return result == 0 ? 0 : errno;
}

int remove_value(const ObjectFd& fd, const std::string& name) {
    const int result = fd.is_path() ? ::removexattr(fd.path().c_str(), name.c_str()) : ::fremovexattr(fd.get(), name.c_str());
    return result == 0 ? 0 : errno;
}

// The file system may store an ACL otherwise than it was given, or not at all when the mode says the same. The record
// says what became of it.
void describe_acl(journal::Record& happened, const ObjectFd& fd, const std::string& name, Buffer& buffer) {
    const ssize_t size = get_xattr(fd, name.c_str(), buffer.data(), buffer.size());
    if (size >= 0) {
        happened.body = journal::SetXattr{{name, {reinterpret_cast<const char*>(buffer.data()), static_cast<size_t>(size)}}};
    } else {
        happened.type = HF_REMOVEXATTR;
        happened.body = journal::RemoveXattr{name};
    }
}

// An access ACL is also the mode: whoever looks at the record of the one finds the record of the other behind it.
Outcome after_access_acl(const Change& change, const ObjectName& object, const ObjectFd& fd, bool take_setgid) {
    struct stat status {};
    if (::fstatat(fd.get(), "", &status, AT_EMPTY_PATH) != 0) return errno;
    if (take_setgid && (status.st_mode & S_ISGID)) return change_mode(change, object, fd, status.st_mode & ~S_ISGID);
    if (!change.shared.recorder.has_journal() || change.shared.orphans.is_removed_directory(object.node)) return 0;
    journal::Record record;
    record.type = HF_SETATTR;
    record.object = object.id;
    record.body = journal::SetAttr{to_record(status, HF_ATTR_MODE)};
    change.shared.recorder.append_or_gap(record);
    return 0;
}

Outcome set_one(const Change& change, const ObjectName& object, const ObjectFd& fd, const std::string& name, ByteSpan value,
                const fuse_setxattr_in& in) {
    const std::string_view text(reinterpret_cast<const char*>(value.data()), value.size());
    journal::Record record;
    record.type = HF_SETXATTR;
    record.object = object.id;
    record.body = journal::SetXattr{{name, {}}};
    // What the file system makes of an ACL is never longer than what it was given.
    const uint32_t length = journal::encoded_length(journal::SetXattr{{name, text}});
    IntentFacts facts = facts_of(object, fd);
    facts.repeatable = in.flags & XATTR_CREATE ? 0 : 1;
    const Outcome outcome = carry_out(change, record, length, facts, [&](journal::Record& happened) -> int {
        if (const int error = set_value(fd, name, value, static_cast<int>(in.flags))) return error;
        if (is_acl(name))
            describe_acl(happened, fd, name, change.thread.data);
        else
            happened.body = journal::SetXattr{{name, text}};
        return 0;
    });
    if (name == default_acl_xattr) ++change.shared.default_acl_epoch;
    if (name == capability_xattr)
        if (auto open = change.shared.files.object(object.node)) open->is_unprivileged = open->has_no_capability = false;
    if (outcome != 0 || name != access_acl_xattr) return outcome;
    return after_access_acl(change, object, fd, in.setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID);
}

Outcome remove_one(const Change& change, const ObjectName& object, const ObjectFd& fd, const std::string& name) {
    if (name == default_acl_xattr) ++change.shared.default_acl_epoch;
    // Removing an ACL that is not there succeeds, and nothing has happened.
    if (is_acl(name) && get_xattr(fd, name.c_str(), nullptr, 0) < 0) return remove_value(fd, name);
    journal::Record record;
    record.type = HF_REMOVEXATTR;
    record.object = object.id;
    record.body = journal::RemoveXattr{name};
    return carry_out(change, record, facts_of(object, fd), [&](journal::Record&) { return remove_value(fd, name); });
}

// Leaves the names that a store uses out of NAMES. Says in HAS_TRUSTED whether any is left that not everybody may see.
size_t filter_names(std::byte* names, size_t size, bool& has_trusted) {
    size_t kept = 0;
    for (size_t at = 0; at < size;) {
        const char* name = reinterpret_cast<const char*>(names + at);
        const size_t bytes = std::min(strnlen(name, size - at) + 1, size - at);
        const std::string_view text(name, bytes - 1);
        if (!is_own(text)) {
            has_trusted |= text.starts_with(trusted_prefix);
            std::memmove(names + kept, names + at, bytes);
            kept += bytes;
        }
        at += bytes;
    }
    return kept;
}

Answer sized(ByteSpan bytes, uint32_t size) {
    if (size == 0) {
        fuse_getxattr_out out{};
        out.size = static_cast<uint32_t>(bytes.size());
        return Answer::of(out);
    }
    return bytes.size() <= size ? Answer::data(bytes) : Answer::error(ERANGE);
}

}  // namespace

Answer set_xattr(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_setxattr_in>();
    const auto text = in ? request.take_text() : std::nullopt;
    if (!text) return Answer::error(EIO);
    const ByteSpan value = request.take_bytes(in->size);
    if (value.size() != in->size || value.size() > HF_XATTR_VALUE_BYTES_MAX) return Answer::error(E2BIG);
    if (is_own(*text)) return Answer::error(EPERM);
    thread.caller.become(request.header().uid, request.header().gid);
    auto fd = shared.object(request.node());
    if (!fd) return failure(fd.error());
    auto object = shared.name(request.node(), fd->get());
    if (!object) return failure(object.error());
    Gate::Passage passage(shared.gate, thread.place);
    ObjectLocks::Held held(shared.locks, {object->node});
    const Outcome outcome = set_one({shared, thread, request}, *object, *fd, std::string(*text), value, *in);
    return outcome == 0 ? Answer::nothing() : failure(outcome);
}

Answer remove_xattr(Shared& shared, Thread& thread, Request& request) {
    const auto text = request.take_text();
    if (!text) return Answer::error(EIO);
    if (is_own(*text)) return Answer::error(EPERM);
    thread.caller.become(request.header().uid, request.header().gid);
    auto fd = shared.object(request.node());
    if (!fd) return failure(fd.error());
    auto object = shared.name(request.node(), fd->get());
    if (!object) return failure(object.error());
    Gate::Passage passage(shared.gate, thread.place);
    ObjectLocks::Held held(shared.locks, {object->node});
    const Outcome outcome = remove_one({shared, thread, request}, *object, *fd, std::string(*text));
    return outcome == 0 ? Answer::nothing() : failure(outcome);
}

Answer get_xattr_of(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_getxattr_in>();
    const auto text = in ? request.take_text() : std::nullopt;
    if (!text) return Answer::error(EIO);
    if (is_own(*text)) return Answer::error(ENODATA);
    auto fd = shared.object(request.node());
    if (!fd) return failure(fd.error());
    // Asked with the caller's room, so that the file system itself says what it says when that is too little.
    const size_t room = std::min<size_t>(in->size, thread.data.size());
    const ssize_t size = get_xattr(*fd, std::string(*text).c_str(), thread.data.data(), room);
    if (size < 0) return Answer::error(errno);
    if (in->size == 0) {
        fuse_getxattr_out out{};
        out.size = static_cast<uint32_t>(size);
        return Answer::of(out);
    }
    return Answer::data({thread.data.data(), static_cast<size_t>(size)});
}

Answer list_xattrs_of(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_getxattr_in>();
    if (!in) return Answer::error(EIO);
    auto fd = shared.object(request.node());
    if (!fd) return failure(fd.error());
    const auto list = [&] { return list_xattrs(*fd, reinterpret_cast<char*>(thread.data.data()), thread.data.size()); };
    ssize_t size = list();
    if (size < 0) return Answer::error(errno);
    bool has_trusted = false;
    size_t kept = filter_names(thread.data.data(), static_cast<size_t>(size), has_trusted);
    // Who may see such names is the file system's decision (ext4: administrators, btrfs: everybody), so it is asked again
    // as the caller would ask it.
    if (has_trusted && !has_capability(request.header().pid, request.header().uid, CAP_SYS_ADMIN)) {
        thread.caller.set_administration(false);
        size = list();
        const int error = errno;
        thread.caller.set_administration(true);
        if (size < 0) return Answer::error(error);
        kept = filter_names(thread.data.data(), static_cast<size_t>(size), has_trusted);
    }
    return sized({thread.data.data(), kept}, in->size);
}

}  // namespace holdfast::fusefs

// Making objects: with the caller's user, group and umask, so that owner, set-gid directory and default ACL do what they
// do on the bare file system. The record says what came out of it.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "fusefs/operations/changes.h"
#include "fusefs/operations/operations.h"

namespace holdfast::fusefs {
namespace {

struct Wanted {
    NodeId parent = 0;
    std::string name;       // empty: nameless
    mode_t mode = 0;        // type bits included
    uint32_t umask = 0;
    std::string_view target;
    dev_t device = 0;
};

struct Born {
    ObjectName name;
    struct stat status {};
    UniqueFd fd;  // of a file that is created open
};

// The extended attributes of a new object are those that it inherits: a default ACL becomes its access ACL, and the
// default ACL of a directory. How much room that takes is known from the parent. What a security module adds is not;
// it is recorded in addition if it does not fit.
uint32_t inherited_bytes_max(Shared& shared, Thread& thread, NodeId parent, int directory_fd) {
    DirectoryCache::Inherited* known = parent == root_node ? nullptr : &thread.directories.inherited(parent);
    const uint64_t epoch = shared.default_acl_epoch.load();
    if (known && known->epoch == epoch) return known->bytes;
    const ObjectFd fd(directory_fd);
    const ssize_t size = ::getxattr(fd.path().c_str(), default_acl_xattr, nullptr, 0);
    const uint32_t bytes = size > 0 ? 2 * (64 + static_cast<uint32_t>(size)) : 0;
    if (known) *known = {epoch, bytes};
    return bytes;
}

// The names and values of an object's attributes, in memory that lives as long as this.
class InheritedXattrs {
public:
    InheritedXattrs(const std::string& path, int fd) {
        char names[4096];
        const ssize_t size = fd >= 0 ? ::flistxattr(fd, names, sizeof names) : ::llistxattr(path.c_str(), names, sizeof names);
        if (size <= 0) return;
        names_.assign(names, static_cast<size_t>(size));
        for (size_t at = 0; at < names_.size(); at += std::char_traits<char>::length(&names_[at]) + 1) {
            std::string value(HF_XATTR_VALUE_BYTES_MAX, 0);
            const ssize_t length = fd >= 0 ? ::fgetxattr(fd, &names_[at], value.data(), value.size())
                                           : ::lgetxattr(path.c_str(), &names_[at], value.data(), value.size());
            if (length < 0) continue;
            value.resize(static_cast<size_t>(length));
            values_.push_back(std::move(value));
            list.push_back({&names_[at], {}});
        }
        for (size_t i = 0; i < list.size(); ++i) list[i].value = values_[i];
    }
    std::vector<journal::Xattr> list;

private:
    std::string names_;
    std::vector<std::string> values_;
};

// Puts into HAPPENED what was born; what does not fit into LENGTH is left in the list.
void describe(journal::Record& happened, const Born& born, InheritedXattrs& xattrs, uint32_t length) {
    auto& birth = std::get<journal::Birth>(happened.body);
    happened.object = born.name.id;
    birth.attributes = to_record(born.status);
    birth.xattrs = std::move(xattrs.list);
    xattrs.list.clear();
    while (journal::encoded_length(happened.body) > length) {
        xattrs.list.push_back(birth.xattrs.back());
        birth.xattrs.pop_back();
    }
}

// MAKE(directory_fd, born) does it; 0 or an errno.
template <typename Make>
Outcome give_birth(const Change& change, int directory_fd, const Wanted& wanted, Born& born, Make make) {
    Shared& shared = change.shared;
    auto parent = shared.name(wanted.parent, directory_fd);
    if (!parent) return errno_of(parent.error());

    journal::Birth birth{parent->id, wanted.name, {}, wanted.device, wanted.target, {}};
    birth.attributes.valid = HF_ATTR_MODE;
    birth.attributes.mode = wanted.mode & (S_IFMT | 07777);
    journal::Record record;
    record.type = journal::birth_type(wanted.mode);
    record.object = {1, 0, shared.ids.origin()};
    const uint32_t length = journal::encoded_length(birth) +
                            (inherited_bytes_max(shared, change.thread, wanted.parent, directory_fd) + 7) / 8 * 8;
    birth.target = birth.target.substr(0, intent_target_bytes_max);
    record.body = birth;
    IntentFacts facts;
    facts.parent_node = wanted.parent;
    // What has no name is lost with the process, unless it was kept already; a request that comes again makes another.
    facts.repeatable = wanted.name.empty();

    std::optional<InheritedXattrs> xattrs;
    const Outcome outcome = carry_out(change, record, length, facts, [&](journal::Record& happened) -> int {
        if (const int error = make(directory_fd, born)) return error;
        // Although a gap may have begun: this operation may have its place before it.
        if (!shared.recorder.has_journal()) return 0;
        const std::string path = ObjectFd(directory_fd).path() + "/" + wanted.name;
        xattrs.emplace(path, born.fd.valid() ? born.fd.get() : -1);
        std::get<journal::Birth>(happened.body).target = wanted.target;
        describe(happened, born, *xattrs, length);
        return 0;
    });
    if (outcome != 0) return outcome;
    if (xattrs)
        for (const journal::Xattr& rest : xattrs->list) {
            journal::Record addition;
            addition.type = HF_SETXATTR;
            addition.object = born.name.id;
            addition.body = journal::SetXattr{rest};
            shared.recorder.append_or_gap(addition);
        }
    if (!wanted.name.empty()) shared.note_entries_changed(*parent);
    return 0;
}

// Takes the look at what was just made by name.
int look(Shared& shared, int directory_fd, const std::string& name, Born& born) {
    auto found = shared.ids.name_at(directory_fd, name);
    if (!found) return errno_of(found.error());
    born.name = *found;
    return ::fstatat(directory_fd, name.c_str(), &born.status, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}
int look(Shared& shared, Born& born) {
    auto found = shared.ids.name_at(born.fd.get(), "");
    if (!found) return errno_of(found.error());
    born.name = *found;
    return ::fstat(born.fd.get(), &born.status) == 0 ? 0 : errno;
}

// A birth by NAME, answered with its entry.
template <typename Make>
Answer give_named_birth(Shared& shared, Thread& thread, Request& request, const Wanted& wanted, Make make) {
    thread.caller.become(request.header().uid, request.header().gid);
    thread.caller.use_umask(wanted.umask);
    auto directory = thread.directories.get(shared.ids, shared.orphans, wanted.parent);
    if (!directory) return failure(directory.error());
    Gate::Passage passage(shared.gate, thread.place);
    ObjectLocks::Held held(shared.locks, {wanted.parent});
    Born born;
    const Outcome outcome = give_birth({shared, thread, request}, *directory, wanted, born, [&](int fd, Born& made) -> int {
        if (make(fd, wanted.name.c_str()) != 0) return errno;
        const int error = look(shared, fd, wanted.name, made);
        // Not to be described, so not to be recorded (no memory, an inode number that does not fit): it must not stay.
        if (error != 0) (void)::unlinkat(fd, wanted.name.c_str(), S_ISDIR(wanted.mode) ? AT_REMOVEDIR : 0);
        return error;
    });
    if (outcome != 0) return failure(outcome);
    return Answer::of(entry_answer(born.name, born.status));
}

constexpr int creation_flags_kept = O_ACCMODE | O_NOATIME | O_NONBLOCK;

}  // namespace

Answer make_directory(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_mkdir_in>();
    const auto name = request.take_text();
    if (!in || !name) return Answer::error(EIO);
    const Wanted wanted{request.node(), std::string(*name), S_IFDIR | (in->mode & 07777), in->umask, {}, 0};
    return give_named_birth(shared, thread, request, wanted,
                            [&](int fd, const char* path) { return ::mkdirat(fd, path, in->mode & 07777); });
}

Answer make_node(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_mknod_in>();
    const auto name = request.take_text();
    if (!in || !name) return Answer::error(EIO);
    const mode_t type = in->mode & S_IFMT ? in->mode & S_IFMT : S_IFREG;
    const dev_t device = S_ISCHR(type) || S_ISBLK(type) ? device_from_fuse(in->rdev) : 0;
    const Wanted wanted{request.node(), std::string(*name), type | (in->mode & 07777), in->umask, {}, device};
    return give_named_birth(shared, thread, request, wanted,
                            [&](int fd, const char* path) { return ::mknodat(fd, path, wanted.mode, device); });
}

Answer make_symlink(Shared& shared, Thread& thread, Request& request) {
    const auto name = request.take_text();
    const auto target = request.take_text();
    if (!name || !target) return Answer::error(EIO);
    const Wanted wanted{request.node(), std::string(*name), S_IFLNK | 0777, 0, *target, 0};
    return give_named_birth(shared, thread, request, wanted, [&](int fd, const char* path) {
        return ::symlinkat(std::string(*target).c_str(), fd, path);
    });
}

int make_whiteout(Shared& shared, Thread& thread, Request& request, NodeId directory, int directory_fd, const std::string& name) {
    const Wanted wanted{directory, name, S_IFCHR, 0, {}, 0};
    Born born;
    return give_birth({shared, thread, request}, directory_fd, wanted, born, [&](int fd, Born& made) -> int {
        if (::mknodat(fd, name.c_str(), S_IFCHR, 0) != 0) return errno;
        return look(shared, fd, name, made);
    });
}

Answer create_file(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_create_in>();
    const auto name = request.take_text();
    if (!in || !name) return Answer::error(EIO);
    const Wanted wanted{request.node(), std::string(*name), S_IFREG | (in->mode & 07777), in->umask, {}, 0};
    thread.caller.become(request.header().uid, request.header().gid);
    thread.caller.use_umask(in->umask);
    auto directory = thread.directories.get(shared.ids, shared.orphans, wanted.parent);
    if (!directory) return failure(directory.error());
    const int flags = static_cast<int>(in->flags) & creation_flags_kept;
    Born born;
    {
        Gate::Passage passage(shared.gate, thread.place);
        ObjectLocks::Held held(shared.locks, {wanted.parent});
        const Outcome outcome = give_birth({shared, thread, request}, *directory, wanted, born, [&](int fd, Born& made) -> int {
            // The kernel sends this only for a name that is not there, and it knows of every name.
            made.fd.reset(::openat(fd, wanted.name.c_str(), flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, in->mode & 07777));
            if (!made.fd) return errno;
            const int error = look(shared, made);
            if (error != 0) (void)::unlinkat(fd, wanted.name.c_str(), 0);
            return error;
        });
        if (outcome != 0) return failure(outcome);
    }
    const auto file = shared.files.add(born.name.node, born.name.id, std::move(born.fd), flags);
    fuse_open_out out{};
    out.fh = file->handle;
    out.open_flags = flags_of_opened(flags);
    return Answer::of(entry_answer(born.name, born.status)).add(out);
}

Answer make_nameless(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_create_in>();
    if (!in) return Answer::error(EIO);
    const Wanted wanted{request.node(), {}, S_IFREG | (in->mode & 07777), in->umask, {}, 0};
    thread.caller.become(request.header().uid, request.header().gid);
    thread.caller.use_umask(in->umask);
    auto directory = thread.directories.get(shared.ids, shared.orphans, wanted.parent);
    if (!directory) return failure(directory.error());
    // With O_EXCL it can never be linked; the backing file system sees to that.
    const int flags = static_cast<int>(in->flags) & (creation_flags_kept | O_EXCL);
    Gate::Passage passage(shared.gate, thread.place);
    ObjectLocks::Held held(shared.locks, {wanted.parent});
    Born born;
    Orphan orphan;
    const Outcome outcome = give_birth({shared, thread, request}, *directory, wanted, born, [&](int fd, Born& made) -> int {
        made.fd.reset(::openat(fd, ".", flags | O_TMPFILE | O_CLOEXEC, in->mode & 07777));
        if (!made.fd) return errno;
        if (const int error = look(shared, made)) return error;
        const std::string path = ObjectFd(made.fd.get()).path();
        orphan.fd = std::make_shared<UniqueFd>(::open(path.c_str(), O_PATH | O_CLOEXEC));
        return orphan.fd->valid() ? 0 : errno;
    });
    if (outcome != 0) return failure(outcome);
    orphan.node = born.name.node;
    orphan.id = born.name.id;
    orphan.is_kept = shared.orphans.keep(shared.ids.inode_of(orphan.node), orphan.fd->get());
    shared.orphans.add(orphan);
    const auto file = shared.files.add(born.name.node, born.name.id, std::move(born.fd), flags & ~O_EXCL);
    fuse_open_out out{};
    out.fh = file->handle;
    out.open_flags = flags_of_opened(flags);
    return Answer::of(entry_answer(born.name, born.status)).add(out);
}

}  // namespace holdfast::fusefs

// Giving, taking and moving names.
//
// What a name means is looked at before the locks are taken, because the object is among them, and looked at again under
// the locks. The kernel holds its own locks on the directories meanwhile, so the second look hardly ever differs.
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "fusefs/operations/changes.h"
#include "fusefs/operations/operations.h"

namespace holdfast::fusefs {
namespace {

// An object that a name means.
struct Victim {
    ObjectName name;
    std::shared_ptr<UniqueFd> fd;  // O_PATH: it stays what it is when the name is gone
    struct stat status {};

    bool is_directory() const { return S_ISDIR(status.st_mode); }
    bool has_one_name() const { return !is_directory() && status.st_nlink == 1; }
};

Result<Victim> find_victim(Shared& shared, int directory_fd, const std::string& name) {
    Victim victim;
    victim.fd = std::make_shared<UniqueFd>(::openat(directory_fd, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!victim.fd->valid()) return errno_error(errno, "open a name");
    victim.name = HF_TRY(shared.ids.name_at(victim.fd->get(), ""));
    if (::fstat(victim.fd->get(), &victim.status) != 0) return errno_error(errno, "stat a name");
    return victim;
}

// NAME still means VICTIM, whose attributes are taken anew: locked, they stay.
bool is_still(int directory_fd, const std::string& name, Victim& victim) {
    struct stat status {};
    if (::fstatat(directory_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
    if (status.st_ino != victim.status.st_ino || status.st_dev != victim.status.st_dev) return false;
    victim.status = status;
    return true;
}

// Makes VICTIM an orphan before its last name goes: from then on its descriptor is all that is left of it.
class Orphaning {
public:
    Orphaning(Shared& shared, const Victim& victim) : shared_(shared), node_(victim.name.node) {
        Orphan orphan{victim.name.node, victim.name.id, victim.fd, false, victim.is_directory()};
        // What is open must survive this process too. After a restart nobody knows what is open, so all is kept.
        const bool may_be_open = shared.wiring.resumed || shared.files.object(node_) != nullptr;
        if (may_be_open && !victim.is_directory())
            orphan.is_kept = shared.orphans.keep(shared.ids.inode_of(node_), victim.fd->get());
        shared.orphans.add(std::move(orphan));
    }
    void confirm() { is_confirmed_ = true; }
    ~Orphaning() {
        if (is_confirmed_) return;
        const auto orphan = shared_.orphans.take(node_);
        if (orphan && orphan->is_kept) shared_.orphans.unkeep(shared_.ids.inode_of(node_));
    }
    Orphaning(const Orphaning&) = delete;
    Orphaning& operator=(const Orphaning&) = delete;

private:
    Shared& shared_;
    NodeId node_;
    bool is_confirmed_ = false;
};

Answer remove_name(Shared& shared, Thread& thread, Request& request, bool directory) {
    const auto text = request.take_text();
    if (!text) return Answer::error(EIO);
    const std::string name(*text);
    thread.caller.become(request.header().uid, request.header().gid);
    auto parent_fd = thread.directories.get(shared.ids, shared.orphans, request.node());
    if (!parent_fd) return failure(parent_fd.error());
    auto parent = shared.name(request.node(), *parent_fd);
    if (!parent) return failure(parent.error());
    for (;;) {
        auto victim = find_victim(shared, *parent_fd, name);
        if (!victim) return failure(victim.error());
        Gate::Passage passage(shared.gate, thread.place);
        ObjectLocks::Held held(shared.locks, {parent->node, victim->name.node});
        if (!is_still(*parent_fd, name, *victim)) continue;

        const bool last = victim->is_directory() || victim->has_one_name();
        std::optional<Orphaning> orphaning;
        if (last) orphaning.emplace(shared, *victim);
        journal::Record record;
        record.type = directory ? HF_RMDIR : HF_UNLINK;
        record.object = victim->name.id;
        record.body = journal::Unlink{parent->id, name, last};
        IntentFacts facts;
        facts.parent_node = parent->node;
        facts.links_before = static_cast<uint32_t>(victim->status.st_nlink);
        facts.ctime_before_ns = nanoseconds(victim->status.st_ctim);
        // The node is not among the facts of carry_out's question: an orphan it is only if this succeeds.
        const Outcome outcome = carry_out({shared, thread, request}, record, facts, [&](journal::Record&) {
            return ::unlinkat(*parent_fd, name.c_str(), directory ? AT_REMOVEDIR : 0) == 0 ? 0 : errno;
        });
        if (outcome != 0) return failure(outcome);
        if (orphaning) orphaning->confirm();
        shared.note_entries_changed(*parent);
        return Answer::nothing();
    }
}

// The two names of a rename and what they mean.
struct Move {
    ObjectName old_parent, new_parent;
    int old_fd = -1, new_fd = -1;
    std::string old_name, new_name;
    unsigned flags = 0;
    Victim moved;
    std::optional<Victim> other;

    bool is_exchange() const { return flags & RENAME_EXCHANGE; }
    // Two names of one object: the system call does nothing, and so does the record.
    bool is_nothing() const { return other && other->name.node == moved.name.node && !is_exchange(); }
};

Result<bool> find_both(Shared& shared, Move& move) {
    move.moved = HF_TRY(find_victim(shared, move.old_fd, move.old_name));
    auto other = find_victim(shared, move.new_fd, move.new_name);
    if (other)
        move.other = std::move(*other);
    else if (other.error().sys_errno == ENOENT)
        move.other.reset();
    else
        return other.error();
    return true;
}

bool are_still(Move& move) {
    if (!is_still(move.old_fd, move.old_name, move.moved)) return false;
    if (move.other) return is_still(move.new_fd, move.new_name, *move.other);
    struct stat status {};
    return ::fstatat(move.new_fd, move.new_name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0;
}

// To some file systems (XFS) its parent is among the contents of a directory: moving it changes its own time.
void record_time_of_moved(Shared& shared, const Victim& moved) {
    struct stat now {};
    if (!moved.is_directory() || ::fstat(moved.fd->get(), &now) != 0) return;
    if (nanoseconds(now.st_mtim) == nanoseconds(moved.status.st_mtim)) return;
    if (!shared.record_times(moved.name, moved.fd->get())) shared.times.note(moved.name, shared.clock.monotonic_ns());
}

Outcome carry_out_move(Shared& shared, Thread& thread, Request& request, Move& move) {
    const bool replaces = move.other && !move.is_exchange() && !(move.flags & RENAME_NOREPLACE) && !move.is_nothing();
    const bool last = replaces && (move.other->is_directory() || move.other->has_one_name());
    std::optional<Orphaning> orphaning;
    if (last) orphaning.emplace(shared, *move.other);

    journal::Rename body{move.old_parent.id, move.old_name, move.new_parent.id, move.new_name, {}, move.is_exchange(), last};
    if (replaces || move.is_exchange()) body.other = move.other ? move.other->name.id : journal::ObjectId{};
    const auto rename = [&](journal::Record&) {
        const unsigned flags = move.flags & ~RENAME_WHITEOUT;
        return ::renameat2(move.old_fd, move.old_name.c_str(), move.new_fd, move.new_name.c_str(), flags) == 0 ? 0 : errno;
    };
    journal::Record record;
    record.type = HF_RENAME;
    record.object = move.moved.name.id;
    record.body = body;
    // Without an other object an exchange fails, and there is nothing to record.
    if (move.is_nothing() || (move.is_exchange() && !move.other)) return rename(record);

    IntentFacts facts;
    facts.node = move.moved.name.node;
    facts.parent_node = move.old_parent.node;
    facts.new_parent_node = move.new_parent.node;
    facts.other_node = move.other ? move.other->name.node : 0;
    facts.links_before = static_cast<uint32_t>(move.moved.status.st_nlink);
    const Outcome outcome = carry_out({shared, thread, request}, record, facts, rename);
    if (outcome != 0) return outcome;
    if (orphaning) orphaning->confirm();
    shared.note_entries_changed(move.old_parent);
    shared.note_entries_changed(move.new_parent);
    record_time_of_moved(shared, move.moved);
    if (move.is_exchange()) record_time_of_moved(shared, *move.other);
    return 0;
}

// REQUIRES: REQUEST is a RENAME2 with a whiteout.
Answer finish_move(Shared& shared, Thread& thread, const Request& request) {
    auto again = Request::parse(request.bytes());
    if (!again || !again->take<fuse_rename2_in>()) return Answer::error(EIO);
    return finish_whiteout(shared, thread, *again);
}

Answer move_name(Shared& shared, Thread& thread, Request& request, NodeId new_directory, unsigned flags) {
    const auto old_text = request.take_text();
    const auto new_text = request.take_text();
    if (!old_text || !new_text) return Answer::error(EIO);
    thread.caller.become(request.header().uid, request.header().gid);
    auto old_fd = thread.directories.get(shared.ids, shared.orphans, request.node());
    if (!old_fd) return failure(old_fd.error());
    auto new_fd = thread.directories.get(shared.ids, shared.orphans, new_directory, request.node());
    if (!new_fd) return failure(new_fd.error());
    auto old_parent = shared.name(request.node(), *old_fd);
    if (!old_parent) return failure(old_parent.error());
    auto new_parent = shared.name(new_directory, *new_fd);
    if (!new_parent) return failure(new_parent.error());
    Move move{*old_parent, *new_parent, *old_fd, *new_fd, std::string(*old_text), std::string(*new_text), flags, {}, {}};
    for (;;) {
        if (auto found = find_both(shared, move); !found) {
            // The kernel has seen the old name and holds its lock: gone at the second asking, it was moved by a predecessor
            // that died while it made the whiteout.
            const bool was_moved = request.is_resent() && (flags & RENAME_WHITEOUT) && found.error().sys_errno == ENOENT;
            return was_moved ? finish_move(shared, thread, request) : failure(found.error());
        }
        Gate::Passage passage(shared.gate, thread.place);
        ObjectLocks::Held held(shared.locks, {move.old_parent.node, move.new_parent.node, move.moved.name.node,
                                              move.other ? move.other->name.node : 0});
        if (!are_still(move)) continue;
        Outcome outcome = carry_out_move(shared, thread, request, move);
        // The two halves are operations of their own in the journal; the kernel's locks keep others from seeing between
        // them. Should the second fail (a full disk), the first stays.
        if (outcome == 0 && (flags & RENAME_WHITEOUT) && !move.is_nothing())
            outcome = make_whiteout(shared, thread, request, move.old_parent.node, move.old_fd, move.old_name);
        return outcome == 0 ? Answer::nothing() : failure(outcome);
    }
}

}  // namespace

Answer unlink_object(Shared& shared, Thread& thread, Request& request) {
    return remove_name(shared, thread, request, false);
}

Answer remove_directory(Shared& shared, Thread& thread, Request& request) {
    return remove_name(shared, thread, request, true);
}

Answer rename_object(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_rename_in>();
    return in ? move_name(shared, thread, request, in->newdir, 0) : Answer::error(EIO);
}

Answer rename_with_flags(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_rename2_in>();
    return in ? move_name(shared, thread, request, in->newdir, in->flags) : Answer::error(EIO);
}

Answer finish_whiteout(Shared& shared, Thread& thread, Request& request) {
    const auto name = request.take_text();
    if (!name) return Answer::error(EIO);
    thread.caller.become(request.header().uid, request.header().gid);
    auto fd = thread.directories.get(shared.ids, shared.orphans, request.node());
    if (!fd) return failure(fd.error());
    Gate::Passage passage(shared.gate, thread.place);
    ObjectLocks::Held held(shared.locks, {request.node()});
    if (::faccessat(*fd, std::string(*name).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) return Answer::nothing();
    const Outcome outcome = make_whiteout(shared, thread, request, request.node(), *fd, std::string(*name));
    return outcome == 0 ? Answer::nothing() : failure(outcome);
}

Answer link_object(Shared& shared, Thread& thread, Request& request) {
    const auto* in = request.take<fuse_link_in>();
    const auto text = request.take_text();
    if (!in || !text) return Answer::error(EIO);
    const std::string name(*text);
    thread.caller.become(request.header().uid, request.header().gid);
    auto directory = thread.directories.get(shared.ids, shared.orphans, request.node());
    if (!directory) return failure(directory.error());
    auto parent = shared.name(request.node(), *directory);
    if (!parent) return failure(parent.error());
    auto fd = shared.object(in->oldnodeid);
    if (!fd) return failure(fd.error());
    auto object = shared.name(in->oldnodeid, fd->get());
    if (!object) return failure(object.error());

    Gate::Passage passage(shared.gate, thread.place);
    ObjectLocks::Held held(shared.locks, {parent->node, object->node});
    struct stat status {};
    if (::fstatat(fd->get(), "", &status, AT_EMPTY_PATH) != 0) return Answer::error(errno);
    journal::Record record;
    record.type = HF_LINK;
    record.object = object->id;
    record.body = journal::Link{parent->id, name};
    IntentFacts facts;
    facts.node = object->node;
    facts.parent_node = parent->node;
    facts.links_before = static_cast<uint32_t>(status.st_nlink);
    const Outcome outcome = carry_out({shared, thread, request}, record, facts, [&](journal::Record&) {
        return ::linkat(fd->get(), "", *directory, name.c_str(), AT_EMPTY_PATH) == 0 ? 0 : errno;
    });
    if (outcome != 0) return failure(outcome);
    // Born without a name, it has one now.
    if (const auto orphan = shared.orphans.take(object->node); orphan && orphan->is_kept)
        shared.orphans.unkeep(shared.ids.inode_of(object->node));
    shared.note_entries_changed(*parent);
    if (::fstatat(fd->get(), "", &status, AT_EMPTY_PATH) != 0) return Answer::error(errno);
    return Answer::of(entry_answer(*object, status));
}

}  // namespace holdfast::fusefs

// One change of the backing tree, recorded: what all modifying operations have in common.
// Thread rule: called by the thread of a request, inside the gate and with the locks of the objects concerned.
#pragma once

#include "fusefs/filter/recorder.h"
#include "fusefs/filter/request.h"
#include "fusefs/filter/shared.h"

namespace holdfast::fusefs {

// 0: done. Positive: the error for the application; nothing changed. outcome_parked: the journal has no room now, nothing
// was tried.
using Outcome = int;
inline constexpr Outcome outcome_parked = -1;

inline Answer failure(Outcome outcome) {
    return outcome == outcome_parked ? Answer::parked() : Answer::error(outcome);
}
inline Answer failure(const Error& error) {
    return Answer::error(errno_of(error));
}

// The change of one request, in steps that are each recorded on their own.
struct Change {
    Shared& shared;
    Thread& thread;
    const Request& request;
};

// Records RECORD around PERFORM, an int(journal::Record& happened) that returns 0 or an errno, and may put into the
// record what is known only now. LENGTH: room for what may come of it.
template <typename Perform>
Outcome carry_out(const Change& change, journal::Record record, uint32_t length, const IntentFacts& facts, Perform perform) {
    // A removed directory ended with its removal: what is done to it now is in no history.
    if (change.shared.orphans.is_removed_directory(facts.node)) return perform(record);
    Operation operation(change.shared.recorder, change.thread.slot, change.request.id());
    if (!operation.begin(record, length, facts)) return outcome_parked;
    const int error = perform(record);
    if (error != 0) return error;
    operation.commit(record);
    return 0;
}
template <typename Perform>
Outcome carry_out(const Change& change, const journal::Record& record, const IntentFacts& facts, Perform perform) {
    return carry_out(change, record, journal::encoded_length(record.body), facts, perform);
}

// New permission bits for the object open at FD.
Outcome change_mode(const Change& change, const ObjectName& object, const ObjectFd& fd, mode_t mode);

// What a system call on the bare file does when somebody without CAP_FSETID writes to it, cuts it or gives it away: the
// set-id bits and file capabilities go. WHO has them not only lose the set-gid bit of files without group execution.
Outcome take_privileges(const Change& change, const ObjectName& object, const ObjectFd& fd);
// File capabilities alone. The backing file system drops them by itself whoever changes bytes or owner, and says nothing:
// so every operation that does so takes them first, which is recorded. A file that is open is looked at once.
Outcome take_capability(const Change& change, const ObjectName& object, const ObjectFd& fd);
// One or the other, as the request says: the kernel asks for the bits where the caller may not keep them.
inline Outcome take_for_new_bytes(const Change& change, const ObjectName& object, const ObjectFd& fd, bool takes_bits) {
    return takes_bits ? take_privileges(change, object, fd) : take_capability(change, object, fd);
}

// Whether the process of the request is in GROUP. Asks /proc; for rare cases only.
bool caller_is_member(const Request& request, gid_t group);

// Extended attributes of FD, whatever kind of descriptor it is. The results are those of the system calls.
ssize_t get_xattr(const ObjectFd& fd, const char* name, void* value, size_t size);
ssize_t list_xattrs(const ObjectFd& fd, char* names, size_t size);
inline constexpr const char* capability_xattr = "security.capability";
inline constexpr const char* access_acl_xattr = "system.posix_acl_access";
inline constexpr const char* default_acl_xattr = "system.posix_acl_default";

// Records the access ACL as it is now: a change of mode changes its mask.
Outcome record_access_acl(const Change& change, const ObjectName& object, const ObjectFd& fd);

}  // namespace holdfast::fusefs

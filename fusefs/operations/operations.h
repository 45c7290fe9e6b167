// What the filter does for each request of the protocol. The table says which function serves which opcode; an opcode that
// is not in it is answered ENOSYS, after which the kernel does without (docs/fidelity.md says what that means).
// Thread rule: each function is called by the thread of the request.
#pragma once

#include <fcntl.h>

#include "fusefs/filter/request.h"
#include "fusefs/filter/shared.h"

namespace holdfast::fusefs {

using Handler = Answer (*)(Shared&, Thread&, Request&);

// Null: not offered.
Handler handler_of(uint32_t opcode);

// A request that the kernel sent again, and that the predecessor carried out: its answer.
Answer answer_of_done(Shared& shared, Thread& thread, Request& request, int error);

// What the kernel is told about a file that was opened with FLAGS. Its pages stay, because nobody else changes the tree. And
// closing it sends no FLUSH, one of the seven requests of making a small file, unless the file can have been written
// through a shared mapping, whose pages are to come before the close.
inline uint32_t flags_of_opened(int flags) {
    return FOPEN_KEEP_CACHE | ((flags & O_ACCMODE) == O_RDWR ? 0 : FOPEN_NOFLUSH);
}

// session.cc
Answer initialize(Shared&, Thread&, Request&);
Answer destroy(Shared&, Thread&, Request&);
// queries.cc
Answer lookup(Shared&, Thread&, Request&);
Answer forget(Shared&, Thread&, Request&);
Answer batch_forget(Shared&, Thread&, Request&);
Answer get_attributes(Shared&, Thread&, Request&);
Answer get_statx(Shared&, Thread&, Request&);
Answer read_link(Shared&, Thread&, Request&);
Answer file_system_statistics(Shared&, Thread&, Request&);
// births.cc
Answer create_file(Shared&, Thread&, Request&);
Answer make_directory(Shared&, Thread&, Request&);
Answer make_node(Shared&, Thread&, Request&);
Answer make_symlink(Shared&, Thread&, Request&);
Answer make_nameless(Shared&, Thread&, Request&);
// names.cc
Answer link_object(Shared&, Thread&, Request&);
Answer unlink_object(Shared&, Thread&, Request&);
Answer remove_directory(Shared&, Thread&, Request&);
Answer rename_object(Shared&, Thread&, Request&);
Answer rename_with_flags(Shared&, Thread&, Request&);
// opening.cc
Answer open_file(Shared&, Thread&, Request&);
Answer flush_file(Shared&, Thread&, Request&);
Answer release_file(Shared&, Thread&, Request&);
Answer sync_file(Shared&, Thread&, Request&);
Answer open_directory(Shared&, Thread&, Request&);
Answer release_directory(Shared&, Thread&, Request&);
Answer sync_everything(Shared&, Thread&, Request&);
// data.cc
Answer read_file(Shared&, Thread&, Request&);
Answer write_file(Shared&, Thread&, Request&);
Answer seek(Shared&, Thread&, Request&);
// ranges.cc
Answer allocate(Shared&, Thread&, Request&);
Answer copy_range(Shared&, Thread&, Request&);
Answer copy_range_64(Shared&, Thread&, Request&);
// listing.cc
Answer read_directory(Shared&, Thread&, Request&);
Answer read_directory_plus(Shared&, Thread&, Request&);
// attributes.cc
Answer set_attributes(Shared&, Thread&, Request&);
// xattrs.cc
Answer set_xattr(Shared&, Thread&, Request&);
Answer get_xattr_of(Shared&, Thread&, Request&);
Answer list_xattrs_of(Shared&, Thread&, Request&);
Answer remove_xattr(Shared&, Thread&, Request&);
// ioctls.cc
Answer control(Shared&, Thread&, Request&);

// A whiteout (a character device 0:0) in place of a name that was moved away. REQUIRES: the caller is inside the gate
// and has locked DIRECTORY. Returns 0, an errno, or outcome_parked.
int make_whiteout(Shared& shared, Thread& thread, Request& request, NodeId directory, int directory_fd, const std::string& name);
// For a rename with a whiteout that was carried out but for the whiteout.
Answer finish_whiteout(Shared&, Thread&, Request&);

// For several of the above: the entry NAME of DIRECTORY as an answer to LOOKUP.
Result<fuse_entry_out> entry_at(Shared& shared, int directory_fd, const std::string& name);
// What O_SYNC and fsync promise: both the backing file and its records are durable, and the records are with a replica where
// the volume's durability asks for that. ANSWER when all of it is so, or an error; none when the answer is given later.
enum class Sync { data, file, everything };
Answer sync_both(Shared& shared, const Request& request, int fd, Sync how, const Answer& answer);

}  // namespace holdfast::fusefs

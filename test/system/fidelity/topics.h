// Every topic of the fidelity program. main.cc lists them in the order in which they run.
#pragma once

#include "test/system/fidelity/fidelity.h"

namespace holdfast::fidelity {

extern const Topic path_topic;        // how every call resolves a path
extern const Topic name_topic;        // lengths and bytes of names, deep trees
extern const Topic open_topic;        // flags of open
extern const Topic create_topic;      // mkdir, mknod, mkfifo, symlink, umask, what a new object looks like
extern const Topic link_topic;        // link, unlink, rmdir, link counts
extern const Topic rename_topic;      // rename and its flags
extern const Topic permission_topic;  // who may do what: chmod, chown, access, directories
extern const Topic sticky_topic;      // deleting and renaming in sticky directories
extern const Topic setid_topic;       // set-uid, set-gid and capabilities: inherited, cleared
extern const Topic time_topic;        // which call changes which time; utimensat
extern const Topic acl_topic;         // POSIX ACLs
extern const Topic xattr_topic;       // extended attributes
extern const Topic unlinked_topic;    // open files that lost their name; O_TMPFILE; O_PATH
extern const Topic data_topic;        // reading and writing
extern const Topic truncate_topic;    // truncate and ftruncate
extern const Topic allocate_topic;    // fallocate, holes
extern const Topic copy_topic;        // copy_file_range, sendfile, splice, clone
extern const Topic directory_topic;   // reading directories
extern const Topic lock_topic;        // locks and leases
extern const Topic notify_topic;      // inotify
extern const Topic mapping_topic;     // mmap
extern const Topic special_topic;     // fifos, sockets, devices, programs
extern const Topic query_topic;       // statfs, statx, handles, flags, pathconf
extern const Topic limit_topic;       // largest offsets, RLIMIT_FSIZE
extern const Topic full_topic;        // a full file system; only when asked for
extern const Topic quota_topic;       // a quota that is used up; only when asked for

}  // namespace holdfast::fidelity

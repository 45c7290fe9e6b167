// What all threads of a filter share, and how they get from what the kernel names to descriptors.
// Thread rule: any thread; a Thread by itself alone.
#pragma once

#include <string>

#include "base/buffer.h"
#include "fusefs/filter/attributes.h"
#include "fusefs/filter/caller.h"
#include "fusefs/filter/device.h"
#include "fusefs/filter/directory_cache.h"
#include "fusefs/filter/gate.h"
#include "fusefs/filter/journal_sync.h"
#include "fusefs/filter/object_locks.h"
#include "fusefs/filter/open_files.h"
#include "fusefs/filter/orphans.h"
#include "fusefs/filter/recorder.h"
#include "fusefs/filter/replica_wait.h"
#include "fusefs/filter/times.h"

namespace holdfast::fusefs {

// A thread that carries out requests.
struct Thread {
    size_t place = 0;               // at the gate
    journal::Slot* slot = nullptr;  // null: null filter
    Caller caller;
    DirectoryCache directories;
    Buffer request;  // what was read
    Buffer data;     // what is answered, or read from the backing tree
};

// A descriptor of an object, borrowed or owned.
class ObjectFd {
public:
    explicit ObjectFd(int borrowed) : fd_(borrowed) {}
    explicit ObjectFd(UniqueFd owned) : fd_(owned.get()), is_path_(true), owned_(std::move(owned)) {}
    explicit ObjectFd(OpenFilePointer file) : fd_(file->fd.get()), file_(std::move(file)) {}
    explicit ObjectFd(std::shared_ptr<UniqueFd> orphan) : fd_(orphan->get()), is_path_(true), orphan_(std::move(orphan)) {}

    int get() const { return fd_; }
    bool is_path() const { return is_path_; }  // O_PATH: only good for calls that take such
    // The object as a path; does not depend on where it lies, or whether it has a name.
    std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

private:
    int fd_;
    bool is_path_ = false;
    UniqueFd owned_;
    OpenFilePointer file_;
    std::shared_ptr<UniqueFd> orphan_;
};

class Shared {
public:
    Shared(const Wiring& wiring, NodeIds ids);

    const Wiring wiring;
    const Clock& clock;
    const Device device;
    const NodeIds ids;
    OpenFiles files;
    Orphans orphans;
    ObjectLocks locks;
    Gate gate;
    Recorder recorder;
    Times times;
    JournalSync journal_sync;
    ReplicaWait replica_wait;
    // Grows whenever a default ACL may have changed anywhere.
    std::atomic<uint64_t> default_acl_epoch = 1;
    // The backing mount updates access times.
    bool has_atime = true, has_strict_atime = false, has_directory_atime = true;

    // A descriptor that is good for attributes.
    Result<ObjectFd> object(NodeId node) const;
    // Opens the object for FLAGS, nameless ones too.
    Result<UniqueFd> open(NodeId node, int flags) const;
    // The open file that a request names, made again if a predecessor opened it.
    Result<OpenFilePointer> file(NodeId node, uint64_t handle);
    Result<ObjectName> name(NodeId node, int fd) const;

    // What a predecessor left is noted as changed, once; before flush_times(), and outside the gate where somebody is served.
    void take_over_times();
    // Records the modification time of an object as it is now. False: no space now.
    bool record_times(const ObjectName& object, int fd);
    // All that is idle since BEFORE_NS (monotonic); with OPEN also what is open. From a thread inside the gate or with
    // the gate closed.
    void flush_times(uint64_t before_ns, bool open);
    void note_entries_changed(const ObjectName& directory) {
        if (recorder.has_journal()) times.note(directory, clock.monotonic_ns());
    }
    // The kernel has forgotten NODE: if it was nameless, it has ended. PLACE is the thread's at the gate: which objects have no name does
    // not change while it is closed.
    void forget(NodeId node, size_t place);
    void end(Orphan orphan);
    // Those whose end could not be recorded for want of space.
    void end_the_rest();

private:
    std::once_flag times_taken_over_;
    std::mutex unended_mutex_;
    std::vector<Orphan> unended_;
};

// As a system call's error for an application.
inline int errno_of(const Error& error) {
    return error.sys_errno != 0 ? error.sys_errno : EIO;
}

}  // namespace holdfast::fusefs

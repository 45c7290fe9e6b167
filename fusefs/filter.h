// The filter: the protected directory offered through FUSE, every change recorded.
//
// One Filter serves one mount. Its threads read requests from the FUSE device, carry them out on the backing tree
// with the caller's credentials, and record them (docs/decisions/0002 has the order and the crash scenarios). A null
// filter does the same and records nothing, for measuring.
//
// Resume: a Filter may start on a device that another process served until it died. Node ids stand for inode and
// generation in the backing tree and file handles (fh) say how to open again, so nothing of the old process is needed
// but the in-flight table, and descriptors of open-but-unlinked files, which the keeper holds.
//
// Thread rule: create and run from one thread; run returns when the mount is gone or stop() was called. The other
// methods from any thread while run() runs. No other thread of the process may change users, groups or umask.
// Ownership: borrows everything in Wiring, which must outlive it.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "journal/inflight.h"
#include "journal/volume.h"
#include "journal/writer.h"

namespace holdfast::fusefs {

// Holds descriptors of files that lost their last name while open, beyond the life of this process.
class OrphanKeeper {
public:
    virtual ~OrphanKeeper() = default;
    virtual Status keep(uint64_t inode, int fd) = 0;  // before the last name goes
    virtual void release(uint64_t inode) = 0;
    virtual Result<UniqueFd> fetch(uint64_t inode) = 0;
    // Which inodes are kept: what a successor has to take over.
    virtual std::vector<uint64_t> kept() { return {}; }
};

// One slot of the in-flight table belongs to the thread that looks after what waits.
inline constexpr unsigned filter_serving_threads_max = journal::inflight_slots_max - 1;

struct Wiring {
    int device_fd = -1;        // /dev/fuse, mounted
    int backing_root_fd = -1;  // O_PATH or O_RDONLY directory, opened before the mount covered it
    int backing_view_fd = -1;  // a read-only view of it (base/mount_trees.h), in which the store service is shown what was touched in a gap; -1: gaps last until the next mount
    journal::Writer* writer = nullptr;        // null: null filter
    journal::InflightTable* table = nullptr;  // null: null filter
    OrphanKeeper* keeper = nullptr;           // null: orphans end with the process
    const Clock* clock = nullptr;
    journal::FullPolicy full_policy = journal::FullPolicy::degrade;
    uint32_t degrade_patience_ms = 30'000;  // how long a full journal may stand still before protection ends
    journal::Durability durability = {};
    bool begins_alone = false;  // no replica is anywhere near: a durability that waits begins without one
    uint32_t origin = 1;
    unsigned threads = 8;      // at most filter_serving_threads_max
    std::vector<uint64_t> left_out = {};  // nodes of directories that nobody gets into through the filter
    bool resumed = false;      // the device is already initialized: ask the kernel to send pending requests again
    // What a predecessor changed and may not have recorded the modification times of. Asked once, from any thread, and may take a while.
    std::function<Result<std::vector<journal::ObjectId>>()> changed_before = {};
};

class Healing;

class Filter {
public:
    static Result<std::unique_ptr<Filter>> create(const Wiring& wiring);
    ~Filter();

    // ok: unmounted or stopped. Before it returns, times that are not in the journal yet are recorded, and when the
    // mount is gone, the ends of nameless objects; the journal is not synced.
    Status run();
    void stop();   // from a signal-safe context: only sets a flag and wakes

    // A bookmark as an exact cut: every operation whose answer was given before is below it, none that began after it.
    // Durable on return. Errors: gap (nothing is being recorded), no_space, io.
    // END is the moment: the end of the BOOKMARK's record.
    struct Cut { journal::Lsn end = 0; uint64_t time_ns = 0; };
    Result<Cut> cut(std::string_view bookmark_name);
    // Records the modification times of everything that changed and is not closed or idle yet.
    Status flush_times();

    // What fsync waits for from now on.
    void set_durability(const journal::Durability& durability);

    // After run(): the mount is gone (and not only stop() was called).
    bool unmounted() const;

    // True while operations are not recorded (the journal was full, or is fenced).
    bool in_gap() const;
    struct Gap {
        uint64_t since_ns = 0;        // 0: not known
        uint64_t objects = 0;         // touched since
        bool is_everything = false;   // which is not known: it ends with the next mount
    };
    Gap gap() const;
    // To end a gap that is not everything. REQUIRES: not a null filter; the object ends before this one.
    std::unique_ptr<Healing> heal(const journal::WriterOptions& limits);

private:
    class Impl;
    explicit Filter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::fusefs

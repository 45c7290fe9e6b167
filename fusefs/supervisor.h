// The supervisor: the background half of mount.fuse.holdfast, which lives as long as the mount (docs/processes.md).
//
// It holds what must survive its children: the FUSE device, the descriptor of the backing tree, the descriptors of
// deleted files that are still open, the store's lock. It starts the capture worker and the store service, and starts
// again whichever dies. It handles no request and reads no journal, so there is little in it that could fail.
//
// When something is left out (docs/decisions/0015) it also watches the mount table. A bind that goes while the mount stays is put back: somebody took it away
// by hand, or the kernel dropped it because a lookup of its place failed. Until then nobody gets in there (fusefs/filter/fence.h).
//
// The end of a session is the worker's exit with status 0: it saw the connection end. Polling the device here would
// wake this process for every request.
//
// Thread rule: one thread, one poll. Its children notice its death as the end of file on their sockets.
#pragma once

#include <optional>

#include "base/clock.h"
#include "base/child_process.h"
#include "fusefs/binder.h"
#include "fusefs/foreground.h"
#include "fusefs/keeper.h"
#include "fusefs/mount_options.h"
#include "fusefs/mount_session.h"
#include "fusefs/programs.h"
#include "fusefs/restart_policy.h"

namespace holdfast::fusefs {

// The store service may apply for a while after the mount is gone. Beyond this it is killed; the next start goes on.
inline constexpr int service_finish_seconds_max = 600;
// How long mount(8) waits for the store service to answer. The directory is served meanwhile.
inline constexpr int service_answer_wait_ms = 2000;
// `umount -R` takes the binds away before the mount: so long they may be missing before they are put back.
inline constexpr uint64_t binds_missing_ms = 2000;

class Supervisor {
public:
    Supervisor(MountOptions options, Foreground foreground);
    // The whole life of a mount. Returns the process's exit status.
    int run();

private:
    Status bring_up();
    void open_view();
    Status start_worker();
    // Until a worker serves for the first time. Errors: it cannot, or nobody waits any more.
    Status wait_until_served();
    // Where something is left out: the mount, put together with its binds, takes its place. Errors: those of the binder.
    Status open_door();
    void serve();
    void poll_once(int timeout_ms);
    int timeout_ms() const;

    void on_keeper();
    void on_worker_end();
    void on_service_end();
    void on_signal();
    void on_mounts_changed();
    void on_binder_end();
    Status start_binder(const BinderArguments& arguments);
    BinderArguments binder_arguments() const;
    void put_binds_back();
    // The worker found a journal that has to be compared with the directory before anything else is written to it.
    Status compare_again();
    void give_up(const std::string& why);

    Status start_service();
    void wait_for_service_answer();
    void finish_service();

    MountOptions options_;
    Foreground foreground_;
    std::optional<MountSession> session_;
    Programs programs_;
    UniqueFd signals_;
    KeeperStore kept_;
    UniqueFd view_;                // of the backing tree, in which the worker shows what was touched in a gap; made once, because making one takes milliseconds

    std::optional<ChildProcess> worker_;
    UniqueFd keeper_socket_;       // our end
    bool worker_serves_ = false;   // this worker said that it is ready
    bool session_serves_ = false;  // some worker did
    bool over_ = false;
    uint64_t worker_start_ns_ = 0;     // when to start the next, while there is none
    uint64_t worker_log_start_ = 0;
    WorkerRestarts worker_restarts_;

    std::optional<ChildProcess> service_;
    UniqueFd service_socket_;      // its end of file tells the service to finish
    uint64_t service_started_ns_ = 0;
    uint64_t service_start_ns_ = 0;    // when to start the next, while there is none
    ServiceRestarts service_restarts_;
    std::optional<Error> failure_;     // why the first worker does not serve
    uint64_t session_number_ = 0;

    UniqueFd mount_table_;             // tells of changes; only when something is left out
    std::optional<ChildProcess> binder_;
    bool binder_succeeded_ = false;
    uint64_t binder_log_start_ = 0;
    size_t binds_ = 0;                 // how many there should be
    uint64_t bind_at_ns_ = 0;          // when to put back what is missing; 0: nothing is
};

}  // namespace holdfast::fusefs

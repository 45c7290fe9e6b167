// A capture worker whose every system call can be its last: the real one (fusefs::run_worker) in a child process that is
// traced. One serving thread reads the requests, so the calls of an operation have one order; they are counted from
// arm() on, and at the one that was named the process is killed: before the call is carried out or after it, as SIGKILL
// from outside could. The background threads run on their own and are not counted.
//
// Whoever uses it calls pump() while anything else waits for the mount: it serves the trace and the keeper's socket, and
// starts the next worker when one has died.
// Thread rule: one thread, always the same (ptrace wants it so). Ownership: the workers; all are dead when this is.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "fusefs/keeper.h"
#include "fusefs/worker_arguments.h"

namespace holdfast::test {

class TracedWorker {
public:
    // ARGUMENTS without the keeper's descriptor. What workers say goes to LOG_FD.
    TracedWorker(fusefs::WorkerArguments arguments, int log_fd);
    ~TracedWorker();
    TracedWorker(const TracedWorker&) = delete;
    TracedWorker& operator=(const TracedWorker&) = delete;

    // Serves trace and keeper until IS_DONE says so. Nothing: it is done; otherwise what went wrong.
    std::optional<std::string> pump(const std::function<bool()>& is_done);
    bool is_ready() const { return is_ready_; }
    bool is_over() const { return is_over_; }  // a worker ended in order because the mount is gone

    // Kill at the STOP-th stop from now on: calls have two, one before and one after. 0: never.
    void arm(size_t stop);
    void disarm() { stops_left_ = 0; }
    bool has_killed() const { return has_killed_; }
    // "before system call 18": where the last kill was.
    const std::string& place() const { return place_; }
    // Called at the moment of a kill, with the process stopped.
    std::function<void()> at_kill;
    // What the worker shares with its successor beside files, as a number. A stop is left out when a death there leaves
    // the same world as at the stop before: nothing shared was stored, and no call that changes anything was made.
    std::function<uint64_t()> shared_state;

private:
    void start();
    void take_stops();
    void on_stop(pid_t thread, int status);
    void on_call(pid_t thread);
    void on_end(int status);
    void kill_here(const char* when);

    fusefs::WorkerArguments arguments_;
    const int log_fd_;
    fusefs::KeeperStore kept_;
    UniqueFd children_;  // signalfd of SIGCHLD
    UniqueFd keeper_;
    pid_t process_ = -1;
    pid_t serving_ = -1;  // the thread that reads requests
    long call_ = -1;      // that it is in
    uint64_t state_ = 0;  // shared_state() at the last stop
    bool is_ready_ = false, is_over_ = false;
    bool has_killed_ = false;
    size_t stops_left_ = 0;
    std::string place_;
    std::optional<std::string> failure_;
};

}  // namespace holdfast::test

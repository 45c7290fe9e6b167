// A program that a service runs: started with exactly the descriptors it is given, watched through a descriptor
// of its own (pidfd), ended by its id.
//
// Thread rule: one thread. Ownership: the process. The destructor kills and reaps one that still runs, so that nothing
// of ours outlives whoever started it by accident.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast {

// Executed by descriptor, which a script does not survive: then it must be a binary. Without one it is executed by its path.
struct Program {
    std::string path;  // where it was found: what `ps` shows
    UniqueFd file;
};

struct ChildStart {
    const Program& program;
    std::vector<std::string> arguments;  // without the program
    int log_fd = -1;                     // becomes standard error, and standard output unless output_fd is set
    int output_fd = -1;
    std::vector<int> inherited;          // keep their numbers; every other descriptor must close on exec
    int input_fd = -1;                   // becomes standard input; else that is /dev/null
    bool ends_with_parent = false;       // SIGKILL when the starting process is gone
    bool leads_group = false;            // of processes, which terminate() and kill() reach as a whole
};

struct ProcessEnd {
    bool by_signal = false;  // STATUS is the signal's number
    int status = 0;
};
// "ended with status 3", "was killed by signal 9"
std::string describe(const ProcessEnd& end);

class ChildProcess {
public:
    static Result<ChildProcess> start(const ChildStart& how);
    ChildProcess(ChildProcess&& other) noexcept;
    ChildProcess& operator=(ChildProcess&& other) noexcept;
    ~ChildProcess();

    pid_t pid() const { return pid_; }
    // Readable once the process has ended.
    int pidfd() const { return pidfd_.get(); }

    // True once it has ended; waits at most TIMEOUT_MS (-1: for ever).
    bool wait(int timeout_ms);
    // REQUIRES: wait() was true.
    bool exited_with(int status) const { return !signal_ && status_ == status; }
    int exit_status() const { return signal_ ? -1 : status_; }  // -1: a signal ended it
    ProcessEnd end() const { return {signal_, status_}; }
    std::string describe_end() const;

    void terminate();
    void kill();

private:
    ChildProcess(pid_t pid, UniqueFd pidfd, bool leads_group) : pid_(pid), leads_group_(leads_group), pidfd_(std::move(pidfd)) {}
    void signal_all(int number);
    void end_and_reap();

    pid_t pid_ = -1;
    bool leads_group_ = false;
    UniqueFd pidfd_;
    bool ended_ = false;
    bool signal_ = false;  // status_ is a signal's number
    int status_ = 0;
};

}  // namespace holdfast

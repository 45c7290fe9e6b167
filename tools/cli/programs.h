// Other programs: finding ours, starting them, waiting for them with a bound.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/program.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::cli {

using holdfast::ProgramPlace;
using holdfast::find_program;
inline constexpr ProgramPlace mount_program{"HOLDFAST_MOUNT_BIN", "../sbin/mount.fuse.holdfast", "mount.fuse.holdfast",
                                            "../fusefs/mount.fuse.holdfast"};

// A child that this object owns: what it says is kept for reading after it ended. The destructor asks it to end
// (SIGTERM), waits stop_timeout_ms and then kills it; detach() lets it live on.
inline constexpr int stop_timeout_ms = 30'000;

class Child {
public:
    enum class Lifetime {
        ours,   // also ends when this process does
        own,    // a service: a session of its own, survives this process
        group,  // a process group of its own, so that kill_group() reaches its children too
    };
    // Standard input is /dev/null. Standard output and standard error are appended to LOG_PATH, or kept in memory when
    // there is none; with INHERIT_ERRORS standard error stays ours, so that a child may show progress on the terminal.
    struct Options {
        Lifetime lifetime = Lifetime::ours;
        std::string log_path;
        bool inherit_errors = false;
        std::vector<std::string> environment;  // "NAME=value", in addition to ours
    };
    static Result<Child> start(const std::vector<std::string>& arguments, const Options& options);
    Child(Child&& other) noexcept;
    Child& operator=(Child&&) = delete;
    ~Child();

    pid_t pid() const { return pid_; }
    // True once the child has ended; waits at most TIMEOUT_MS.
    bool wait(int timeout_ms);
    int exit_status() const { return status_; }  // 0..255, or 128 + signal; REQUIRES: wait() was true
    void terminate();
    void kill_group();
    pid_t detach();
    std::string error_text() const;       // what was kept or logged of it, at most error_text_bytes_max from the end
    std::string last_error_line() const;  // without the program's own name in front

private:
    Child(pid_t pid, UniqueFd errors) : pid_(pid), errors_(std::move(errors)) {}
    pid_t pid_ = -1;
    bool ended_ = false;
    int status_ = -1;
    UniqueFd errors_;
};
inline constexpr size_t error_text_bytes_max = 64 << 10;

// Runs COMMAND with /bin/sh. Errors: unavailable when it takes longer than TIMEOUT_MS (it and its children are killed),
// invalid_argument when it ends with another status than 0.
Status run_hook(std::string_view what, const std::string& command, int timeout_ms);

}  // namespace holdfast::cli

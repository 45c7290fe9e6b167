// The frame of the fidelity program: cases that perform system calls in a directory of their own and print what they
// saw, one observation a line, in a form that two file systems of the same type must agree on. Inode numbers and
// absolute times never appear, only relations (same, changed, older). The driver runs the program on the bare
// directory and on the filtered one and compares the outputs; see test/system/fidelity.sh.
//
// A case runs in a process of its own, in a fresh directory, as root with umask 022. What it leaves behind stays,
// because the trees are compared afterwards.
//
// Thread rule: everything is called from the case's one thread, unless it says otherwise.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "base/unique_fd.h"

namespace holdfast::fidelity {

struct Case {
    const char* name;
    void (*run)();
};

struct Topic {
    const char* name;
    std::span<const Case> cases;
};

// How long one case may take before it counts as hanging.
constexpr unsigned case_seconds_max = 60;

// Runs the chosen cases (NAME is "topic", "topic/case" or empty for all) below the working directory.
// Returns the number of cases that ran.
long run_topics(std::span<const Topic* const> topics, const std::string& chosen);

// ---- Observations -------------------------------------------------------------------------------------------------

// Prints one line: topic/case: [actor] LABEL = VALUE.
void say(std::string_view label, std::string_view value);
void say(std::string_view label, long long value);

// "ENOENT"; unknown numbers as "errno 12345".
std::string errno_name(int number);

// The outcome of a system call: the error's name, or the number returned.
template <typename T>
T see(std::string_view label, T value) {
    const int saved = errno;
    if constexpr (std::is_pointer_v<T>) {
        say(label, value == reinterpret_cast<T>(-1) || value == nullptr ? errno_name(saved) : "ok");
    } else {
        if (value == static_cast<T>(-1)) {
            say(label, errno_name(saved));
        } else {
            say(label, static_cast<long long>(value));
        }
    }
    errno = saved;
    return value;
}
// The outcome of a call that returns a descriptor: "ok" or the error.
UniqueFd see_fd(std::string_view label, int fd);

// The expression is its own label.
#define SEE(...) ::holdfast::fidelity::see(#__VA_ARGS__, (errno = 0, (__VA_ARGS__)))
#define SEE_FD(...) ::holdfast::fidelity::see_fd(#__VA_ARGS__, (errno = 0, (__VA_ARGS__)))
// For tables: the label is text made at run time.
#define SEE_AS(label, ...) ::holdfast::fidelity::see(label, (errno = 0, (__VA_ARGS__)))
#define SEE_FD_AS(label, ...) ::holdfast::fidelity::see_fd(label, (errno = 0, (__VA_ARGS__)))

// Type, mode, owner, group, links and size of PATH (not followed), without what differs from run to run.
void see_stat(const std::string& path);
void see_fstat(std::string_view label, int fd);
// Only the mode bits: the line most cases are about.
void see_mode(const std::string& path);
// The bytes of a file as runs: "a*3 b*1 \0*4096"; at most 40 runs.
void see_bytes(const std::string& path);
std::string describe_bytes(std::span<const char> bytes);
// The names in a directory, sorted and escaped.
void see_names(const std::string& directory);

// ---- Times --------------------------------------------------------------------------------------------------------

// Waits until a change made now gets a later time stamp than one made before the call.
void tick();
// Sets the access and modification time of PATH (not followed) to fixed past values, waits a tick, performs ACTION
// and prints for each watched path which of its times changed.
void see_times(std::string_view label, std::initializer_list<std::string> paths, const std::function<void()>& action);
#define SEE_TIMES(paths, ...) ::holdfast::fidelity::see_times(#__VA_ARGS__, paths, [&] { __VA_ARGS__; })
// Commas in braces would split a macro's argument.
#define PATHS(...) {__VA_ARGS__}

// ---- Users --------------------------------------------------------------------------------------------------------

struct User {
    const char* name;
    uid_t uid;
    gid_t gid;
    gid_t extra_group;  // 0: none
};
// Numbers without names in any passwd file. Alice and carol share a supplementary group.
inline constexpr gid_t shared_group = 70100;
inline constexpr User alice{"alice", 70001, 70001, shared_group};
inline constexpr User bob{"bob", 70002, 70002, 0};
inline constexpr User carol{"carol", 70003, 70003, shared_group};

// Runs ACTION in a child process with the user's identity and no capabilities; lines are marked with the name.
void as(const User& user, const std::function<void()>& action);
// Runs ACTION in a child process with the present identity. Returns its wait status.
int in_child(const std::function<void()>& action);
// The same, without waiting.
pid_t spawn(const std::function<void()>& action);
int wait_for(pid_t pid);
// "exit 0", "signal SIGBUS"
std::string describe_status(int status);

// ---- Shorthand ----------------------------------------------------------------------------------------------------

// These set a case up; a failure is printed, so that it cannot hide.
void make_file(const std::string& path, mode_t mode = 0644, std::string_view contents = "");
void make_directory(const std::string& path, mode_t mode = 0755);
void give(const std::string& path, uid_t uid, gid_t gid);
UniqueFd open_file(const std::string& path, int flags = O_RDWR, mode_t mode = 0644);
std::string printf_string(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace holdfast::fidelity

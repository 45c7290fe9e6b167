#include <dirent.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "test/system/fidelity/fidelity.h"

namespace holdfast::fidelity {

namespace {

std::string current_case;
std::string current_actor;

[[noreturn]] void give_up(const char* what) {
    perror(what);
    _exit(2);
}

void write_line(const std::string& line) {
    // One write per line keeps the lines of several processes whole.
    if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) give_up("write");
}

void become(const User& user) {
    const gid_t groups[] = {user.extra_group};
    if (::setgroups(user.extra_group != 0 ? 1 : 0, groups) != 0) give_up("setgroups");
    if (::setresgid(user.gid, user.gid, user.gid) != 0) give_up("setresgid");
    if (::setresuid(user.uid, user.uid, user.uid) != 0) give_up("setresuid");
    // Changing identity clears the dumpable flag, and with it the access to our own /proc/self/fd.
    ::prctl(PR_SET_DUMPABLE, 1);
    current_actor = std::string("[") + user.name + "] ";
}

[[noreturn]] void run_in_this_process(const Case& chosen) {
    ::umask(022);
    ::signal(SIGPIPE, SIG_IGN);
    ::alarm(case_seconds_max);
    chosen.run();
    _exit(0);
}

void run_case(const Topic& topic, const Case& chosen) {
    current_case = std::string(topic.name) + "/" + chosen.name;
    const std::string directory = std::string(topic.name) + "." + chosen.name;
    if (::mkdir(directory.c_str(), 0777) != 0 || ::chmod(directory.c_str(), 0777) != 0) give_up(directory.c_str());
    const pid_t pid = ::fork();
    if (pid < 0) give_up("fork");
    if (pid == 0) {
        // A group of its own, so that whatever a hanging case has started can be ended with it.
        ::setpgid(0, 0);
        if (::chdir(directory.c_str()) != 0) give_up(directory.c_str());
        run_in_this_process(chosen);
    }
    const int status = wait_for(pid);
    ::kill(-pid, SIGKILL);
    if (status != 0) say("the case ended with", describe_status(status));
}

}  // namespace

long run_topics(std::span<const Topic* const> topics, const std::string& chosen) {
    long count = 0;
    for (const Topic* topic : topics) {
        for (const Case& one : topic->cases) {
            const std::string name = std::string(topic->name) + "/" + one.name;
            if (chosen.empty() || chosen == topic->name || chosen == name) {
                run_case(*topic, one);
                ++count;
            }
        }
    }
    return count;
}

void say(std::string_view label, std::string_view value) {
    write_line(current_case + ": " + current_actor + std::string(label) + " = " + std::string(value) + "\n");
}

void say(std::string_view label, long long value) { say(label, std::to_string(value)); }

std::string errno_name(int number) {
    const char* name = ::strerrorname_np(number);
    return name != nullptr ? name : "errno " + std::to_string(number);
}

UniqueFd see_fd(std::string_view label, int fd) {
    const int saved = errno;
    say(label, fd < 0 ? errno_name(saved) : "ok");
    errno = saved;
    return UniqueFd(fd);
}

pid_t spawn(const std::function<void()>& action) {
    const pid_t pid = ::fork();
    if (pid < 0) give_up("fork");
    if (pid == 0) {
        ::alarm(case_seconds_max);
        action();
        _exit(0);
    }
    return pid;
}

int wait_for(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) give_up("waitpid");
    }
    return status;
}

int in_child(const std::function<void()>& action) { return wait_for(spawn(action)); }

void as(const User& user, const std::function<void()>& action) {
    const int status = in_child([&] {
        become(user);
        action();
    });
    if (status != 0) say(std::string("child of ") + user.name + " ended with", describe_status(status));
}

std::string describe_status(int status) {
    if (WIFEXITED(status)) return "exit " + std::to_string(WEXITSTATUS(status));
    if (WIFSIGNALED(status)) return std::string("signal SIG") + ::sigabbrev_np(WTERMSIG(status));
    return "status " + std::to_string(status);
}

std::string printf_string(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char* text = nullptr;
    const int length = ::vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0) give_up("vasprintf");
    std::string result(text, static_cast<size_t>(length));
    ::free(text);
    return result;
}

}  // namespace holdfast::fidelity

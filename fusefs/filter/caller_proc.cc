#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string>

#include "base/unique_fd.h"
#include "fusefs/filter/caller.h"

namespace holdfast::fusefs {
namespace {

// Empty: no such process to be seen.
std::string read_proc(uint32_t pid, const char* file) {
    std::string text;
    if (pid == 0) return text;  // of another pid namespace
    const UniqueFd fd(::open(("/proc/" + std::to_string(pid) + "/" + file).c_str(), O_RDONLY | O_CLOEXEC));
    char buffer[4096];
    while (fd) {
        const ssize_t size = ::read(fd.get(), buffer, sizeof buffer);
        if (size <= 0) break;
        text.append(buffer, static_cast<size_t>(size));
    }
    return text;
}

// The hexadecimal number behind LABEL in /proc/PID/status.
uint64_t mask_in(const std::string& status, const char* label) {
    const size_t at = status.find(label);
    return at == status.npos ? 0 : std::strtoull(status.c_str() + at + std::char_traits<char>::length(label), nullptr, 16);
}

constexpr long chown_calls[] = {
    SYS_fchown,
    SYS_fchownat,
#ifdef SYS_chown
    SYS_chown,
    SYS_lchown,
#endif
};

}  // namespace

bool has_capability(uint32_t pid, uint32_t uid, int capability) {
    const std::string status = read_proc(pid, "status");
    return status.empty() ? uid == 0 : mask_in(status, "\nCapEff:") >> capability & 1;
}

bool is_in_chown(uint32_t pid) {
    const std::string call = read_proc(pid, "syscall");
    if (call.empty() || call[0] < '0' || call[0] > '9') return false;
    return std::find(std::begin(chown_calls), std::end(chown_calls), std::atol(call.c_str())) != std::end(chown_calls);
}

bool is_being_killed(uint32_t pid) {
    const std::string status = read_proc(pid, "status");
    return (mask_in(status, "\nSigPnd:") | mask_in(status, "\nShdPnd:")) >> (SIGKILL - 1) & 1;
}

bool is_in_group(uint32_t pid, uint32_t group) {
    const std::string status = read_proc(pid, "status");
    const std::string_view label = "\nGroups:";
    const size_t at = status.find(label);
    if (at == status.npos) return false;
    const char* position = status.c_str() + at + label.size();
    while (*position == '\t' || *position == ' ') {
        char* end = nullptr;
        const unsigned long number = std::strtoul(position, &end, 10);
        if (end == position) break;
        if (number == group) return true;
        position = end;
    }
    return false;
}

}  // namespace holdfast::fusefs

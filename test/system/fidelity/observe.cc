// What a case can look at: attributes, bytes, names, and which times an action changed.
#include <dirent.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "test/system/fidelity/fidelity.h"

namespace holdfast::fidelity {

namespace {

constexpr size_t runs_max = 40;

const char* type_name(mode_t mode) {
    switch (mode & S_IFMT) {
        case S_IFREG: return "file";
        case S_IFDIR: return "dir";
        case S_IFLNK: return "symlink";
        case S_IFIFO: return "fifo";
        case S_IFSOCK: return "socket";
        case S_IFCHR: return "char";
        case S_IFBLK: return "block";
        default: return "unknown";
    }
}

std::string describe(const struct stat& st) {
    std::string text = printf_string("%s mode=%04o uid=%u gid=%u nlink=%lu", type_name(st.st_mode), st.st_mode & 07777,
                                     st.st_uid, st.st_gid, static_cast<unsigned long>(st.st_nlink));
    if (!S_ISDIR(st.st_mode)) text += printf_string(" size=%lld", static_cast<long long>(st.st_size));
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
        text += printf_string(" rdev=%u:%u", major(st.st_rdev), minor(st.st_rdev));
    }
    return text;
}

std::string escape_byte(unsigned char byte) {
    if (byte == 0) return "\\0";
    if (byte > ' ' && byte < 0x7f && byte != '\\' && byte != '*') return std::string(1, static_cast<char>(byte));
    return printf_string("\\x%02x", byte);
}

std::string escape(std::string_view text) {
    std::string result;
    for (const char c : text) result += escape_byte(static_cast<unsigned char>(c));
    return result;
}

bool same_time(const struct timespec& a, const struct timespec& b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool stat_of(const std::string& path, struct stat* st) {
    return ::fstatat(AT_FDCWD, path.c_str(), st, AT_SYMLINK_NOFOLLOW) == 0;
}

constexpr struct timespec past_access{1'000'000'000, 123456789};
constexpr struct timespec past_modification{1'100'000'000, 987654321};

std::string relation(const struct stat& before, const struct stat& after) {
    const bool atime = !same_time(before.st_atim, after.st_atim);
    const bool mtime = !same_time(before.st_mtim, after.st_mtim);
    const bool ctime = !same_time(before.st_ctim, after.st_ctim);
    std::string text;
    if (atime) text += "atime ";
    if (mtime) text += "mtime ";
    if (ctime) text += "ctime ";
    if (text.empty()) return "nothing changed";
    text += "changed";
    if (mtime && ctime) text += same_time(after.st_mtim, after.st_ctim) ? ", mtime == ctime" : ", mtime != ctime";
    return text;
}

}  // namespace

void see_stat(const std::string& path) {
    struct stat st;
    say("stat " + escape(path), stat_of(path, &st) ? describe(st) : errno_name(errno));
}

void see_fstat(std::string_view label, int fd) {
    struct stat st;
    say(std::string("fstat ") + std::string(label), ::fstat(fd, &st) == 0 ? describe(st) : errno_name(errno));
}

void see_mode(const std::string& path) {
    struct stat st;
    say("mode " + escape(path), stat_of(path, &st) ? printf_string("%04o", st.st_mode & 07777) : errno_name(errno));
}

std::string describe_bytes(std::span<const char> bytes) {
    std::string text;
    size_t runs = 0;
    for (size_t i = 0; i < bytes.size();) {
        size_t end = i;
        while (end < bytes.size() && bytes[end] == bytes[i]) ++end;
        if (++runs > runs_max) return text + "...";
        text += escape_byte(static_cast<unsigned char>(bytes[i]));
        if (end - i > 1) text += printf_string("*%zu", end - i);
        text += ' ';
        i = end;
    }
    return text.empty() ? "(empty)" : text;
}

void see_bytes(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return say("bytes " + escape(path), errno_name(errno));
    std::vector<char> bytes;
    char buffer[65536];
    for (;;) {
        const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
        if (count < 0) return say("bytes " + escape(path), errno_name(errno));
        if (count == 0) break;
        bytes.insert(bytes.end(), buffer, buffer + count);
    }
    say("bytes " + escape(path), printf_string("%zu: ", bytes.size()) + describe_bytes(bytes));
}

void see_names(const std::string& directory) {
    DIR* dir = ::opendir(directory.c_str());
    if (dir == nullptr) return say("names " + escape(directory), errno_name(errno));
    std::vector<std::string> names;
    while (const struct dirent* entry = ::readdir(dir)) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.push_back(printf_string("%s(%d)", escape(name).c_str(), entry->d_type));
    }
    ::closedir(dir);
    std::sort(names.begin(), names.end());
    std::string text;
    for (const std::string& name : names) text += name + " ";
    say("names " + escape(directory), text.empty() ? "(none)" : text);
}

void tick() {
    // File systems stamp with the coarse clock; it has moved when its value has. Twice, because a reader of the
    // first new value may still share it with a writer.
    struct timespec start;
    ::clock_gettime(CLOCK_REALTIME_COARSE, &start);
    for (int i = 0; i < 2; ++i) {
        struct timespec now = start;
        while (same_time(now, start)) {
            const struct timespec pause{0, 500'000};
            ::nanosleep(&pause, nullptr);
            ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
        }
        start = now;
    }
}

void see_times(std::string_view label, std::initializer_list<std::string> paths, const std::function<void()>& action) {
    const std::vector<std::string> watched(paths);
    std::vector<struct stat> before(watched.size());
    for (const std::string& path : watched) {
        const struct timespec past[2] = {past_access, past_modification};
        if (::utimensat(AT_FDCWD, path.c_str(), past, AT_SYMLINK_NOFOLLOW) != 0) say("utimensat " + path, errno_name(errno));
    }
    tick();
    for (size_t i = 0; i < watched.size(); ++i) stat_of(watched[i], &before[i]);
    action();
    for (size_t i = 0; i < watched.size(); ++i) {
        struct stat after;
        const std::string line = std::string(label) + " on " + escape(watched[i]);
        say(line, stat_of(watched[i], &after) ? relation(before[i], after) : errno_name(errno));
    }
}

void make_file(const std::string& path, mode_t mode, std::string_view contents) {
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd) return say("make_file " + escape(path), errno_name(errno));
    if (::write(fd.get(), contents.data(), contents.size()) != static_cast<ssize_t>(contents.size())) {
        say("make_file write " + escape(path), errno_name(errno));
    }
    if (::fchmod(fd.get(), mode) != 0) say("make_file chmod " + escape(path), errno_name(errno));
}

void make_directory(const std::string& path, mode_t mode) {
    if (::mkdir(path.c_str(), mode) != 0 || ::chmod(path.c_str(), mode) != 0) {
        say("make_directory " + escape(path), errno_name(errno));
    }
}

void give(const std::string& path, uid_t uid, gid_t gid) {
    if (::lchown(path.c_str(), uid, gid) != 0) say("give " + escape(path), errno_name(errno));
}

UniqueFd open_file(const std::string& path, int flags, mode_t mode) {
    UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
    if (!fd) say("open_file " + escape(path), errno_name(errno));
    return fd;
}

}  // namespace holdfast::fidelity

#include "test/rewind/random_tree.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>

#include "base/unique_fd.h"

namespace holdfast::test {

namespace {

namespace fs = std::filesystem;
constexpr const char* names[] = {"a", "b", "c", "d", "e", "f", "\xff odd\n", "long-name-with-some-length"};

}  // namespace

std::vector<std::string> RandomTree::paths() const {
    std::vector<std::string> found;
    std::error_code ignored;
    for (const auto& entry : fs::recursive_directory_iterator(directory_, ignored)) found.push_back(entry.path().string());
    std::sort(found.begin(), found.end());
    return found;
}

std::string RandomTree::some_path() {
    const auto all = paths();
    return all.empty() ? std::string() : all[dice(static_cast<uint32_t>(all.size()))];
}

std::string RandomTree::some_directory() {
    std::vector<std::string> directories{directory_};
    for (const auto& path : paths())
        if (fs::is_directory(fs::symlink_status(path))) directories.push_back(path);
    return directories[dice(static_cast<uint32_t>(directories.size()))];
}

std::string RandomTree::some_new_path() {
    return some_directory() + "/" + names[dice(std::size(names))];
}

std::string RandomTree::some_file() {
    std::vector<std::string> files;
    for (const auto& path : paths())
        if (fs::is_regular_file(fs::symlink_status(path))) files.push_back(path);
    return files.empty() ? std::string() : files[dice(static_cast<uint32_t>(files.size()))];
}

void RandomTree::change(size_t count) {
    for (size_t i = 0; i < count; ++i) change_once();
}

void RandomTree::change_once() {
    switch (dice(14)) {
        case 0:
        case 1:
        case 2: return make(dice(6));
        case 3:
        case 4: return write();
        case 5: return shape();
        case 6: return attributes();
        case 7:
        case 8:
        case 9: return rename();
        case 10: {
            const auto path = some_path();
            if (!path.empty()) (void)link(path.c_str(), some_new_path().c_str());
            return;
        }
        case 11: {
            const auto path = some_path();
            if (!path.empty()) (void)unlink(path.c_str());
            return;
        }
        case 12: {
            // Now and then a whole subtree.
            const auto path = some_path();
            std::error_code ignored;
            if (!path.empty() && dice(3) == 0) fs::remove_all(path, ignored);
            return;
        }
        default: {
            const auto path = some_path();
            if (!path.empty()) (void)rmdir(path.c_str());
            return;
        }
    }
}

void RandomTree::make(uint32_t kind) {
    const std::string path = some_new_path();
    switch (kind) {
        case 0: (void)mkdir(path.c_str(), 0700 + dice(64)); break;
        case 1: (void)symlink("nowhere/else", path.c_str()); break;
        case 2: (void)mkfifo(path.c_str(), 0640); break;
        case 3: (void)mknod(path.c_str(), S_IFCHR | 0600, makedev(1, 3 + dice(3))); break;
        default: UniqueFd(open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600 + dice(64)));
    }
}

void RandomTree::write() {
    const auto path = some_file();
    if (path.empty()) return;
    const UniqueFd fd(open(path.c_str(), O_WRONLY));
    std::string bytes(1 + dice(30'000), '\0');
    for (char& byte : bytes) byte = static_cast<char>('a' + dice(26));
    (void)!pwrite(fd.get(), bytes.data(), bytes.size(), dice(100'000));
}

void RandomTree::shape() {
    const auto path = some_file();
    if (path.empty()) return;
    const UniqueFd fd(open(path.c_str(), O_WRONLY));
    switch (dice(3)) {
        case 0: (void)!ftruncate(fd.get(), dice(120'000)); break;
        case 1: (void)!ftruncate(fd.get(), 0); break;
        default: (void)fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, dice(60'000), 1 + dice(60'000));
    }
}

void RandomTree::attributes() {
    const auto path = some_path();
    if (path.empty()) return;
    switch (dice(6)) {
        case 0:
            if (!fs::is_symlink(fs::symlink_status(path))) (void)chmod(path.c_str(), dice(07777));
            break;
        case 1: (void)!lchown(path.c_str(), dice(3), dice(3)); break;
        case 2: {
            const timespec times[2] = {{1'000'000'000 + dice(1000), 5}, {1'100'000'000 + dice(1000), dice(1'000'000'000)}};
            (void)utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
            break;
        }
        case 3: (void)lremovexattr(path.c_str(), "trusted.one"); break;
        default: {
            const std::string value(dice(40), static_cast<char>('a' + dice(26)));
            (void)lsetxattr(path.c_str(), dice(2) ? "trusted.one" : "trusted.two", value.data(), value.size(), 0);
        }
    }
}

void RandomTree::rename() {
    const auto from = some_path();
    if (from.empty()) return;
    const bool exchange = dice(4) == 0;
    const auto to = exchange || dice(3) == 0 ? some_path() : some_new_path();
    (void)renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), exchange ? RENAME_EXCHANGE : 0);
}

uint64_t tree_seed() {
    static const uint64_t seed = [] {
        const char* text = getenv("HOLDFAST_TEST_SEED");
        const uint64_t chosen = text ? strtoull(text, nullptr, 10) : static_cast<uint64_t>(time(nullptr));
        printf("HOLDFAST_TEST_SEED=%lu\n", chosen);
        return chosen;
    }();
    return seed;
}

}  // namespace holdfast::test

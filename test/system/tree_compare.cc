// tree_compare A B [--ignore-holes] [--ignore-times]: whether two trees are equal in everything that a file system
// keeps and a program can set: names, types, bytes, holes, modes, owners, modification times, extended attributes (ACLs
// are such), symbolic links, device numbers, and which names share an object. The product's own attributes
// (trusted.holdfast.*) do not count.
//
// A sentence per difference on standard output, at most differences_told_max of them; exit status 0: equal, 1: not,
// 2: a tree could not be read.
#include <dirent.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/text.h"
#include "base/unique_fd.h"

using holdfast::quoted;
using holdfast::UniqueFd;

namespace {

constexpr size_t differences_told_max = 40;
constexpr off_t block = 4096;
constexpr const char* own_attributes = "trusted.holdfast.";

[[noreturn]] void give_up(const std::string& what) {
    std::fprintf(stderr, "tree_compare: %s: %s\n", what.c_str(), std::strerror(errno));
    std::exit(2);
}

// An object: a name in a directory that is held open, because paths may be longer than a system call takes.
struct Place {
    int directory = AT_FDCWD;
    std::string name;

    std::string path() const { return directory == AT_FDCWD ? name : "/proc/self/fd/" + std::to_string(directory) + "/" + name; }
};

struct Side {
    // Object to the first path that led to it: two trees agree on hard links when they agree on that path.
    std::map<std::pair<dev_t, ino_t>, std::string> first_path;
};

std::vector<std::string> names_in(int directory, const std::string& path) {
    std::vector<std::string> names;
    DIR* listing = ::fdopendir(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!listing) give_up(path);
    errno = 0;
    while (const dirent* entry = ::readdir(listing)) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(name);
        errno = 0;
    }
    if (errno != 0) give_up(path);
    ::closedir(listing);
    std::sort(names.begin(), names.end());
    return names;
}

std::map<std::string, std::string> xattrs_of(const Place& place) {
    const std::string path = place.path();
    std::map<std::string, std::string> found;
    std::string names(65536, '\0'), value(65536, '\0');
    const ssize_t size = ::llistxattr(path.c_str(), names.data(), names.size());
    if (size < 0 && errno != EOPNOTSUPP) give_up(path);
    for (ssize_t at = 0; at < size; at += static_cast<ssize_t>(std::strlen(names.c_str() + at)) + 1) {
        const std::string name = names.c_str() + at;
        if (name.rfind(own_attributes, 0) == 0) continue;
        const ssize_t length = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
        if (length < 0) give_up(path + ": " + name);
        found[name] = value.substr(0, static_cast<size_t>(length));
    }
    return found;
}

using Ranges = std::vector<std::pair<off_t, off_t>>;

// The parts of FD that hold data, in whole blocks. From its map of extents and not from SEEK_DATA, which calls blocks that
// are allocated and were never written data as long as their zeros are in the page cache.
Ranges data_of(int fd, off_t size, const std::string& name) {
    constexpr uint32_t extents_at_once = 256;
    std::vector<uint64_t> memory((sizeof(fiemap) + extents_at_once * sizeof(fiemap_extent)) / sizeof(uint64_t));
    auto* map = reinterpret_cast<fiemap*>(memory.data());
    Ranges found;
    for (off_t at = 0; at < size;) {
        *map = {};
        map->fm_start = static_cast<uint64_t>(at);
        map->fm_length = static_cast<uint64_t>(size - at);
        map->fm_flags = FIEMAP_FLAG_SYNC;
        map->fm_extent_count = extents_at_once;
        if (::ioctl(fd, FS_IOC_FIEMAP, map) != 0) give_up(name + ": extents");
        if (map->fm_mapped_extents == 0) break;
        for (uint32_t i = 0; i < map->fm_mapped_extents; ++i) {
            const fiemap_extent& extent = map->fm_extents[i];
            const off_t begin = static_cast<off_t>(extent.fe_logical), end = begin + static_cast<off_t>(extent.fe_length);
            at = end;
            if (extent.fe_flags & FIEMAP_EXTENT_UNWRITTEN || begin >= size) continue;
            const off_t from = begin / block * block, to = (std::min(end, size) + block - 1) / block * block;
            if (!found.empty() && from <= found.back().second) found.back().second = to;
            else found.emplace_back(from, to);
        }
    }
    return found;
}

std::string target_of(const Place& place) {
    std::string target(65536, '\0');
    const ssize_t length = ::readlinkat(place.directory, place.name.c_str(), target.data(), target.size());
    if (length < 0) give_up(place.path());
    target.resize(static_cast<size_t>(length));
    return target;
}

class Comparison {
public:
    Comparison(bool holes, bool times) : holes_(holes), times_(times) {}

    size_t run(const std::string& a, const std::string& b) {
        object("", {AT_FDCWD, a}, {AT_FDCWD, b});
        std::printf("%zu objects, %zu differences\n", objects_, differences_);
        return differences_;
    }

private:
    void tell(const std::string& below, const std::string& what) {
        if (++differences_ <= differences_told_max) std::printf("%s: %s\n", below.empty() ? "." : quoted(below).c_str(), what.c_str());
    }
    void number(const std::string& below, const char* what, unsigned long long a, unsigned long long b, const char* format = "%llu") {
        if (a == b) return;
        char text[2][64];
        std::snprintf(text[0], sizeof text[0], format, a);
        std::snprintf(text[1], sizeof text[1], format, b);
        tell(below, std::string(what) + " " + text[0] + " and " + text[1]);
    }

    void object(const std::string& below, const Place& place_a, const Place& place_b) {
        struct stat a {}, b {};
        for (auto [place, info] : {std::pair(&place_a, &a), std::pair(&place_b, &b)})
            if (::fstatat(place->directory, place->name.c_str(), info, AT_SYMLINK_NOFOLLOW) != 0) give_up(below);
        ++objects_;
        if ((a.st_mode & S_IFMT) != (b.st_mode & S_IFMT)) return tell(below, "is not of the same type");
        number(below, "mode", a.st_mode & 07777, b.st_mode & 07777, "%llo");
        number(below, "owner", a.st_uid, b.st_uid);
        number(below, "group", a.st_gid, b.st_gid);
        if (!S_ISDIR(a.st_mode)) number(below, "links", a.st_nlink, b.st_nlink);
        const bool same_time = a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
        if (times_ && !same_time)
            tell(below, "modified at " + std::to_string(a.st_mtim.tv_sec) + "." + std::to_string(a.st_mtim.tv_nsec) + " and " +
                            std::to_string(b.st_mtim.tv_sec) + "." + std::to_string(b.st_mtim.tv_nsec));
        attributes(below, xattrs_of(place_a), xattrs_of(place_b));
        if (S_ISCHR(a.st_mode) || S_ISBLK(a.st_mode)) number(below, "device", a.st_rdev, b.st_rdev);
        if (S_ISLNK(a.st_mode) && target_of(place_a) != target_of(place_b)) tell(below, "does not lead to the same place");
        if (S_ISDIR(a.st_mode)) return directory(below, place_a, place_b);
        const std::string first_a = a_.first_path.emplace(std::pair(a.st_dev, a.st_ino), below).first->second;
        const std::string first_b = b_.first_path.emplace(std::pair(b.st_dev, b.st_ino), below).first->second;
        if (first_a != first_b) return tell(below, "is the same object as " + quoted(first_a) + " and as " + quoted(first_b));
        if (S_ISREG(a.st_mode) && first_a == below) file(below, place_a, place_b, a.st_size, b.st_size);
    }

    void attributes(const std::string& below, const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b) {
        for (const auto& [name, value] : a) {
            const auto other = b.find(name);
            if (other == b.end()) tell(below, "only the first has the attribute " + quoted(name));
            else if (other->second != value) tell(below, "the attribute " + quoted(name) + " differs");
        }
        for (const auto& [name, value] : b)
            if (a.count(name) == 0) tell(below, "only the second has the attribute " + quoted(name));
    }

    static UniqueFd opened(const Place& place, int flags) {
        UniqueFd fd(::openat(place.directory, place.name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC));
        if (!fd) give_up(place.path());
        return fd;
    }

    void directory(const std::string& below, const Place& place_a, const Place& place_b) {
        const UniqueFd fd_a = opened(place_a, O_RDONLY | O_DIRECTORY), fd_b = opened(place_b, O_RDONLY | O_DIRECTORY);
        const auto a = names_in(fd_a.get(), place_a.path()), b = names_in(fd_b.get(), place_b.path());
        const auto child = [&](const std::string& name) { return below.empty() ? name : below + "/" + name; };
        for (const std::string& name : a) {
            if (std::binary_search(b.begin(), b.end(), name)) object(child(name), {fd_a.get(), name}, {fd_b.get(), name});
            else tell(child(name), "only the first has it");
        }
        for (const std::string& name : b)
            if (!std::binary_search(a.begin(), a.end(), name)) tell(child(name), "only the second has it");
    }

    void file(const std::string& below, const Place& place_a, const Place& place_b, off_t size_a, off_t size_b) {
        if (size_a != size_b) return number(below, "size", static_cast<unsigned long long>(size_a), static_cast<unsigned long long>(size_b));
        const UniqueFd a = opened(place_a, O_RDONLY), b = opened(place_b, O_RDONLY);
        bytes(below, a.get(), b.get(), size_a);
        if (holes_) holes(below, a.get(), b.get(), size_a);
    }

    void bytes(const std::string& below, int a, int b, off_t size) {
        static std::vector<char> text_a(1 << 20), text_b(1 << 20);
        for (off_t at = 0; at < size;) {
            // Where both have a hole there is nothing to read.
            const off_t next_a = ::lseek(a, at, SEEK_DATA), next_b = ::lseek(b, at, SEEK_DATA);
            at = std::min(next_a < 0 ? size : next_a, next_b < 0 ? size : next_b);
            if (at >= size) return;
            const ssize_t got_a = ::pread(a, text_a.data(), text_a.size(), at), got_b = ::pread(b, text_b.data(), text_b.size(), at);
            if (got_a <= 0 || got_b <= 0) give_up(below);
            const ssize_t got = std::min(got_a, got_b);
            const auto [first, second] = std::mismatch(text_a.begin(), text_a.begin() + got, text_b.begin());
            if (first != text_a.begin() + got) return tell(below, "differs at byte " + std::to_string(at + (first - text_a.begin())));
            at += got;
        }
    }

    // The first whole block that is a hole in one and data in the other.
    void holes(const std::string& below, int a, int b, off_t size) {
        const Ranges data_a = data_of(a, size, below), data_b = data_of(b, size, below);
        const auto [in_a, in_b] = std::mismatch(data_a.begin(), data_a.end(), data_b.begin(), data_b.end());
        const auto told = [size](Ranges::const_iterator at, const Ranges& all) {
            return at == all.end() ? "none from there to its end at " + std::to_string(size) : std::to_string(at->first) + " to " + std::to_string(at->second);
        };
        if (in_a != data_a.end() || in_b != data_b.end())
            tell(below, "holes: the first has data at " + told(in_a, data_a) + ", the second at " + told(in_b, data_b));
    }

    Side a_, b_;
    bool holes_, times_;
    size_t objects_ = 0, differences_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::string> trees;
    bool holes = true, times = true;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--ignore-holes") holes = false;
        else if (word == "--ignore-times") times = false;
        else trees.push_back(word);
    }
    if (trees.size() != 2) return std::fprintf(stderr, "usage: tree_compare A B [--ignore-holes] [--ignore-times]\n"), 2;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) limit.rlim_cur = limit.rlim_max, ::setrlimit(RLIMIT_NOFILE, &limit);
    return Comparison(holes, times).run(trees[0], trees[1]) == 0 ? 0 : 1;
}

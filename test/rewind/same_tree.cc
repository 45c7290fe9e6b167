#include "test/rewind/same_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "base/text.h"
#include "base/unique_fd.h"
#include "rewind/extents.h"
#include "rewind/image.h"

namespace holdfast::test {

namespace {

namespace fs = std::filesystem;

std::string bytes_of_file(const fs::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::map<std::string, std::string> xattrs_of(const fs::path& path) {
    std::map<std::string, std::string> found;
    char names[4096], value[65536];
    const ssize_t length = llistxattr(path.c_str(), names, sizeof names);
    for (ssize_t at = 0; at < length; at += static_cast<ssize_t>(std::string(names + at).size()) + 1) {
        if (rewind::is_private_xattr(names + at)) continue;
        const ssize_t size = lgetxattr(path.c_str(), names + at, value, sizeof value);
        if (size >= 0) found.emplace(names + at, std::string(value, static_cast<size_t>(size)));
    }
    return found;
}

std::vector<std::pair<uint64_t, uint64_t>> data_of(const fs::path& path) {
    const UniqueFd fd(open(path.c_str(), O_RDONLY));
    std::vector<std::pair<uint64_t, uint64_t>> found;
    for (const auto& extent : rewind::data_extents_of(fd.get()).value()) found.emplace_back(extent.offset, extent.length);
    return found;
}

std::string text_of(const std::vector<std::pair<uint64_t, uint64_t>>& extents) {
    std::string text;
    for (const auto& [offset, length] : extents) text += std::to_string(offset) + "+" + std::to_string(length) + " ";
    return text;
}

class TreeComparison {
public:
    std::string object(const fs::path& left, const fs::path& right, const std::string& name) {
        struct stat a, b;
        if (lstat(left.c_str(), &a) != 0 || lstat(right.c_str(), &b) != 0) return quoted(name) + " is missing on one side";
        if (a.st_mode != b.st_mode) return quoted(name) + ": modes differ";
        if (a.st_uid != b.st_uid || a.st_gid != b.st_gid) return quoted(name) + ": owners differ";
        if (a.st_mtim.tv_sec != b.st_mtim.tv_sec || a.st_mtim.tv_nsec != b.st_mtim.tv_nsec) return quoted(name) + ": mtimes differ";
        if (xattrs_of(left) != xattrs_of(right)) return quoted(name) + ": xattrs differ";
        if (S_ISCHR(a.st_mode) && a.st_rdev != b.st_rdev) return quoted(name) + ": devices differ";
        if (S_ISLNK(a.st_mode) && fs::read_symlink(left) != fs::read_symlink(right)) return quoted(name) + ": targets differ";
        if (!S_ISDIR(a.st_mode)) {
            if (a.st_nlink != b.st_nlink) return quoted(name) + ": link counts differ";
            const auto [group, is_new] = links_.emplace(a.st_ino, b.st_ino);
            if (!is_new && group->second != b.st_ino) return quoted(name) + ": is a hard link on one side only";
        }
        if (S_ISREG(a.st_mode)) {
            if (bytes_of_file(left) != bytes_of_file(right)) return quoted(name) + ": bytes differ";
            if (data_of(left) != data_of(right))
                return quoted(name) + " of " + std::to_string(a.st_size) + " bytes: holes differ: " + text_of(data_of(left)) + "against " +
                       text_of(data_of(right));
        }
        return S_ISDIR(a.st_mode) ? entries(left, right, name) : "";
    }

private:
    std::string entries(const fs::path& left, const fs::path& right, const std::string& name) {
        std::set<std::string> names[2];
        for (const auto& entry : fs::directory_iterator(left)) names[0].insert(entry.path().filename());
        for (const auto& entry : fs::directory_iterator(right)) names[1].insert(entry.path().filename());
        for (const auto& entry : names[0])
            if (!names[1].count(entry)) return quoted(name + "/" + entry) + " is only on the left";
        for (const auto& entry : names[1])
            if (!names[0].count(entry)) return quoted(name + "/" + entry) + " is only on the right";
        for (const auto& entry : names[0]) {
            const std::string found = object(left / entry, right / entry, name + "/" + entry);
            if (!found.empty()) return found;
        }
        return "";
    }

    std::map<uint64_t, uint64_t> links_;
};

}  // namespace

std::string tree_difference(const std::string& left, const std::string& right) {
    return TreeComparison().object(left, right, "");
}

}  // namespace holdfast::test

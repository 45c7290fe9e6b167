#include "test/crash/tree_text.h"

#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;

std::string bytes_text(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    // Run lengths: the files of a test have long ones.
    std::string text;
    for (size_t at = 0; at < bytes.size();) {
        size_t end = at;
        while (end < bytes.size() && bytes[end] == bytes[at]) ++end;
        char piece[48];
        std::snprintf(piece, sizeof piece, " %zu*%02x", end - at, static_cast<unsigned char>(bytes[at]));
        text += piece;
        at = end;
    }
    return text;
}

std::string xattrs_text(const std::string& path) {
    char names[4096], value[65536];
    std::vector<std::string> found;
    const ssize_t length = llistxattr(path.c_str(), names, sizeof names);
    for (ssize_t at = 0; at < length; at += static_cast<ssize_t>(std::strlen(names + at)) + 1) {
        const ssize_t size = lgetxattr(path.c_str(), names + at, value, sizeof value);
        std::string text = std::string(" ") + (names + at) + "=";
        for (ssize_t i = 0; i < size; ++i) {
            char digits[3];
            std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(value[i]));
            text += digits;
        }
        found.push_back(text);
    }
    std::sort(found.begin(), found.end());
    std::string all;
    for (const std::string& one : found) all += one;
    return all;
}

}  // namespace

std::string tree_text(const std::string& directory) {
    std::vector<std::string> paths{directory};
    for (const auto& entry : fs::recursive_directory_iterator(directory)) paths.push_back(entry.path().string());
    std::sort(paths.begin(), paths.end());
    std::string text;
    for (const std::string& path : paths) {
        struct stat info {};
        if (lstat(path.c_str(), &info) != 0) continue;
        char line[160];
        std::snprintf(line, sizeof line, ": mode %o owner %u:%u links %lu device %lu", info.st_mode, info.st_uid, info.st_gid,
                      static_cast<unsigned long>(info.st_nlink), static_cast<unsigned long>(info.st_rdev));
        text += "." + path.substr(directory.size()) + line;
        if (S_ISLNK(info.st_mode)) text += " -> " + fs::read_symlink(path).string();
        if (S_ISREG(info.st_mode)) text += " bytes" + bytes_text(path);
        text += xattrs_text(path) + "\n";
    }
    return text;
}

}  // namespace holdfast::test

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/file_handle.h"
#include "base/text.h"
#include "rewind/spilled_xattrs.h"
#include "rewind/standby/standby_tree.h"
#include "test/model/compare.h"

namespace holdfast::test {

namespace {

namespace fs = std::filesystem;

// What is different about a standby directory.
struct Standby {
    const rewind::SpilledXattrs& spilled;
    std::string kept;  // its own entry
};

std::map<std::string, std::string> xattrs_of(const std::string& path) {
    std::map<std::string, std::string> found;
    char names[4096], value[65536];
    const ssize_t length = llistxattr(path.c_str(), names, sizeof names);
    for (ssize_t at = 0; at < length; at += static_cast<ssize_t>(strlen(names + at)) + 1) {
        const ssize_t size = lgetxattr(path.c_str(), names + at, value, sizeof value);
        if (size >= 0) found.emplace(names + at, std::string(value, static_cast<size_t>(size)));
    }
    return found;
}

std::optional<std::string> compare_object(const std::string& path, const struct stat& seen, const Model& model, const ObjectId& id, const Standby* standby) {
    const Object& expected = model.at(id);
    auto is = [](const char* what, auto got, auto want) { return std::string(what) + " is " + std::to_string(got) + ", the journal says " + std::to_string(want); };
    if (seen.st_mode != expected.mode) return is("mode", seen.st_mode, expected.mode);
    if (seen.st_uid != expected.uid) return is("uid", seen.st_uid, expected.uid);
    if (seen.st_gid != expected.gid) return is("gid", seen.st_gid, expected.gid);
    // btrfs counts every directory once.
    if (!(S_ISDIR(seen.st_mode) && seen.st_nlink == 1) && seen.st_nlink != model.link_count(id)) return is("link count", seen.st_nlink, model.link_count(id));
    const int64_t mtime_ns = seen.st_mtim.tv_sec * 1'000'000'000LL + seen.st_mtim.tv_nsec;
    if (expected.mtime_ns && mtime_ns != *expected.mtime_ns) return is("mtime", mtime_ns, *expected.mtime_ns);
    auto xattrs = xattrs_of(path);
    if (standby) {
        const auto spilled = standby->spilled.of(id);
        if (!spilled) return spilled.error().message;
        xattrs.insert(spilled->begin(), spilled->end());
    }
    if (xattrs != expected.xattrs) return "xattrs differ";
    if (S_ISLNK(seen.st_mode) && fs::read_symlink(path).string() != expected.target) return "target differs";
    if (S_ISREG(seen.st_mode)) {
        std::ifstream stream(path, std::ios::binary);
        const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
        if (bytes.size() != expected.bytes->size()) return is("size", bytes.size(), expected.bytes->size());
        for (size_t at = 0; at < bytes.size(); ++at) {
            if (bytes[at] != (*expected.bytes)[at]) return "byte " + std::to_string(at) + " differs";
        }
    }
    return std::nullopt;
}

std::optional<std::string> compare_directory(const std::string& path, const Model& model, const ObjectId& id, const Standby* standby) {
    const auto& expected = model.at(id).entries;
    size_t count = 0;
    for (const auto& entry : fs::directory_iterator(path)) {
        if (standby && entry.path() == standby->kept) {
            if (!fs::is_empty(entry.path())) return holdfast::quoted(entry.path().string()) + " is not empty";
            continue;
        }
        ++count;
        const std::string child = entry.path().string();
        auto found = expected.find(entry.path().filename().string());
        if (found == expected.end()) return holdfast::quoted(child) + " exists, the journal does not know it";
        struct stat seen {};
        if (lstat(child.c_str(), &seen) != 0) return holdfast::quoted(child) + " cannot be read";
        if (!standby && seen.st_ino != found->second.inode) return holdfast::quoted(child) + " is another object than in the journal";
        if (auto different = compare_object(child, seen, model, found->second, standby)) return holdfast::quoted(child) + ": " + *different;
        if (S_ISDIR(seen.st_mode)) {
            if (auto different = compare_directory(child, model, found->second, standby)) return different;
        }
    }
    if (count != expected.size()) return holdfast::quoted(path) + " has " + std::to_string(count) + " entries, the journal " + std::to_string(expected.size());
    return std::nullopt;
}

}  // namespace

std::optional<std::string> difference(const std::string& directory, const Model& model) {
    return compare_directory(directory, model, journal::root_object, nullptr);
}

std::optional<std::string> standby_difference(const std::string& directory, const std::string& store, const Model& model) {
    const auto spilled = rewind::SpilledXattrs::open(store + "/tree-xattrs");
    if (!spilled) return spilled.error().message;
    const auto volume = journal::load_volume(store);
    if (!volume) return volume.error().message;
    const Standby standby{**spilled, directory + "/" + rewind::kept_name(volume->id)};
    return compare_directory(directory, model, journal::root_object, &standby);
}

}  // namespace holdfast::test

#include "rewind/spilled_xattrs.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "base/small_file.h"
#include "base/text.h"
#include "journal/record.h"
#include "rewind/read_directory.h"

namespace holdfast::rewind {
namespace {

constexpr size_t component_bytes_max = 240;  // of 255; the last one has a mark more
constexpr size_t checksum_bytes = sizeof(uint64_t);
constexpr char end_mark = '=';
constexpr const char* unfinished = ".new";

constexpr struct { char byte; std::string_view text; } escapes[] = {{'/', "%2F"}, {'%', "%25"}, {end_mark, "%3D"}};

std::string escaped(std::string_view name) {
    std::string text;
    for (const char c : name) {
        const auto escape = std::find_if(std::begin(escapes), std::end(escapes), [c](const auto& one) { return one.byte == c; });
        if (escape == std::end(escapes)) text += c;
        else text += escape->text;
    }
    return text;
}

std::string unescaped(std::string_view text) {
    std::string name;
    while (!text.empty()) {
        const auto escape = std::find_if(std::begin(escapes), std::end(escapes), [text](const auto& one) { return text.starts_with(one.text); });
        name += escape == std::end(escapes) ? text.front() : escape->byte;
        text.remove_prefix(escape == std::end(escapes) ? 1 : escape->text.size());
    }
    return name;
}

std::string directory_of(const ObjectId& object) { return journal::to_string(object); }

Error failed(const char* what, const ObjectId& object) {
    return errno_error(errno, std::string(what) + " the attributes of object " + journal::to_string(object) + " that the image has no room for");
}

// Whatever lies in it, and the directory itself.
Status remove_directory(int above_fd, const std::string& name) {
    const UniqueFd directory(::openat(above_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory) return errno == ENOENT ? ok() : Status(errno_error(errno, "open " + quoted(name)));
    HF_TRY(read_directory(directory.get(), [&](const DirectoryEntry& entry) -> Status {
        if (HF_TRY(is_directory(directory.get(), entry))) return remove_directory(directory.get(), entry.name);
        if (::unlinkat(directory.get(), entry.name.c_str(), 0) != 0) return errno_error(errno, "remove " + quoted(entry.name));
        return ok();
    }));
    if (::unlinkat(above_fd, name.c_str(), AT_REMOVEDIR) != 0) return errno_error(errno, "remove " + quoted(name));
    return ok();
}

// The directories on the way to PATH that are left without anything.
void remove_empty_above(int directory_fd, std::string path) {
    for (size_t slash = path.rfind('/'); slash != std::string::npos; slash = path.rfind('/')) {
        path.resize(slash);
        if (::unlinkat(directory_fd, path.c_str(), AT_REMOVEDIR) != 0) return;
    }
}

Status make_above(int directory_fd, const std::string& path) {
    for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
        if (::mkdirat(directory_fd, path.substr(0, slash).c_str(), 0700) != 0 && errno != EEXIST) return errno_error(errno, "make " + quoted(path.substr(0, slash)));
    return ok();
}

std::optional<std::string> read_value(int directory_fd, const std::string& path) {
    const UniqueFd file(::openat(directory_fd, path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file) return std::nullopt;
    auto bytes = read_text(file.get(), XATTR_SIZE_MAX + checksum_bytes);
    uint64_t checksum = 0;
    if (bytes && bytes->size() >= checksum_bytes) memcpy(&checksum, bytes->data(), checksum_bytes);
    if (!bytes || bytes->size() < checksum_bytes || checksum != journal::xxh3_64(bytes_of(*bytes).subspan(checksum_bytes))) {
        log_warning("The attribute " + quoted(path) + " of an object, which the image has no room for, is damaged and counts as not there.");
        return std::nullopt;
    }
    return bytes->substr(checksum_bytes);
}

Status collect(int directory_fd, const std::string& above, std::vector<std::pair<std::string, std::string>>& found) {
    return read_directory(directory_fd, [&](const DirectoryEntry& entry) -> Status {
        if (HF_TRY(is_directory(directory_fd, entry))) {
            const UniqueFd below(::openat(directory_fd, entry.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
            return below ? collect(below.get(), above + entry.name, found) : ok();
        }
        if (!entry.name.ends_with(end_mark)) return ok();
        if (auto value = read_value(directory_fd, entry.name))
            found.emplace_back(unescaped(above + entry.name.substr(0, entry.name.size() - 1)), std::move(*value));
        return ok();
    });
}

}  // namespace

bool is_want_of_room(int error) { return error == ENOSPC || error == E2BIG || error == EOPNOTSUPP; }

// A component other than the last has the full length, and the last one its mark, which is in no other: none of them is "." or "..", and no file
// has the name of a directory.
std::string spilled_path(std::string_view name) {
    const std::string text = escaped(name);
    std::string path;
    for (size_t at = 0; at < text.size(); at += component_bytes_max) {
        if (at > 0) path += '/';
        path += text.substr(at, component_bytes_max);
    }
    return path + end_mark;
}

Result<std::unique_ptr<SpilledXattrs>> SpilledXattrs::open(const std::string& directory) {
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return errno_error(errno, "make " + quoted(directory));
    UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd) return errno_error(errno, "open " + quoted(directory));
    std::unique_ptr<SpilledXattrs> spilled(new SpilledXattrs(std::move(fd)));
    HF_TRY(read_directory(spilled->directory_.get(), [&](const DirectoryEntry&) -> Status {
        spilled->has_any_ = true;
        return ok();
    }));
    return spilled;
}

Result<std::vector<std::pair<std::string, std::string>>> SpilledXattrs::of(const ObjectId& object) const {
    std::vector<std::pair<std::string, std::string>> found;
    if (!has_any_) return found;
    const UniqueFd directory(::openat(directory_.get(), directory_of(object).c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!directory && errno == ENOENT) return found;
    if (!directory) return failed("look for", object);
    HF_TRY(collect(directory.get(), {}, found));
    return found;
}

Result<std::optional<std::string>> SpilledXattrs::value(const ObjectId& object, std::string_view name) const {
    if (!has_any_) return std::optional<std::string>();
    return read_value(directory_.get(), directory_of(object) + "/" + spilled_path(name));
}

Status SpilledXattrs::put(const ObjectId& object, std::string_view name, std::string_view value) {
    if (!has_any_.exchange(true))
        log_warning("The file system of the image has no room for an attribute of object " + journal::to_string(object) + "; it is kept beside the image, as others will be.");
    const uint64_t checksum = journal::xxh3_64(bytes_of(value));
    std::string bytes(reinterpret_cast<const char*>(&checksum), checksum_bytes);
    bytes += value;
    const UniqueFd file(::openat(directory_.get(), unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return failed("write", object);
    if (::write(file.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) return failed("write", object);
    const std::string path = directory_of(object) + "/" + spilled_path(name);
    HF_TRY(make_above(directory_.get(), path));
    if (::renameat(directory_.get(), unfinished, directory_.get(), path.c_str()) != 0) return failed("write", object);
    return ok();
}

Status SpilledXattrs::remove(const ObjectId& object, std::string_view name) {
    if (!has_any_) return ok();
    const std::string path = directory_of(object) + "/" + spilled_path(name);
    if (::unlinkat(directory_.get(), path.c_str(), 0) != 0) return errno == ENOENT ? ok() : Status(failed("remove", object));
    remove_empty_above(directory_.get(), path);
    return ok();
}

Status SpilledXattrs::forget(const ObjectId& object) {
    return has_any_ ? remove_directory(directory_.get(), directory_of(object)) : ok();
}

Status SpilledXattrs::sync() const {
    if (!has_any_ || ::syncfs(directory_.get()) == 0) return ok();
    return errno_error(errno, "sync the attributes that are kept beside their objects");
}

}  // namespace holdfast::rewind

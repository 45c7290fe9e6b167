#include "rewind/view.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>

#include "base/text.h"
#include "rewind/acl_mode.h"
#include "rewind/image.h"
#include "rewind/read_directory.h"
#include "rewind/store.h"
#include "rewind/xattrs.h"

namespace holdfast::rewind {

namespace {

Error absent(const char* what, Lsn at) {
    return {ErrorCode::not_found, std::string(what) + " did not exist at lsn " + std::to_string(at)};
}

Error not_there(std::string_view name) {
    return {ErrorCode::not_found, "there is no entry " + quoted(name) + " at this moment", ENOENT};
}

bool is_directory(uint32_t mode) {
    return (mode & S_IFMT) == S_IFDIR;
}

}  // namespace

Result<UniqueFd> View::open_in_image(const ObjectId& object, int flags) const {
    auto location = HF_TRY(store_.index().location(object));
    if (!location) return absent("the object", at_);
    return store_.image().open_object(object, *location, flags);
}

Result<uint32_t> View::type_of(const ObjectId& object) const {
    // The type of an object never changes, so the newest answer is the right one for every moment.
    auto location = HF_TRY(store_.index().location(object));
    if (!location) return absent("the object", at_);
    return location->mode & S_IFMT;
}

Result<ObjectId> View::lookup(const ObjectId& directory, std::string_view name) const {
    auto now = [&]() -> Result<ObjectId> {
        const UniqueFd fd = HF_TRY(open_in_image(directory, O_PATH | O_DIRECTORY));
        return store_.image().object_of(fd.get(), std::string(name));
    }();
    // An image answer that failed does not matter when the name has changed since: the applier may have been at it.
    if (auto undo = HF_TRY(store_.index().dirent_at(directory, name, at_))) {
        if (!undo->previous) return not_there(name);
        return undo->previous;
    }
    if (!now && now.error().code == ErrorCode::not_found) return not_there(name);
    return now;
}

Result<ObjectId> View::resolve(std::string_view path) const {
    ObjectId object = journal::root_object;
    while (!path.empty()) {
        const size_t slash = path.find('/');
        const std::string_view name = path.substr(0, slash);
        path = slash == path.npos ? std::string_view() : path.substr(slash + 1);
        if (name.empty() || name == ".") continue;
        if (name == "..") return Error{ErrorCode::invalid_argument, "a path inside a volume has no .. in it"};
        if (!is_directory(HF_TRY(type_of(object))))
            return Error{ErrorCode::not_found, quoted(name) + " lies below something that is no directory", ENOTDIR};
        object = HF_TRY(lookup(object, name));
    }
    return object;
}

Result<std::vector<ViewEntry>> View::list(const ObjectId& directory) const {
    struct Candidate {
        Result<ObjectId> object;
        uint32_t type;  // 0: not known yet
    };
    std::map<std::string, Candidate> entries;
    {
        const UniqueFd fd = HF_TRY(open_in_image(directory, O_PATH | O_DIRECTORY));
        HF_TRY(read_directory(fd.get(), [&](const DirectoryEntry& entry) -> Status {
            auto object = store_.image().object_of(fd.get(), entry.name);
            entries.insert_or_assign(entry.name, Candidate{std::move(object), entry.type});
            return ok();
        }));
    }
    for (DirentUndo& undo : HF_TRY(store_.index().dirents_at(directory, at_))) {
        if (undo.previous)
            entries.insert_or_assign(std::move(undo.name), Candidate{undo.previous, 0});
        else
            entries.erase(undo.name);
    }
    std::vector<ViewEntry> listed;
    listed.reserve(entries.size());
    for (auto& [name, candidate] : entries) {
        if (!candidate.object) return std::move(candidate.object).error().within("entry " + quoted(name));
        const uint32_t type = candidate.type ? candidate.type : HF_TRY(type_of(*candidate.object));
        listed.push_back({name, *candidate.object, type});
    }
    return listed;
}

Result<uint32_t> View::directory_links(const ObjectId& directory, uint32_t image_links) const {
    // Where nothing changed since, the file system's own count is right, if it keeps one (btrfs does not; ext4
    // gives up beyond 65,000).
    const auto changed = HF_TRY(store_.index().dirents_at(directory, at_));
    if (changed.empty() && image_links >= 2) return image_links;
    std::map<std::string, bool> directories;
    {
        const UniqueFd fd = HF_TRY(open_in_image(directory, O_PATH | O_DIRECTORY));
        HF_TRY(read_directory(fd.get(), [&](const DirectoryEntry& entry) -> Status {
            if (is_directory(entry.type)) directories[entry.name] = true;
            return ok();
        }));
    }
    // Asked again, because the listing came after the first answer: image first, index second.
    for (const DirentUndo& undo : HF_TRY(store_.index().dirents_at(directory, at_)))
        directories[undo.name] = undo.previous && is_directory(HF_TRY(type_of(undo.previous)));
    uint32_t links = 2;
    for (const auto& [name, is] : directories) links += is;
    return links;
}

Result<ObjectAttributes> View::attributes(const ObjectId& object) const {
    auto now = [&]() -> Result<ObjectAttributes> {
        const UniqueFd fd = HF_TRY(open_in_image(object, O_PATH));
        return store_.image().attributes_of(fd.get());
    }();
    auto undo = HF_TRY(store_.index().attributes_at(object, at_));
    if (!HF_TRY(store_.index().existed_at(object, at_))) return absent("the object", at_);
    if (!undo && !now) return std::move(now).error();
    ObjectAttributes attributes = undo ? *undo : *now;
    if (is_directory(attributes.mode)) {
        attributes.nlink = HF_TRY(directory_links(object, now ? now->nlink : 0));
    }
    return attributes;
}

Result<std::string> View::readlink(const ObjectId& object) const {
    // A target never changes during the life of its link, and a dead link keeps it in the graveyard.
    const UniqueFd fd = HF_TRY(open_in_image(object, O_PATH | O_NOFOLLOW));
    std::string target(HF_SYMLINK_BYTES_MAX + 1, '\0');
    const ssize_t length = readlinkat(fd.get(), "", target.data(), target.size());
    if (length < 0) return errno_error(errno, "read a symbolic link of the image");
    target.resize(static_cast<size_t>(length));
    return target;
}

Result<std::vector<std::pair<std::string, std::string>>> View::xattrs(const ObjectId& object) const {
    std::map<std::string, std::string> found;
    {
        const UniqueFd fd = HF_TRY(open_in_image(object, O_PATH));
        for (auto& [name, value] : HF_TRY(xattrs_of_object(store_.image(), object, fd.get()))) found.emplace(std::move(name), std::move(value));
    }
    for (auto& undo : HF_TRY(store_.index().xattrs_at(object, at_))) {
        if (undo.present)
            found[undo.name] = std::move(undo.value);
        else
            found.erase(undo.name);
    }
    if (const auto acl = found.find(std::string(access_acl_xattr)); acl != found.end())
        acl->second = fit_acl_to_mode(std::move(acl->second), HF_TRY(attributes(object)).mode);
    return std::vector<std::pair<std::string, std::string>>(std::make_move_iterator(found.begin()),
                                                            std::make_move_iterator(found.end()));
}

}  // namespace holdfast::rewind

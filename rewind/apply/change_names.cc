#include "rewind/apply/change_names.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "rewind/apply/make_object.h"
#include "rewind/read_directory.h"

namespace holdfast::rewind {

namespace {

Error wrong_occupant(const NameChange& name) {
    return {ErrorCode::corrupt, "the image has another object at " + quoted(name.name) + " in directory " +
                                    journal::to_string(name.directory) + " than the journal, which says " +
                                    journal::to_string(name.current)};
}

}  // namespace

Status NameChanger::run() {
    HF_TRY(index_names());
    HF_TRY(vacate());
    HF_TRY(make_births());
    HF_TRY(files_.tell_places(untold_));
    HF_TRY(place());
    return count_links();
}

Status NameChanger::index_names() {
    auto& names = changes_.names();
    for (size_t position = 0; position < names.size(); ++position) {
        const NameChange& name = names[position];
        if (name.current == name.wanted) continue;
        if (name.wanted) missing_[name.wanted].push_back(position);
        if (name.current) stale_[name.current].push_back(position);
        if (!name.wanted) continue;
        // Born objects are not in the image yet; every other one lies where the index says.
        const auto location = HF_TRY(files_.location(name.wanted));
        if (location && location->links == 0) graves_.insert(name.wanted);
    }
    return ok();
}

// Directories go to the graveyard even when they only move, so that no cycle can be in the way of any of them. A file
// that moves stays for now: place() renames it straight to its new name.
Status NameChanger::vacate() {
    for (NameChange& name : changes_.names()) {
        if (!name.current || name.current == name.wanted) continue;
        const auto location = HF_TRY(files_.location(name.current));
        if (location && !S_ISDIR(location->mode) && missing_.count(name.current)) continue;
        HF_TRY(take_away(name));
    }
    return ok();
}

Status NameChanger::take_away(NameChange& name) {
    const int directory = HF_TRY(files_.fd(name.directory));
    const std::string text(name.name);
    const auto occupant = files_.image().object_of(directory, text);
    if (!occupant && occupant.error().code != ErrorCode::not_found) return Error(occupant.error());
    if (!occupant || *occupant != name.current) return wrong_occupant(name);
    struct stat status;
    if (::fstatat(directory, text.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return errno_error(errno, "look at " + quoted(text));
    if (S_ISDIR(status.st_mode) || status.st_nlink == 1) {
        const std::string grave = Image::grave_name(name.current);
        if (!files_.image().carries_ids()) HF_TRY(remove_unfinished(files_.image(), files_.image().graveyard_fd(), grave));
        if (::renameat2(directory, text.c_str(), files_.image().graveyard_fd(), grave.c_str(), RENAME_NOREPLACE) != 0)
            return errno_error(errno, "move " + quoted(text) + " to the graveyard");
        graves_.insert(name.current);
        HF_TRY(files_.set_links(name.current, 0));
    } else {
        if (::unlinkat(directory, text.c_str(), 0) != 0) return errno_error(errno, "unlink " + quoted(text) + " in the image");
        recount_.insert(name.current);
    }
    name.current = ObjectId{};
    return ok();
}

// In the order of their records, so that a directory is there before what was born in it.
Status NameChanger::make_births() {
    std::vector<std::pair<ObjectId, ObjectChange*>> births;
    for (auto& [object, change] : changes_.objects())
        if (change.birth && !change.in_image) births.push_back({object, &change});
    std::sort(births.begin(), births.end(), [](const auto& a, const auto& b) { return a.second->birth->lsn < b.second->birth->lsn; });
    for (auto& [object, change] : births) HF_TRY(make(object, *change));
    return ok();
}

// Straight at its name where that is free and the directory is there, so that the file system puts it near its
// siblings; else in the graveyard, from where place() fetches it. There as well where it carries no id.
Status NameChanger::make(const ObjectId& object, ObjectChange& change) {
    const auto& body = change.birth->as<journal::Birth>();
    const NewObject made_of{object, body.attributes.mode, body.rdev, body.target};
    NameChange* home = nullptr;
    if (const auto wanted = missing_.find(object); wanted != missing_.end() && files_.image().carries_ids()) {
        for (size_t position : wanted->second) {
            NameChange& name = changes_.names()[position];
            if (name.current || !HF_TRY(files_.location(name.directory))) continue;
            home = &name;
            break;
        }
    }
    const int directory = home ? HF_TRY(files_.fd(home->directory)) : files_.image().graveyard_fd();
    MadeObject made = HF_TRY(make_object(files_.image(), directory, home ? std::string(home->name) : Image::grave_name(object), made_of));
    // Who carries no id is known before it is anywhere but in the graveyard.
    if (S_ISDIR(made.location.mode) || !files_.image().carries_ids()) untold_.push_back(object);
    if (home) home->current = object;
    if (!home) {
        made.location.links = 0;
        graves_.insert(object);
    }
    files_.add(object, std::move(made.location), std::move(made.fd));
    return ok();
}

Status NameChanger::place() {
    for (NameChange& name : changes_.names())
        if (name.wanted && name.current != name.wanted) HF_TRY(give(name));
    // What moved to fewer names than it had.
    for (NameChange& name : changes_.names())
        if (name.current && name.current != name.wanted) HF_TRY(take_away(name));
    return ok();
}

Status NameChanger::give(NameChange& name) {
    if (name.current) HF_TRY(take_away(name));  // a file that moves and was not its turn yet
    const int directory = HF_TRY(files_.fd(name.directory));
    const std::string text(name.name);
    int result = 0;
    NameChange* source = nullptr;
    if (const auto stale = stale_.find(name.wanted); stale != stale_.end()) {
        for (size_t position : stale->second)
            if (changes_.names()[position].current == name.wanted) source = &changes_.names()[position];
    }
    if (graves_.erase(name.wanted)) {
        const std::string grave = Image::grave_name(name.wanted);
        result = ::renameat2(files_.image().graveyard_fd(), grave.c_str(), directory, text.c_str(), RENAME_NOREPLACE);
        HF_TRY(files_.set_links(name.wanted, 1));
    } else if (source) {
        const int from = HF_TRY(files_.fd(source->directory));
        const auto occupant = HF_TRY(files_.image().object_of(from, std::string(source->name)));
        if (occupant != source->current) return wrong_occupant(*source);
        result = ::renameat2(from, std::string(source->name).c_str(), directory, text.c_str(), RENAME_NOREPLACE);
        source->current = ObjectId{};
    } else if (S_ISDIR(HF_TRY(files_.location(name.wanted))->mode)) {
        result = HF_TRY(bring(name.wanted, directory, text));
    } else {
        const int object = HF_TRY(files_.fd(name.wanted));
        result = ::linkat(object, "", directory, text.c_str(), AT_EMPTY_PATH);
        recount_.insert(name.wanted);
    }
    if (result != 0)
        return errno_error(errno, "give the name " + quoted(text) + " to object " + journal::to_string(name.wanted));
    name.current = name.wanted;
    return ok();
}

// From a name that nobody knew of: in a standby tree somebody may have moved it.
Result<int> NameChanger::bring(const ObjectId& directory, int into, const std::string& name) {
    const auto [parent, old_name] = HF_TRY(name_of_directory(HF_TRY(files_.fd(directory))));
    return ::renameat2(parent.get(), old_name.c_str(), into, name.c_str(), RENAME_NOREPLACE);
}

Status NameChanger::count_links() {
    for (const ObjectId& object : recount_) {
        if (graves_.count(object)) continue;  // already counted as none
        struct stat status;
        if (::fstat(HF_TRY(files_.fd(object)), &status) != 0) return errno_error(errno, "count the names of an object");
        HF_TRY(files_.set_links(object, S_ISDIR(status.st_mode) ? 1 : static_cast<uint32_t>(status.st_nlink)));
    }
    return ok();
}

}  // namespace holdfast::rewind

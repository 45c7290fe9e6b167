// After a crash: what stands at the names that the records touch, and where the objects lie that they touch.
//
// The index may be behind (its newest locations were not flushed) or ahead of the image (a file that it knows was lost
// with the power). But every object that was there at the checkpoint is there now and has the handle that it had; what
// was born since can only stand at names that records touched, in directories that are themselves one or the other,
// or in the graveyard. So everything is found by looking at those names, starting from the directories that are
// known, until nothing new turns up.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "rewind/apply/change_names.h"
#include "rewind/apply/make_object.h"

namespace holdfast::rewind {

Status NameChanger::discover() {
    std::unordered_set<ObjectId> touched;
    for (const auto& [object, change] : changes_.objects()) touched.insert(object);
    for (NameChange& name : changes_.names()) {
        for (const ObjectId& object : {name.directory, name.current, name.wanted})
            if (object) touched.insert(object);
        name.current = ObjectId{};
    }
    for (const ObjectId& object : touched) HF_TRY(find_in_graveyard(object));

    std::vector<bool> scanned(changes_.names().size());
    for (bool progress = true; progress;) {
        progress = false;
        for (size_t position = 0; position < scanned.size(); ++position) {
            if (scanned[position] || !HF_TRY(scan(changes_.names()[position]))) continue;
            scanned[position] = progress = true;
        }
    }
    HF_TRY(files_.tell_places(untold_));
    for (const ObjectId& object : touched) {
        const bool is_there = HF_TRY(locate(object));
        const ObjectChange* change = changes_.find(object);
        if (change && change->birth) {
            changes_.objects()[object].in_image = is_there;
        } else if (!is_there && !(change && change->is_unborn)) {
            return Error{ErrorCode::corrupt, std::string(files_.image().what()) + " lost object " + journal::to_string(object) + ", which the journal still changes"};
        }
        if (!is_there || object == journal::root_object || graves_.count(object)) continue;
        // It has names, however many; the index may still have it in the graveyard.
        if (HF_TRY(files_.location(object))->links == 0) HF_TRY(files_.set_links(object, 1));
        recount_.insert(object);
    }
    return ok();
}

Status NameChanger::find_in_graveyard(const ObjectId& object) {
    const int graveyard = files_.image().graveyard_fd();
    const std::string grave = Image::grave_name(object);
    struct stat status;
    if (::fstatat(graveyard, grave.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return ok();
        return errno_error(errno, "look at " + quoted(grave) + " in the graveyard");
    }
    if (HF_TRY(remove_unfinished(files_.image(), graveyard, grave))) return ok();
    if (HF_TRY(files_.image().object_of(graveyard, grave)) != object)
        return Error{ErrorCode::corrupt, "the graveyard has another object under the name " + quoted(grave)};
    // A file system that lost half of a rename may show both names of an object that has one.
    if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
        if (::unlinkat(graveyard, grave.c_str(), 0) != 0) return errno_error(errno, "unlink " + quoted(grave));
        return ok();
    }
    MadeObject found = HF_TRY(open_named(graveyard, grave));
    found.location.links = 0;
    if (S_ISDIR(found.location.mode)) untold_.push_back(object);
    files_.add(object, std::move(found.location), std::move(found.fd));
    located_.insert(object);
    graves_.insert(object);
    return ok();
}

// Whether the image has OBJECT at the place that is known for it.
Result<bool> NameChanger::locate(const ObjectId& object) {
    if (located_.count(object)) return true;
    if (!HF_TRY(files_.is_there(object))) return false;
    if (HF_TRY(files_.image().object_of(HF_TRY(files_.fd(object)))) != object) {
        HF_TRY(files_.remove(object));  // lost with the power
        return false;
    }
    located_.insert(object);
    return true;
}

// False when the directory of NAME is not known yet.
Result<bool> NameChanger::scan(NameChange& name) {
    if (!HF_TRY(locate(name.directory))) return false;
    const int directory = HF_TRY(files_.fd(name.directory));
    const std::string text(name.name);
    if (HF_TRY(remove_unfinished(files_.image(), directory, text))) return true;
    const auto occupant = files_.image().object_of(directory, text);
    if (!occupant && occupant.error().code == ErrorCode::not_found) return true;
    if (!occupant) return Error(occupant.error());
    MadeObject found = HF_TRY(open_named(directory, text));
    if (S_ISDIR(found.location.mode)) untold_.push_back(*occupant);
    files_.add(*occupant, std::move(found.location), std::move(found.fd));
    located_.insert(*occupant);
    name.current = *occupant;
    return true;
}

}  // namespace holdfast::rewind

// The objects of a tree (the image, or a standby tree) that are worked on: where they lie, and open descriptors of those used lately.
//
// The applier is the only one who moves objects, so what is remembered here stays true until it says otherwise. What it
// changed is kept until the places have taken it in (changes()), however many objects a batch touches.
// Regular files are open for reading and writing, everything else as a place only (O_PATH): opening a device or a
// pipe would have effects.
//
// Thread rule: the applier's thread. A borrowed descriptor stays valid until open_objects_max / 2 other objects were used.
#pragma once

#include <list>
#include <unordered_map>

#include "rewind/image.h"
#include "rewind/places.h"

namespace holdfast::rewind {

inline constexpr size_t open_objects_max = 400;  // a process has at least 1024 descriptors

class ObjectFiles {
public:
    ObjectFiles(const Image& image, Places& places) : image_(image), places_(places) {}

    const Image& image() const { return image_; }
    // Nothing: the image has no such object.
    Result<std::optional<ImageLocation>> location(const ObjectId& object);
    // Error corrupt: the journal speaks of an object that the image does not have.
    Result<int> fd(const ObjectId& object);

    // Whether it lies where it is known to, and has a name, in the graveyard or elsewhere. One that does not is forgotten.
    Result<bool> is_there(const ObjectId& object);

    // An object that was just made or found. FD as described above.
    void add(const ObjectId& object, ImageLocation location, UniqueFd fd);
    Status set_links(const ObjectId& object, uint32_t links);
    Status remove(const ObjectId& object);  // it is gone from the image

    // What the places do not know yet; after they took it in, changes_taken().
    std::vector<LocationChange> changes() const;
    void changes_taken() { changed_.clear(); }
    // The places learn now where OBJECTS lie. So they know of a new directory before what lies in it must be found by its name there.
    Status tell_places(const std::vector<ObjectId>& objects);
    // And everything that they do not know yet.
    Status tell_all();
    // Forgets everything, changes as well.
    void clear();

private:
    struct Entry {
        ImageLocation location;
        UniqueFd fd;
        std::list<ObjectId>::iterator used;
    };
    Entry& remember(const ObjectId& object, ImageLocation location);

    const Image& image_;
    Places& places_;
    std::unordered_map<ObjectId, Entry> entries_;
    std::unordered_map<ObjectId, std::optional<ImageLocation>> changed_;
    std::list<ObjectId> used_;  // the last used one in front
};

// How the applier opens an object of this type.
int open_flags_for(uint32_t mode);
// The magic link of a descriptor: the way to xattrs and mode of what is open as a place only.
std::string descriptor_path(int fd);

}  // namespace holdfast::rewind

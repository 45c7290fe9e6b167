// The objects of the image that the applier works on: where they lie, and open descriptors of those used lately.
//
// The applier is the only one who moves objects, so what is remembered here stays true until it says otherwise. What it
// changed is kept until the index has taken it in (changes()), however many objects a batch touches.
// Regular files are open for reading and writing, everything else as a place only (O_PATH): opening a device or a
// pipe would have effects.
//
// Thread rule: the applier's thread. A borrowed descriptor stays valid until open_objects_max / 2 other objects were used.
#pragma once

#include <list>
#include <unordered_map>

#include "rewind/image.h"
#include "rewind/index/index.h"

namespace holdfast::rewind {

inline constexpr size_t open_objects_max = 400;  // a process has at least 1024 descriptors

class ObjectFiles {
public:
    ObjectFiles(const Image& image, Index& index) : image_(image), index_(index) {}

    const Image& image() const { return image_; }
    // Nothing: the image has no such object.
    Result<std::optional<ImageLocation>> location(const ObjectId& object);
    // Error corrupt: the journal speaks of an object that the image does not have.
    Result<int> fd(const ObjectId& object);

    // An object that was just made or found. FD as described above.
    void add(const ObjectId& object, ImageLocation location, UniqueFd fd);
    Status set_links(const ObjectId& object, uint32_t links);
    Status remove(const ObjectId& object);  // it is gone from the image

    // What the index does not know yet; after it was inserted, changes_taken().
    std::vector<Index::LocationChange> changes() const;
    void changes_taken() { changed_.clear(); }
    // The index learns now where OBJECTS lie. So it knows of a new directory before what lies in it must be found by its name there.
    Status tell_index(const std::vector<ObjectId>& objects);
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
    Index& index_;
    std::unordered_map<ObjectId, Entry> entries_;
    std::unordered_map<ObjectId, std::optional<ImageLocation>> changed_;
    std::list<ObjectId> used_;  // the last used one in front
};

// How the applier opens an object of this type.
int open_flags_for(uint32_t mode);
// The magic link of a descriptor: the way to xattrs and mode of what is open as a place only.
std::string descriptor_path(int fd);

}  // namespace holdfast::rewind

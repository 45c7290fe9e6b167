// The image: the volume's plain-file copy, and the graveyard beside it for objects without a name.
// Both lie on one file system, so that an object moves between them in one rename. A standby tree (standby/) is one as well.
//
// Objects are found by ObjectId through the index's handle; names are only ever used one component at a time
// beneath a held directory descriptor, and symbolic links are never followed. Every object of a store's image carries its id in the xattr
// trusted.holdfast.id, so the image describes itself. Those of a standby tree carry nothing, because applications will have it: who they are is known by
// their handles (ObjectMarks).
//
// Thread rule: const methods from any thread; the others from the applier's thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/file_handle.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "journal/record.h"
#include "rewind/index/index.h"
#include "rewind/spilled_xattrs.h"

namespace holdfast::rewind {

inline constexpr const char* object_id_xattr = "trusted.holdfast.id";
// A directory of the graveyard for what lay in the image and is not ours (mend_image.h).
inline constexpr std::string_view set_aside_name = "set-aside";
// xattrs of ours that no view, listing or comparison shows.
bool is_private_xattr(std::string_view name);
// The inverse of journal::to_string(); nothing when TEXT is no id. Names in the graveyard are ids in text.
std::optional<ObjectId> parse_object_id(std::string_view text);

// Who the objects of a tree are that carry no ids.
class ObjectMarks {
public:
    virtual ~ObjectMarks() = default;
    // One that is not known gets an id of the tree's own, which is no other object's.
    virtual Result<ObjectId> object_of(const FileHandle& handle) const = 0;
};

class Image {
public:
    // From here on images are reached through DIRECTORY instead of their store's path: for a confined process (base/confine.h), which has one store.
    // Once, before there is a second thread.
    static void reach_through(std::string directory);
    // Opens STORE/image and STORE/graveyard, which must exist, and STORE/xattrs.
    static Result<Image> open(const std::string& store);

    // A tree whose objects carry no ids. MARKS outlives it. Attributes that it has no room for are kept in the directory SPILLED.
    static Result<Image> of_tree(UniqueFd root, UniqueFd graveyard, const ObjectMarks& marks, const std::string& spilled);

    int root_fd() const { return root_.get(); }
    int graveyard_fd() const { return graveyard_.get(); }
    bool carries_ids() const { return marks_ == nullptr; }
    std::string_view what() const { return carries_ids() ? "the image" : "the standby directory"; }
    SpilledXattrs& spilled() const { return *spilled_; }
    // Files and directories are never opened as a place only (O_PATH): instead for reading, for what does not need names. Where the process
    // is confined (docs/confinement.md) other objects, and files whose names the kernel has forgotten, are opened by the names that the
    // index knows (find_names_in()), and where none of them leads there by one that a search finds. Of a standby tree there everything is opened by names,
    // from its top, because a process has one file system whose handles it may use. Error not_found: it is gone, or, of a standby tree, somebody moved it.
    Result<UniqueFd> open_object(const ObjectId& object, const ImageLocation& location, int flags) const;
    // Every name that an object may have by now is in INDEX, because it is told of a change before the image is changed, and so is the place of the
    // directory that has the name in PLACES. Both outlive the image's use.
    void find_names_in(const Index& index, const Places& places) {
        index_ = &index;
        places_ = &places;
    }
    void find_names_in(const Index& index) { find_names_in(index, index); }

    // The id that an object of the image carries. Root: journal::root_object.
    Result<ObjectId> object_of(int fd) const;
    Result<ObjectId> object_of(int directory_fd, const std::string& name) const;
    Result<ObjectAttributes> attributes_of(int fd) const;
    // What lies in the graveyard under an id that is not its own, with all that is in it. REQUIRES: !carries_ids(). False: nothing was removed.
    Result<bool> remove_unfinished_grave(int directory_fd, const std::string& name) const;
    // Name of an object in the graveyard: its id in text.
    static std::string grave_name(const ObjectId& object);

private:
    // From a directory downwards: the objects whose names are being looked for.
    using Above = std::vector<ObjectId>;
    bool opens_by_handle() const;
    Result<UniqueFd> open_from_top(const ObjectId& object, const ImageLocation& location, int flags, Above& above) const;
    Result<UniqueFd> open_by_names(const ObjectId& object, const ImageLocation& location, int flags, Above& above) const;
    Result<UniqueFd> open_holder(const ObjectId& directory, const ImageLocation& location, Above& above) const;
    Result<UniqueFd> open_searched(const ObjectId& object, const ImageLocation& location, int flags) const;
    Result<UniqueFd> open_named(int directory_fd, const std::string& name, const ImageLocation& location, int flags) const;

    UniqueFd root_;
    UniqueFd graveyard_;
    std::unique_ptr<SpilledXattrs> spilled_;
    const Index* index_ = nullptr;
    const Places* places_ = nullptr;
    const ObjectMarks* marks_ = nullptr;
};

}  // namespace holdfast::rewind

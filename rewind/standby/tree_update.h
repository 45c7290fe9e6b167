// Brings names and objects of a standby tree to what the store's image has: those that somebody names, and nothing else.
//
// Nothing is said of what happened to them. The image is the present, and what the tree has may be of any age, also from the middle of another attempt: what
// stands at each name is looked up, and the passes of NameChanger (apply/change_names.h) lead from there to the end. So the same code follows, goes on
// after a crash, goes back and repairs.
//
// Thread rule: the store's thread; nothing is applied to the store meanwhile.
#pragma once

#include <deque>
#include <functional>
#include <unordered_set>

#include "rewind/apply/batch.h"
#include "rewind/apply/changes.h"
#include "rewind/apply/object_files.h"
#include "rewind/index/index.h"
#include "rewind/standby/tree_places.h"

namespace holdfast::rewind {

// What a standby tree is made equal to.
struct Original {
    const Image& image;
    const Index& index;
    const UndoLog& undo;
    Lsn applied;       // the image's moment
    Lsn window_begin;  // undo and index know what happened since
};

class TreeUpdate {
public:
    TreeUpdate(const Original& original, ObjectFiles& files, TreePlaces& places) : original_(original), files_(files), places_(places) {}

    // NAME of DIRECTORY shall lead to what it leads to in the image, where it has that.
    Status take_name(const ObjectId& directory, std::string_view name);
    // OBJECT shall have the attributes that it has in the image. One that has no name there may be missing.
    Status take_object(const ObjectId& object);

    // BYTES is asked to bring those of a regular file. Attributes are set afterwards.
    enum class Age {
        born,   // made just now: it holds nothing
        new_,   // it came to the tree since its position, and may hold anything
        known,
    };
    using Bytes = std::function<Status(const ObjectId& object, Age age)>;
    // IS_WHOLE: the tree had everything at its position, so that what it lacks now and nobody gave a name was taken away by somebody else, which is an error
    // (corrupt). Otherwise a walk is under way, which will come to what is not there yet.
    Status run(bool is_whole, const Bytes& bytes);

    // That were made, and so have nothing of what the image has in them.
    const std::vector<ObjectId>& born_directories() const { return born_directories_; }

private:
    Status check_births() const;
    void leave_for_the_walk();
    Result<ObjectId> occupant(const ObjectId& directory, const std::string& name);
    Status describe(const ObjectId& object, ObjectChange& change);

    const Original& original_;
    ObjectFiles& files_;
    TreePlaces& places_;
    Changes changes_;
    Arena memory_;
    std::deque<Record> births_;
    std::unordered_set<ObjectId> seen_;
    std::vector<ObjectId> born_directories_;
    ObjectId open_directory_;  // of the image
    UniqueFd directory_fd_;
};

// The file of OBJECT in the image, to read. Nothing: it has no name there any more.
Result<std::optional<UniqueFd>> open_original(const Original& original, const ObjectId& object);
// The bytes of TARGET become those of the image's OBJECT, where a record since SINCE touched them. They are copied and never shared: a disk that loses a block must not
// take it from both trees, and applications must not pay with each write for what is shared.
Status bring_touched_bytes(const Original& original, const ObjectId& object, Lsn since, int target);
Status bring_all_bytes(const Original& original, const ObjectId& object, int target);

}  // namespace holdfast::rewind

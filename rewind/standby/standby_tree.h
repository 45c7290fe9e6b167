// The standby tree of a replica: the directory that will be served when this host takes over, kept equal to the store's image (decision 0023).
//
// It follows the image by what the undo log says was touched since its position (tree_update.h); where that does not lead there it is compared
// (tree_comparison.h). The store goes on whatever happens here: a tree that cannot go on says why, and is tried again.
//
// Between the end of one advance() and the beginning of the next the tree is one moment of the volume, but while it is compared. It has a name of its own in its top,
// the graveyard (kept_name()), which is empty then and is nothing to anybody else.
//
// Durability: position() is on the tree's disk. A crash at any moment leaves a tree from which the next advance() goes on.
//
// Thread rule: condition() from any thread, the others from the store's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "journal/volume.h"
#include "rewind/standby/tree_comparison.h"

namespace holdfast::rewind {

// The name in a standby directory's top that is the product's own. It says whose it is.
std::string kept_name(const journal::VolumeId& volume);
// Errors: busy when something is mounted over it that would be in between.
Result<UniqueFd> open_standby_directory(const std::string& directory);

class StandbyTree {
public:
    enum class State { unreachable, comparing, following };
    struct Condition {
        State state = State::unreachable;
        Lsn position = 0;              // the moment of the volume that it is; 0: of none
        TreeComparison::Figures figures;  // of the comparison under way, or of the last one
        uint64_t comparisons = 0;         // that ended since the store was opened
        bool lacks_attributes = false;    // its file system has no room for some extended attributes; they are kept in the store
        std::optional<Error> failure;
    };

    // Its directory is looked for by the first advance(). REQUIRES: VOLUME has one. Errors: io, no_space.
    static Result<std::unique_ptr<StandbyTree>> open(const journal::Volume& volume, const Clock& clock);

    // A step towards what ORIGINAL is. True: there is more to do at once.
    bool advance(const Original& original);
    // The image has gone back to ORIGINAL.applied; undo and index still know what was touched since. Errors: the tree could not follow and that
    // could not be kept in mind either.
    Status go_back(const Original& original);
    // Nothing that is known says what differs from here on. Durable on return.
    Status must_compare();
    // The position becomes durable.
    void save();

    Condition condition() const;

private:
    StandbyTree(const journal::Volume& volume, std::unique_ptr<TreePlaces> places, const Clock& clock);

    Status reach(const Original& original);
    Result<bool> take_step(const Original& original);
    Result<bool> compare(const Original& original);
    Result<std::vector<ObjectId>> follow(const Original& original, Lsn from);
    Status empty_graveyard();
    Status save_position();
    void let_go();
    void fail(const Error& error);
    void tell();

    const std::string directory_, store_, kept_name_;
    const std::unique_ptr<TreePlaces> places_;
    const Clock& clock_;

    std::optional<Image> tree_;        // while it is open
    std::optional<ObjectFiles> files_;
    std::optional<TreeComparison> comparison_;
    Lsn reached_ = 0;                  // while it follows
    TreeComparison::Figures found_;    // by the last comparison
    uint64_t comparisons_ = 0;
    uint64_t retry_due_ns_ = 0;
    uint64_t retry_pause_ns_;

    mutable Mutex mutex_;
    Condition condition_ HF_GUARDED_BY(mutex_);
};

}  // namespace holdfast::rewind

// Compares a standby tree with the store's image and makes it equal: one that is new, was filled by other means, was changed behind the product's
// back, or whose place in history is not known.
//
// Directory by directory from the top, names and attributes first, then the bytes of the files in it, in steps: the store applies what comes in between. So
// what was visited may have changed since, and what moved may have been missed. Therefore the walk ends with what the undo log says was touched
// since its beginning; directories that moved or were made meanwhile are walked once more, until there are none.
//
// A file that is there under the right name, of the right type, and is no object of the volume becomes that object: a tree that was filled
// from a backup costs no copy.
//
// Thread rule: the store's thread. A comparison that an error ended is begun anew.
#pragma once

#include <sys/stat.h>

#include <deque>
#include <vector>

#include "rewind/standby/tree_update.h"

namespace holdfast::rewind {

class TreeComparison {
public:
    struct Figures {
        uint64_t objects = 0;
        uint64_t bytes_compared = 0;
        uint64_t differences = 0;  // names, attributes, and pieces of files
    };

    // KEPT: the name in the tree's top that is the product's own.
    TreeComparison(ObjectFiles& files, TreePlaces& places, std::string kept, Lsn since) : files_(files), places_(places), kept_(std::move(kept)), since_(since) {
        directories_.push_back(journal::root_object);
    }

    // Some of the work; true: nothing is left but what was touched since(). REQUIRES: since() is in the window.
    Result<bool> step(const Original& original);
    Lsn since() const { return since_; }
    // Everything up to NOW was followed, and these directories were made or moved meanwhile. False: they must be walked, and what is touched from NOW on followed.
    bool followed(Lsn now, std::vector<ObjectId> walk_again);
    const Figures& figures() const { return figures_; }

private:
    struct FileWork {
        ObjectId object;
        uint64_t offset = 0;
    };
    struct Entry {
        ObjectId directory;
        std::string name;
        ObjectId object;     // that NAME leads to in the image
        struct stat status;  // of that
    };

    Status visit(const Original& original, const ObjectId& directory);
    Status meet(const Original& original, TreeUpdate& update, const Entry& entry, const ObjectId* there);
    Result<bool> adopt(const Entry& entry, const ObjectId& there);
    Result<bool> is_equal(const Original& original, const Entry& entry);
    Result<bool> compare_some(const Original& original, FileWork& work);

    ObjectFiles& files_;
    TreePlaces& places_;
    const std::string kept_;
    Lsn since_;
    std::vector<ObjectId> directories_;  // to be visited
    std::deque<FileWork> work_;
    Figures figures_;
    std::vector<std::byte> ours_, theirs_;  // a piece of the image's file, and of the tree's
};

}  // namespace holdfast::rewind

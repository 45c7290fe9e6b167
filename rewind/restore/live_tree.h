// The live mount as a rewind acts on it: directories are reached by object, through the places where they stand by now,
// and every one is checked by inode before anything is done in it.
//
// Ownership: borrows the mount's descriptor. Thread rule: one thread.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "rewind/restore/names_at.h"

namespace holdfast::rewind {

inline constexpr size_t live_directories_max = 256;  // descriptors kept open

class LiveTree {
public:
    LiveTree(NamesAt& now, int mount_fd) : now_(now), mount_fd_(mount_fd) {}

    // Errors: busy when it is not where and what it should be: somebody changed it meanwhile.
    Result<std::shared_ptr<UniqueFd>> directory(const ObjectId& directory);
    // Where OBJECT stands by now; with several names, one of them.
    Result<Place> place_of(const ObjectId& object);
    // Ok when PLACE leads to OBJECT. Errors: busy, io.
    Status check(const Place& place, const ObjectId& object);
    // O_PATH, O_RDWR, ...; checked like directory().
    Result<UniqueFd> open(const ObjectId& object, int flags);

    void set_place(const ObjectId& object, const Place& place) { places_[object] = place; }
    // OBJECT has lost this name; what else it is called by is still known.
    void lose_place(const ObjectId& object, const Place& place);
    // OBJECT was made anew, under another inode.
    void set_inode(const ObjectId& object, uint64_t inode) { inodes_[object] = inode; }
    bool is_made(const ObjectId& object) const { return inodes_.count(object) != 0; }

private:
    uint64_t inode_of(const ObjectId& object) const;
    Status expect(int fd, const ObjectId& object, const std::string& name) const;

    NamesAt& now_;
    const int mount_fd_;
    std::unordered_map<ObjectId, Place> places_;
    std::unordered_map<ObjectId, std::vector<Place>> lost_;
    std::unordered_map<ObjectId, uint64_t> inodes_;
    std::unordered_map<ObjectId, std::shared_ptr<UniqueFd>> open_;
};

}  // namespace holdfast::rewind

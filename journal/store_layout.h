// Making a store, recognising one, and taking back one whose making failed.
//
// volume.toml is written last: a directory that holds parts of the layout and no volume.toml is a store that was being
// made when its maker died, and is simply made again.
// Thread rule: one thread.
#pragma once

#include <string>

#include "base/result.h"
#include "journal/volume.h"

namespace holdfast::journal {

enum class StoreState {
    absent,     // nothing is there
    empty,      // an empty directory
    half_made,  // parts of the layout and nothing else, without content
    made,       // volume.toml is there, whatever it says
    foreign,    // anything else
};
// Errors: io, permission.
Result<StoreState> look_at_store(const std::string& store);

// Files that will be made in DIRECTORY keep their holes when somebody shares their extents (a first copy, a backup by reflink): on XFS the first write to a shared block takes room for
// the 128 KiB around it, holes too, and what was read of these looks like data from then on (SEEK_DATA), so that history would hold data where there was
// a hole. Here it takes room for the block alone. Errors: io.
Status keep_holes(const std::string& directory);

class NewStore {
public:
    // Makes directories, the marker of the first copy, and volume.toml; registers the volume. What exists already is
    // used. The image's top is made plain (root's, 0700, no xattr, time zero), so that a stream that begins with the
    // empty tree leads to the same on every host. Durable on return. When it fails, everything that it made is removed again.
    // REQUIRES: look_at_store() says absent, empty or half_made.
    static Result<NewStore> make(const Volume& volume);
    // Removes what was made, and what was put into it since, unless keep() was called.
    ~NewStore();
    NewStore(NewStore&& other) noexcept;
    NewStore& operator=(NewStore&&) = delete;
    void keep() { kept_ = true; }

private:
    explicit NewStore(Volume volume) : volume_(std::move(volume)) {}
    Status make_directory(const std::string& path);
    Status fill();

    Volume volume_;
    std::vector<std::string> made_;  // directories, outermost first
    bool kept_ = false;
    bool registered_ = false;
};

// Waits until nobody holds STORE/lock: the supervisor and its children have ended. Errors: busy after TIMEOUT_MS.
Status wait_for_store_lock(const std::string& store, int timeout_ms);

}  // namespace holdfast::journal

// What covers a directory while the mount that will be used there is put together elsewhere (docs/decisions/0015): a mount that answers nobody,
// so whoever comes meanwhile waits. When the other mount stands on it, it answers "look again" (ESTALE): the kernel then walks the path once more, from
// its beginning, and arrives at the other mount. Nobody sees the directory beneath, an error, or half of what is to be there.
//
// It stays beneath the other mount for as long as that is there, and is taken away when it comes to light, before anybody is answered.
//
// Thread rule: the supervisor's one thread. Ownership: the mount; remove() takes it out of sight, otherwise it outlives the object.
#pragma once

#include <vector>

#include "base/result.h"
#include "fusefs/fuse_mount.h"

namespace holdfast::fusefs {

class Door {
public:
    static Result<Door> make(const std::string& source, const std::string& directory, int backing_fd, unsigned long flags);

    // Readable when somebody waits; -1 when nobody can any more.
    int fd() const { return mount_.device_fd(); }
    // Tells everybody who waits now to look again. REQUIRES: whoever looks finds something else than this.
    void answer();
    bool is_on_top() const;
    // Takes it out of sight. Who waits goes on waiting for answer().
    void remove() { mount_.detach(); }
    // Who still waits gets an error.
    void close() { mount_.close_device(); }

private:
    explicit Door(FuseMount mount) : mount_(std::move(mount)) {}

    FuseMount mount_;
    std::vector<std::byte> buffer_;
};

}  // namespace holdfast::fusefs

#include "rewind/service/confinement.h"

#include <linux/capability.h>
#include <sys/stat.h>

#include "base/file_handle.h"
#include "base/mount_table.h"
#include "journal/inflight.h"
#include "rewind/image.h"

namespace holdfast::rewind {

namespace {

// xattrs of the class trusted, which hold the objects' ids; files of every owner; objects by handle; owners, modes, devices and file
// capabilities of an image as they are at its source.
constexpr Capabilities kept = capability(CAP_SYS_ADMIN) | capability(CAP_DAC_OVERRIDE) | capability(CAP_DAC_READ_SEARCH) | capability(CAP_CHOWN) |
                              capability(CAP_FOWNER) | capability(CAP_FSETID) | capability(CAP_MKNOD) | capability(CAP_SETFCAP);

Confinement confinement_of(const journal::Volume& volume) {
    Confinement confinement;
    confinement.capabilities = kept;
    confinement.places.push_back({.path = volume.store});
    if (!is_within(volume.journal_directory, volume.store)) confinement.places.push_back({.path = volume.journal_directory});
    // Where its disk is not mounted now, the standby directory is out of reach until the service is started anew.
    struct stat standby;
    if (volume.has_standby_directory() && ::stat(volume.directory.c_str(), &standby) == 0 && S_ISDIR(standby.st_mode))
        confinement.places.push_back({.path = volume.directory});
    // For the links of its own descriptors.
    confinement.places.push_back({.path = "/proc", .read_only = true, .with_mounts = false});
    confinement.handles = {volume.store, {"/image", "/graveyard"}};
    return confinement;
}

}  // namespace

Result<Confined> confine_to(const journal::Volume& volume, std::vector<std::string> handed_in, std::vector<int> readable) {
    (void)journal::current_boot_id();  // read once, while it can be
    Confinement confinement = confinement_of(volume);
    confinement.handed_in = std::move(handed_in);
    confinement.readable = std::move(readable);
    Confined confined = HF_TRY(confine(confinement));
    open_all_handles_with(confined.handle_fd, confined.reconnector);
    Image::reach_through(confined.handle_directory);
    return confined;
}

}  // namespace holdfast::rewind

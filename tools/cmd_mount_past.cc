#include <sys/mount.h>

#include <cerrno>

#include "base/json.h"
#include "base/name_text.h"
#include "journal/grant.h"
#include "tools/cli/mounts.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;
using cli::StoreService;

Result<Report> mount_past(const Arguments& arguments) {
    journal::Volume volume = HF_TRY(cli::resolve_volume(arguments.text("VOLUME")));
    std::string directory = HF_TRY(cli::absolute_path(arguments.text("DIR")));
    auto service = HF_TRY(StoreService::connect(volume, StoreService::Start::detached));
    const auto grant = HF_TRY(journal::Grant::give(volume.id, directory));
    Report report;
    report.json = HF_TRY(service.call({{"verb", "mount-past"}, {"directory", name_to_text(directory)}}));
    report.text = "The past of " + printable(journal::name_of(volume)) + " is in " + printable(directory) + ": look at " + printable(directory) + "/@10m, @2026-03-01T14:03 or @BOOKMARK.\n";
    return report;
}

// The services that run, asked one after the other: the one that mounted it takes it away.
Result<bool> unmount_by_service(const std::string& directory) {
    for (const journal::Volume& volume : HF_TRY(journal::registered_volumes())) {
        auto service = StoreService::connect(volume, StoreService::Start::never);
        if (!service) continue;
        auto unmounted = service->call({{"verb", "umount-past"}, {"directory", name_to_text(directory)}});
        if (!unmounted && unmounted.error().code == ErrorCode::not_found) continue;
        if (!unmounted) return std::move(unmounted).error();
        // A service that a command started for a mount of the past alone has done its work.
        Json status = HF_TRY(service->call({{"verb", "status"}}));
        if (!status.value("supervised", true) && number_or(status, "past_mounts", 1) == 0) (void)service->call({{"verb", "stop"}});
        return true;
    }
    return false;
}

Result<Report> umount_past(const Arguments& arguments) {
    std::string directory = HF_TRY(cli::absolute_path(arguments.text("DIR")));
    bool done = HF_TRY(unmount_by_service(directory));
    if (!done) {
        // Its service is gone: the mount itself may still be there, dead.
        const auto mounts = HF_TRY(read_mount_table());
        const MountEntry* mount = cli::mount_at(mounts, directory);
        if (mount == nullptr || mount->type != cli::past_mount_type)
            return Error{ErrorCode::not_found, "no past is mounted at " + printable(directory) + ": `findmnt -t fuse.holdfast-past` lists those that are"};
        if (::umount2(directory.c_str(), UMOUNT_NOFOLLOW) != 0) return errno_error(errno, "unmount " + printable(directory));
    }
    Report report;
    report.text = printable(directory) + " is unmounted.\n";
    report.json = {{"directory", name_to_text(directory)}};
    return report;
}

}  // namespace

const Command mount_past_command = {
    "mount-past",
    "mount every moment as a read-only directory",
    "holdfast mount-past /srv/data /mnt/past",
    {{"VOLUME", Parameter::Kind::required, "", "the protected directory, its store or id"},
     {"DIR", Parameter::Kind::required, "", "an existing directory; @BOOKMARK, @2026-03-01T14:03:20 and @10m appear in it on demand"}},
    mount_past};

const Command umount_past_command = {
    "umount-past", "take a mount of the past away", "holdfast umount-past /mnt/past", {{"DIR", Parameter::Kind::required, "", "where it is mounted"}}, umount_past};

}  // namespace holdfast::tools

#include <sys/mount.h>

#include <algorithm>
#include <cerrno>

#include "base/name_text.h"
#include "journal/store_layout.h"
#include "tools/cli/mounts.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;
using journal::Volume;

// The store service takes in what is left before the lock is free. A long backlog is worth this much patience; after
// it the services still finish by themselves.
constexpr int release_timeout_ms = 30 * 60 * 1000;
constexpr int turn_ms = 250;

Status unmount(const Volume& volume) {
    if (::umount2(volume.directory.c_str(), UMOUNT_NOFOLLOW) == 0) return ok();
    if (errno == EBUSY)
        return Error{ErrorCode::busy, printable(volume.directory) + " is in use: end the programs that work in it (`fuser -vm " +
                                          printable(volume.directory) + "` lists them) and try again"};
    return errno_error(errno, "unmount " + printable(volume.directory));
}

// Until supervisor and services have ended, with what they still have to take in.
Status wait_for_end(const Volume& volume, bool quiet) {
    cli::Progress progress("taking in what is left", quiet);
    uint64_t at_start = 0;
    for (int waited_ms = 0;; waited_ms += turn_ms) {
        Status free = journal::wait_for_store_lock(volume.store, turn_ms);
        if (free || free.error().code != ErrorCode::busy || waited_ms >= release_timeout_ms) return free;
        auto status = json_call(journal::store_socket(volume.id), {{"verb", "status"}});
        if (!status) continue;
        uint64_t published = status->value("published", uint64_t{0}), applied = status->value("applied", uint64_t{0});
        uint64_t behind = published - std::min(published, applied);
        at_start = std::max(at_start, behind);
        progress.update(at_start - behind, at_start, true);
    }
}

// There is nothing to uncover, only something to forget.
Result<Report> forget_replica(const Volume& volume, const Arguments& arguments) {
    if (!arguments.given("--forget"))
        HF_TRY(journal::check_is_source(volume, "no directory of this host is protected by it; --forget removes it from the list of this host's volumes"));
    HF_TRY(journal::unregister_volume(volume));
    Report report;
    report.text = "This host has forgotten the replica in " + printable(volume.store) + "; its history stays there.\n";
    report.json = {{"directory", Json()}, {"store", name_to_text(volume.store)}, {"was_mounted", false}, {"forgotten", true}};
    return report;
}

Result<Report> unprotect(const Arguments& arguments) {
    Volume volume = HF_TRY(cli::resolve_volume(arguments.text("DIR")));
    if (volume.is_replica()) return forget_replica(volume, arguments);
    bool was_mounted = HF_TRY(cli::is_captured(volume.directory));
    if (was_mounted) HF_TRY(unmount(volume));
    HF_TRY(wait_for_end(volume, arguments.json()));
    bool forgets = arguments.given("--forget");
    if (forgets) HF_TRY(journal::unregister_volume(volume));
    Report report;
    report.text = printable(volume.directory) + (was_mounted ? " is an ordinary directory again" : " was not mounted") + "; its history stays in " +
                  printable(volume.store) + (forgets ? ", and this host has forgotten it.\n" : ".\n");
    report.json = {{"directory", name_to_text(volume.directory)}, {"store", name_to_text(volume.store)}, {"was_mounted", was_mounted}, {"forgotten", forgets}};
    return report;
}

}  // namespace

const Command unprotect_command = {
    "unprotect",
    "stop recording a directory; its files and its history stay",
    "holdfast unprotect /srv/data",
    {{"DIR", Parameter::Kind::required, "", "the directory, its store or its volume id"},
     {"--forget", Parameter::Kind::flag, "", "also remove it from the list of this host's volumes; the store is not touched"}},
    unprotect};

}  // namespace holdfast::tools

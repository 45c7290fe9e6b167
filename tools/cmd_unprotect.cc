#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/inner_binds.h"
#include "base/json.h"
#include "base/name_text.h"
#include "base/unique_fd.h"
#include "journal/assembly_directory.h"
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
constexpr int stacked_mounts_max = 16;
// What holds up the end for so long is looked for.
constexpr int patience_ms = 2000;

Status unmount(const Volume& volume) {
    Status unmounted = unmount_with_binds(volume.directory, cli::capture_mount_type);
    if (unmounted) return ok();
    if (unmounted.error().sys_errno == EBUSY)
        return Error{ErrorCode::busy, printable(volume.directory) + " is in use: end the programs that work in it (`fuser -vm " +
                                          printable(volume.directory) + "` lists them) and try again"};
    return unmounted;
}

// Of a supervisor that died: what it had put beneath the mount (fusefs/door.h), and what it was putting together (fusefs/assembly.h). One that lives takes it away before the store is free, and another that
// begins holds the store.
void remove_left_behind(const Volume& volume) {
    const UniqueFd lock(::open((volume.store + "/lock").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!lock || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return;
    const std::string assembly = journal::assembly_directory(volume.id);
    for (int round = 0; round < stacked_mounts_max && ::umount2(assembly.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) == 0; ++round) {
    }
    for (int round = 0; round < stacked_mounts_max; ++round) {
        const auto mounts = read_mount_table();
        const MountEntry* top = mounts ? cli::mount_at(*mounts, volume.directory) : nullptr;
        if (!top || top->type != cli::capture_mount_type || top->source != volume.store) return;
        if (::umount2(volume.directory.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) != 0) return;
    }
}

// A mount goes on, recorded as ever, as long as a container or a service with a mount namespace of its own has a copy of it.
void tell_of_copies(const Volume& volume) {
    for (const auto& [pid, command, point] : cli::mounted_elsewhere(volume.store))
        std::fprintf(stderr, "waiting: process %d (%s) has a copy of the mount in its mount namespace, and goes on being recorded there; end it, or `nsenter -t %d -m umount -l %s`\n", pid,
                     printable(command).c_str(), pid, printable(point).c_str());
}

// Until supervisor and services have ended, with what they still have to take in.
Status wait_for_end(const Volume& volume, bool quiet) {
    cli::Progress progress("taking in what is left", quiet);
    uint64_t at_start = 0;
    bool told = false;
    for (int waited_ms = 0;; waited_ms += turn_ms) {
        Status free = journal::wait_for_store_lock(volume.store, turn_ms);
        if (free || free.error().code != ErrorCode::busy || waited_ms >= release_timeout_ms) return free;
        if (!told && waited_ms >= patience_ms) tell_of_copies(volume);
        told = told || waited_ms >= patience_ms;
        auto status = json_call(journal::store_socket(volume.id), {{"verb", "status"}});
        if (!status && status.error().sys_errno == ETIMEDOUT) waited_ms += json_silence_ms + json_probe_ms;
        if (!status) continue;
        uint64_t published = number_or(*status, "published", 0), applied = number_or(*status, "applied", 0);
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
    if (was_mounted) remove_left_behind(volume);
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

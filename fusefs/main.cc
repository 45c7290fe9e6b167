// mount.fuse.holdfast: the helper that mount(8) runs for `mount -t fuse.holdfast STORE DIRECTORY`, the supervisor that
// it becomes, and, with private arguments, the supervisor's children. See docs/processes.md.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "fusefs/binder.h"
#include "fusefs/foreground.h"
#include "fusefs/fuse_mount.h"
#include "fusefs/mount_checks.h"
#include "fusefs/mount_options.h"
#include "fusefs/supervisor.h"
#include "fusefs/worker.h"
#include "fusefs/worker_arguments.h"

using namespace holdfast;
using namespace holdfast::fusefs;

namespace {

int report(const Error& error, int status) {
    std::fprintf(stderr, "mount.fuse.holdfast: %s\n", error.message.c_str());
    return status;
}

// A caller may have closed some of them; what we open next must not land there and be taken for standard error.
void fill_standard_descriptors() {
    int fd;
    do fd = ::open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) ::close(fd);
}

Status change_flags(const MountOptions& options) {
    return remount(HF_TRY(resolved_path(options.directory)), options.flags);
}

int mount_directory(MountOptions options) {
    if (options.remount) {
        Status changed = change_flags(options);
        return changed ? 0 : report(changed.error(), exit_mount_failed);
    }
    // The supervisor lives at "/", so names must not depend on where it was started.
    options.source = std::filesystem::absolute(options.source).string();
    options.directory = std::filesystem::absolute(options.directory).string();
    int status = exit_mount_failed;
    auto split = Foreground::split(status);
    if (!split) return report(split.error(), exit_mount_failed);
    if (!*split) return status;
    return Supervisor(std::move(options), std::move(**split)).run();
}

}  // namespace

int main(int argc, char** argv) {
    fill_standard_descriptors();
    ::prctl(PR_SET_NAME, "mount.fuse.holdfast");  // children are started by descriptor, which older kernels show as a number
    const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    auto child = parse_worker_arguments(arguments);
    if (!child) return report(child.error(), exit_usage);
    if (*child) return (*child)->recover_only ? run_recovery(**child) : run_worker(**child);
    auto binder = parse_binder_arguments(arguments);
    if (!binder) return report(binder.error(), exit_usage);
    if (*binder) return run_binder(**binder);
    auto options = parse_mount_options(arguments);
    if (!options) return report(options.error(), exit_usage);
    return mount_directory(std::move(*options));
}

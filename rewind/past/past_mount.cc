#define FUSE_USE_VERSION 314
#include "rewind/past/past_mount.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>

#include "base/check.h"
#include "base/log.h"
#include "base/mount_table.h"
#include "base/text.h"
#include "rewind/past/past_operations.h"

namespace holdfast::rewind {

namespace {

constexpr uint32_t readahead_kib = 1024;

// Most readers go through a file from its start; the kernel's default of 128 KiB would ask in small pieces. Only a
// wish: where the setting cannot be reached, reading is slower and nothing else.
void raise_readahead(const std::string& directory) {
    auto table = read_mount_table();
    if (!table) return;
    for (const MountEntry& mount : *table) {
        if (mount.point != directory || mount.type != past_mount_type) continue;
        std::ofstream("/sys/class/bdi/" + mount.device + "/read_ahead_kb") << readahead_kib;
    }
}

Result<UniqueFd> watch(int fuse_fd, int stop_fd) {
    UniqueFd events(::epoll_create1(EPOLL_CLOEXEC));
    if (!events) return errno_error(errno, "make an event queue");
    // Exclusive: one request wakes one thread, not all of them.
    epoll_event request{EPOLLIN | EPOLLEXCLUSIVE, {.fd = fuse_fd}};
    epoll_event stop{EPOLLIN, {.fd = stop_fd}};
    if (::epoll_ctl(events.get(), EPOLL_CTL_ADD, fuse_fd, &request) != 0 ||
        ::epoll_ctl(events.get(), EPOLL_CTL_ADD, stop_fd, &stop) != 0)
        return errno_error(errno, "watch the FUSE device");
    return events;
}

}  // namespace

Result<std::unique_ptr<PastMount>> PastMount::mount(const PastSource& source, const Clock& clock,
                                                    const journal::VolumeId& volume, const std::string& directory) {
    std::unique_ptr<PastMount> made(new PastMount(source, clock, directory));
    HF_TRY(made->start(volume));
    raise_readahead(directory);
    return made;
}

Status PastMount::start(const journal::VolumeId& volume) {
    if (::access("/dev/fuse", R_OK | W_OK) != 0)
        return Error{ErrorCode::unsupported,
                     "there is no usable /dev/fuse: load the kernel's fuse module (modprobe fuse)", errno};
    const std::string options =
        "ro,nosuid,nodev,allow_other,default_permissions,subtype=holdfast-past,fsname=" + to_string(volume);
    const char* words[] = {"holdfast-store", "-o", options.c_str()};
    fuse_args arguments = FUSE_ARGS_INIT(3, const_cast<char**>(words));
    session_ = ::fuse_session_new(&arguments, &past_operations(), sizeof(fuse_lowlevel_ops), &filesystem_);
    ::fuse_opt_free_args(&arguments);
    if (!session_) return Error{ErrorCode::io, "libfuse refused to make a session for the mount of the past"};
    if (::fuse_session_mount(session_, directory_.c_str()) != 0)
        return errno_error(errno ? errno : EIO, "mount the past at " + quoted(directory_));
    mounted_ = true;
    const int fuse_fd = ::fuse_session_fd(session_);
    ::fcntl(fuse_fd, F_SETFL, ::fcntl(fuse_fd, F_GETFL) | O_NONBLOCK);
    ::fcntl(fuse_fd, F_SETFD, FD_CLOEXEC);
    stop_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!stop_) return errno_error(errno, "make an eventfd");
    running_ = past_threads;
    for (int i = 0; i < past_threads; ++i) {
        threads_.emplace_back([this] {
            serve();
            --running_;
        });
    }
    return ok();
}

void PastMount::serve() {
    Result<UniqueFd> events = watch(::fuse_session_fd(session_), stop_.get());
    if (!events) return log_error("A thread of the mount of the past ended: " + events.error().message + ".");
    fuse_buf buffer{};
    while (!::fuse_session_exited(session_)) {
        epoll_event ready[2];
        const int count = ::epoll_wait(events->get(), ready, 2, -1);
        if (count < 0 && errno == EINTR) continue;
        HF_CHECK(count > 0);
        if (ready[0].data.fd == stop_.get() || (count > 1 && ready[1].data.fd == stop_.get())) break;
        const int received = ::fuse_session_receive_buf(session_, &buffer);
        if (received == -EAGAIN || received == -EINTR) continue;
        // The end of the mount is 0 here, everything else is a broken connection: in both cases nothing more comes.
        if (received <= 0) break;
        ::fuse_session_process_buf(session_, &buffer);
    }
    std::free(buffer.mem);
}

PastMount::~PastMount() {
    if (stop_) {
        const uint64_t one = 1;
        HF_CHECK(::write(stop_.get(), &one, sizeof one) == sizeof one);
    }
    for (std::thread& thread : threads_) thread.join();
    // Detaches lazily, unless the connection has ended already: then something else may be mounted there by now.
    if (mounted_) ::fuse_session_unmount(session_);
    if (session_) ::fuse_session_destroy(session_);
}

Status PastMount::unmount() {
    // The threads go on serving meanwhile: the kernel gives back what it holds.
    if (::umount2(directory_.c_str(), UMOUNT_NOFOLLOW) == 0) return ok();
    if (errno == EBUSY)
        return Error{ErrorCode::busy,
                     "somebody uses " + quoted(directory_) + "; leave it (cd, open files) and try again", EBUSY};
    // Not mounted any more: somebody was faster.
    if (errno == EINVAL && has_ended()) return ok();
    return errno_error(errno, "unmount " + quoted(directory_));
}

std::vector<std::string> detach_dead_mounts(const journal::VolumeId& volume) {
    std::vector<std::string> detached;
    auto table = read_mount_table();
    if (!table) {
        log_warning("Dead mounts of the past are not looked for: " + table.error().message + ".");
        return detached;
    }
    // The newest first, as they may lie on each other.
    for (auto mount = table->rbegin(); mount != table->rend(); ++mount) {
        if (mount->type != past_mount_type || mount->source != to_string(volume)) continue;
        if (::umount2(mount->point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) {
            log_warning("The dead mount of the past at " + quoted(mount->point) +
                        " cannot be detached: " + strerror(errno) + ".");
            continue;
        }
        log_info("The dead mount of the past at " + quoted(mount->point) + " was detached.");
        detached.push_back(mount->point);
    }
    return detached;
}

}  // namespace holdfast::rewind

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

Result<UniqueFd> mount_past_device(const journal::VolumeId& volume, const std::string& directory) {
    UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!device)
        return Error{ErrorCode::unsupported,
                     "there is no usable /dev/fuse: load the kernel's fuse module (modprobe fuse)", errno};
    const std::string options = "fd=" + std::to_string(device.get()) +
                                ",rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions";
    if (::mount(to_string(volume).c_str(), directory.c_str(), past_mount_type, MS_RDONLY | MS_NOSUID | MS_NODEV, options.c_str()) != 0)
        return errno_error(errno, "mount the past at " + quoted(directory));
    raise_readahead(directory);
    return device;
}

Status unmount_past(const std::string& directory) {
    if (::umount2(directory.c_str(), UMOUNT_NOFOLLOW) == 0) return ok();
    if (errno == EBUSY)
        return Error{ErrorCode::busy,
                     "somebody uses " + quoted(directory) + "; leave it (cd, open files) and try again", EBUSY};
    return errno_error(errno, "unmount " + quoted(directory));
}

void detach_past(const std::string& directory) {
    ::umount2(directory.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
}

Result<std::unique_ptr<PastMount>> PastMount::mount(const PastSource& source, const Clock& clock,
                                                    const journal::VolumeId& volume, const std::string& directory) {
    UniqueFd device = HF_TRY(mount_past_device(volume, directory));
    return serve(source, clock, std::move(device), directory, [directory] { detach_past(directory); });
}

Result<std::unique_ptr<PastMount>> PastMount::serve(const PastSource& source, const Clock& clock, UniqueFd device,
                                                    const std::string& directory, Detach detach) {
    std::unique_ptr<PastMount> made(new PastMount(source, clock, directory, std::move(detach)));
    if (Status started = made->start(std::move(device)); !started) {
        made->detach_();
        return std::move(started).error();
    }
    return made;
}

Status PastMount::start(UniqueFd device) {
    const char* words[] = {"holdfast-store"};
    fuse_args arguments = FUSE_ARGS_INIT(1, const_cast<char**>(words));
    session_ = ::fuse_session_new(&arguments, &past_operations(), sizeof(fuse_lowlevel_ops), &filesystem_);
    ::fuse_opt_free_args(&arguments);
    if (!session_) return Error{ErrorCode::io, "libfuse refused to make a session for the mount of the past"};
    // So the library takes a device over that is mounted already.
    const std::string place = "/dev/fd/" + std::to_string(device.get());
    if (::fuse_session_mount(session_, place.c_str()) != 0) return errno_error(errno ? errno : EIO, "serve the past at " + quoted(directory_));
    (void)device.release();
    stop_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!stop_) return errno_error(errno, "make an eventfd");
    running_ = past_threads;
    for (int i = 0; i < past_threads; ++i) {
        threads_.emplace_back([this] {
            answer();
            --running_;
        });
    }
    return ok();
}

void PastMount::answer() {
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
    // Unless the connection has ended already: then something else may be mounted there by now.
    if (stop_ && is_connected()) detach_();
    if (session_) ::fuse_session_destroy(session_);
}

bool PastMount::is_connected() const {
    pollfd device{::fuse_session_fd(session_), 0, 0};
    return ::poll(&device, 1, 0) == 0 || !(device.revents & POLLERR);
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

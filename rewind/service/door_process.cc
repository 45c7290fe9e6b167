#include "rewind/service/door_process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/file_handle.h"
#include "base/log.h"
#include "base/mount_trees.h"
#include "base/program.h"
#include "base/system_call_filter.h"
#include "base/text.h"
#include "journal/grant.h"
#include "rewind/service/door_message.h"
#include "rewind/service/doorkeeper.h"

namespace holdfast::rewind {

namespace {

constexpr size_t handed_in_max = 64;

struct HandedIn {
    std::string number;
    UniqueFd fd;
};

class Keeper final : public OutsideHere {
public:
    Keeper(const journal::Volume& volume, int view_fd) : OutsideHere(volume), place_(handed_in_directory(volume.id)), view_fd_(view_fd) {
        clear();
    }
    ~Keeper() override {
        for (const auto& [number, used] : numbers_) remove(place_ + "/" + number);
    }

    // DIRECTORY beneath our own, open. It itself stays open here until it is let go: the bind alone would not tell who unmounts what it lies on, or is about to
    // protect it, that it is in use.
    Result<HandedIn> hand_in(UniqueFd directory) {
        if (numbers_.size() >= handed_in_max) return Error{ErrorCode::busy, "too many directories are being written to at once; try again"};
        const std::string number = std::to_string(::getpid()) + "-" + std::to_string(next_++), bound = place_ + "/" + number;
        if (::mkdir(bound.c_str(), 0700) != 0) return errno_error(errno, "make " + quoted(bound));
        auto opened = bind(directory.get(), bound);
        numbers_.emplace(number, std::move(directory));
        if (opened) return HandedIn{number, std::move(*opened)};
        give_back(number);
        return std::move(opened).error();
    }

    void give_back(const std::string& number) {
        if (numbers_.erase(number) == 0) return;
        remove(place_ + "/" + number);
    }

    Result<UniqueFd> open_viewed(const FileHandle& handle) const {
        if (view_fd_ < 0) return Error{ErrorCode::permission, "nothing is shown here", EPERM};
        UniqueFd directory = HF_TRY(open_file_handle(view_fd_, handle, O_RDONLY | O_DIRECTORY));
        // A handle opens whatever lies on the same file system.
        if (!HF_TRY(lies_beneath(directory.get(), view_fd_))) return Error{ErrorCode::permission, "that directory lies elsewhere", EPERM};
        return directory;
    }

    // Removes the sockets' paths when it goes; the sockets themselves are the service's.
    Result<UniqueFd> open_door(Door which) {
        listeners_.push_back(HF_TRY(listen(which)));
        return listeners_.back().give_away();
    }

    std::vector<std::string> before;

private:
    Status check_wanted(const std::string& place) override {
        if (journal::is_granted(volume().id, place)) return ok();
        return Error{ErrorCode::permission, "nobody wants anything at " + quoted(place) + " now: only a command that stands by the place it names can have it (docs/control_protocol.md)"};
    }

    Result<UniqueFd> bind(int directory, const std::string& bound) {
        const std::string itself = "/proc/self/fd/" + std::to_string(directory);
        if (::mount(itself.c_str(), bound.c_str(), nullptr, MS_BIND, nullptr) != 0) return errno_error(errno, "bind a directory at " + quoted(bound));
        // The flags that it has already are kept where the kernel can say so; a destination of a restore is used for a short time.
        if (::mount(nullptr, bound.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
            return errno_error(errno, "make " + quoted(bound) + " inert");
        UniqueFd fd(::open(bound.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!fd) return errno_error(errno, "open " + quoted(bound));
        return fd;
    }

    static void remove(const std::string& bound) {
        ::umount2(bound.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
        ::rmdir(bound.c_str());
    }

    // What a predecessor left.
    void clear() {
        std::error_code ignored;
        std::filesystem::create_directories(place_, ignored);
        for (const auto& entry : std::filesystem::directory_iterator(place_, ignored)) remove(entry.path().native());
    }

    const std::string place_;
    const int view_fd_;
    uint64_t next_ = 1;
    std::map<std::string, UniqueFd> numbers_;
    std::vector<UnixListener> listeners_;
};

struct Reply {
    std::vector<std::string> parts;
    UniqueFd fd;
};

Result<Reply> bring_in(Keeper& door, const std::string& destination) {
    const RestorePlace place = HF_TRY(door.bring_in(destination));
    UniqueFd directory(::open(place.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!directory) return errno_error(errno, "open " + quoted(place.directory));
    HandedIn handed = HF_TRY(door.hand_in(std::move(directory)));
    return Reply{{place.directory, place.name, handed.number}, std::move(handed.fd)};
}

Result<Reply> open_live(Keeper& door) {
    UniqueFd live = HF_TRY(door.open_live());
    HandedIn handed = HF_TRY(door.hand_in(std::move(live)));
    return Reply{{handed.number}, std::move(handed.fd)};
}

Result<Reply> mounted_before(const Keeper& door, const std::string& text) {
    size_t index = 0;
    std::from_chars(text.data(), text.data() + text.size(), index);
    Reply reply;
    if (index < door.before.size()) reply.parts.push_back(door.before[index]);
    return reply;
}

Result<Reply> mount(Keeper& door, const std::string& directory) {
    auto mounted = HF_TRY(door.mount(directory));
    return Reply{{mounted.directory}, std::move(mounted.device)};
}

Result<Reply> open_door(Keeper& door, Door which) {
    UniqueFd listener = HF_TRY(door.open_door(which));
    return Reply{{}, std::move(listener)};
}

Result<Reply> answer(Keeper& door, char what, const std::string& text) {
    switch (what) {
        case door_make_room: HF_TRY(door.make_room()); break;
        case door_sync_capture: HF_TRY(door.sync_capture()); break;
        case door_open_healing: {
            UniqueFd connection = HF_TRY(door.open_healing());
            return Reply{{}, std::move(connection)};
        }
        case door_listen_store: return open_door(door, Door::store);
        case door_listen_sync: return open_door(door, Door::sync);
        case door_take_over: door.before = door.take_over_mounts(); break;
        case door_mounted_before: return mounted_before(door, text);
        case door_mount: return mount(door, text);
        case door_unmount: {
            auto place = HF_TRY(door.unmount(text));
            return Reply{{place}, {}};
        }
        case door_detach: door.detach(text); break;
        case door_forget: door.forget(text); break;
        case door_bring_in: return bring_in(door, text);
        case door_open_live: return open_live(door);
        case door_process_of: return Reply{{std::to_string(door.process_of(std::atoi(text.c_str())))}, {}};
        case door_let_go: door.give_back(text); break;
        case door_open_viewed: {
            UniqueFd directory = HF_TRY(door.open_viewed({text}));
            return Reply{{}, std::move(directory)};
        }
        default: return Error{ErrorCode::invalid_argument, "no question to a doorkeeper"};
    }
    return Reply{};
}

// Everything that it does not need either; it must be able to mount, so it is not confined to places.
Status give_up_rights(int view_fd) {
    HF_TRY(forgo_new_privileges());
    HF_TRY(keep_capabilities(doorkeeper_capabilities()));
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    Status filtered = filter_system_calls(system_call_filter(::getpid(), {SYS_mount, SYS_umount2, SYS_socket, SYS_connect, SYS_bind}, view_fd));
    if (!filtered && filtered.error().code != ErrorCode::unsupported) return filtered;
    return ok();
}

}  // namespace

int keep_door(const journal::Volume& volume, UniqueFd channel, int view_fd) {
    ::prctl(PR_SET_NAME, "holdfast-door");
    show_process_as("holdfast-door " + volume.store);
    // The service is told to end, and then ends this.
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) ::signal(number, SIG_IGN);
    if (Status given_up = give_up_rights(view_fd); !given_up) {
        log_error("The doorkeeper of a store service cannot start: " + given_up.error().message + ".");
        return 1;
    }
    Keeper door(volume, view_fd);
    for (;;) {
        auto packet = receive_packet(channel.get());
        if (!packet || packet->bytes.empty()) return 0;
        auto reply = answer(door, packet->bytes.front(), packet->bytes.substr(1));
        if (!send_packet(channel.get(), reply ? encode_answer(reply->parts) : encode_answer(reply.error()), reply ? reply->fd.get() : -1)) return 0;
    }
}

}  // namespace holdfast::rewind

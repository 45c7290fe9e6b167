#include "rewind/service/doorkeeper.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/json_socket.h"
#include "base/log.h"
#include "base/text.h"
#include "rewind/service/door_message.h"
#include "rewind/service/door_process.h"

namespace holdfast::rewind {

Capabilities doorkeeper_capabilities() {
    return capability(CAP_SYS_ADMIN) | capability(CAP_DAC_OVERRIDE) | capability(CAP_DAC_READ_SEARCH);
}

std::string handed_in_directory(const journal::VolumeId& volume) {
    return journal::run_directory(volume) + "/handed-in";
}

Result<std::unique_ptr<Doorkeeper>> Doorkeeper::start(const journal::Volume& volume, int not_for_it, int view_fd) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return errno_error(errno, "make a pair of sockets");
    UniqueFd ours(ends[0]), its(ends[1]);
    std::error_code failure;
    std::filesystem::create_directories(handed_in_directory(volume.id), failure);
    if (failure) return errno_error(failure.value(), "make " + quoted(handed_in_directory(volume.id)));
    const pid_t pid = ::fork();
    if (pid < 0) return errno_error(errno, "start the doorkeeper of the store service");
    if (pid == 0) {
        ours.reset();
        // Whoever waits for the end of the service there must not wait for the doorkeeper as well.
        if (not_for_it >= 0) ::close(not_for_it);
        ::_exit(keep_door(volume, std::move(its), view_fd));
    }
    return std::unique_ptr<Doorkeeper>(new Doorkeeper(volume, std::move(ours), pid));
}

Doorkeeper::~Doorkeeper() {
    {
        MutexLock lock(mutex_);
        channel_.reset();
    }
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

Result<Doorkeeper::Answer> Doorkeeper::ask(char what, const std::string& text) {
    MutexLock lock(mutex_);
    HF_TRY(send_packet(channel_.get(), what + text));
    DoorPacket packet = HF_TRY(receive_packet(channel_.get()));
    std::vector<std::string> parts = HF_TRY(decode_answer(packet.bytes));
    return Answer{std::move(parts), std::move(packet.fd)};
}

Status Doorkeeper::make_room() {
    HF_TRY(ask(door_make_room));
    return ok();
}

Result<UnixListener> Doorkeeper::listen(Door door) {
    const bool is_store = door == Door::store;
    Answer answer = HF_TRY(ask(is_store ? door_listen_store : door_listen_sync));
    // Who connects is told which process listens: this one, and not the one that made the socket.
    if (::listen(answer.fd.get(), json_connections_max) != 0) return errno_error(errno, "listen on the socket that the doorkeeper made");
    return UnixListener::adopt(is_store ? journal::store_socket(volume_.id) : journal::sync_socket(volume_.id), std::move(answer.fd));
}

Status Doorkeeper::sync_capture() {
    HF_TRY(ask(door_sync_capture));
    return ok();
}

Result<UniqueFd> Doorkeeper::open_healing() {
    Answer answer = HF_TRY(ask(door_open_healing));
    if (!answer.fd) return Error{ErrorCode::io, "the doorkeeper of the store service answered nothing"};
    return std::move(answer.fd);
}

std::vector<std::string> Doorkeeper::take_over_mounts() {
    std::vector<std::string> directories;
    auto count = ask(door_take_over);
    if (!count) log_warning("Mounts of the past are not looked for: " + count.error().message + ".");
    // One by one: all of them may not fit a packet.
    while (count) {
        auto next = ask(door_mounted_before, std::to_string(directories.size()));
        if (!next || next->parts.empty()) break;
        directories.push_back(next->parts.front());
    }
    return directories;
}

Result<Outside::Mounted> Doorkeeper::mount(const std::string& directory) {
    Answer answer = HF_TRY(ask(door_mount, directory));
    if (answer.parts.empty()) return Error{ErrorCode::io, "the doorkeeper of the store service answered nothing"};
    return Mounted{answer.parts.front(), std::move(answer.fd)};
}

Result<std::string> Doorkeeper::unmount(const std::string& directory) {
    const Answer answer = HF_TRY(ask(door_unmount, directory));
    return answer.parts.empty() ? directory : answer.parts.front();
}

void Doorkeeper::detach(const std::string& directory) {
    (void)ask(door_detach, directory).has_value();
}

void Doorkeeper::forget(const std::string& directory) {
    (void)ask(door_forget, directory).has_value();
}

Result<RestorePlace> Doorkeeper::bring_in(const std::string& destination) {
    Answer answer = HF_TRY(ask(door_bring_in, destination));
    if (answer.parts.size() != 3) return Error{ErrorCode::io, "the doorkeeper of the store service answered nothing"};
    MutexLock lock(mutex_);
    handed_in_[answer.fd.get()] = answer.parts[2];
    return RestorePlace{answer.parts[0], answer.parts[1], std::move(answer.fd)};
}

Result<UniqueFd> Doorkeeper::open_live() {
    Answer answer = HF_TRY(ask(door_open_live));
    if (answer.parts.size() != 1) return Error{ErrorCode::io, "the doorkeeper of the store service answered nothing"};
    MutexLock lock(mutex_);
    handed_in_[answer.fd.get()] = answer.parts[0];
    return std::move(answer.fd);
}

void Doorkeeper::let_go(int fd) {
    std::string number;
    {
        MutexLock lock(mutex_);
        const auto found = handed_in_.find(fd);
        if (found == handed_in_.end()) return;
        number = found->second;
        handed_in_.erase(found);
    }
    (void)ask(door_let_go, number).has_value();
}

pid_t Doorkeeper::process_of(pid_t thread) {
    auto answer = ask(door_process_of, std::to_string(thread));
    return answer && !answer->parts.empty() ? static_cast<pid_t>(std::strtol(answer->parts.front().c_str(), nullptr, 10)) : thread;
}

Result<UniqueFd> Doorkeeper::open_viewed(const FileHandle& handle) {
    Answer answer = HF_TRY(ask(door_open_viewed, handle.bytes));
    if (!answer.fd) return Error{ErrorCode::io, "the doorkeeper of the store service answered nothing"};
    return std::move(answer.fd);
}

bool Doorkeeper::is_there() const {
    if (confined_.reconnector && !confined_.reconnector->is_there()) return false;
    siginfo_t ended{};
    return ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0;
}

}  // namespace holdfast::rewind

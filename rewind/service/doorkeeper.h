// The process that stays outside when a store service confines itself, and does for it what outside.h lists. It is forked before the
// first record is read, holds nothing of the store open, and answers one question at a time. It ends with the service.
//
// What a service that somebody has taken over gets from it: the volume's own sockets, a connection to the volume's capture for healing a gap, mounts of its
// own past at places that a person wants now or wanted before, and while a person wants a rewind or a restore the volume's live tree or the destination. A
// directory that is handed in is bound beneath the volume's run directory meanwhile, where Landlock lets the service use it; no
// device can be opened and no set-id bit counts there.
//
// Thread rule: as outside.h. Ownership: the process; the destructor waits for its end.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>

#include "rewind/service/outside.h"

namespace holdfast::rewind {

// Capabilities that it keeps: mounting, and reaching places of any owner.
Capabilities doorkeeper_capabilities();
// Where directories that are handed in are bound.
std::string handed_in_directory(const journal::VolumeId& volume);

class Doorkeeper final : public Outside {
public:
    // REQUIRES: there is one thread. NOT_FOR_IT is closed in the new process. VIEW_FD: a read-only view (base/mount_trees.h), which stays open there, for
    // open_viewed(). Errors: io.
    static Result<std::unique_ptr<Doorkeeper>> start(const journal::Volume& volume, int not_for_it, int view_fd = -1);
    ~Doorkeeper() override;

    Status make_room() override;
    Result<UnixListener> listen(Door door) override;
    Status sync_capture() override;
    Result<UniqueFd> open_healing() override;
    std::vector<std::string> take_over_mounts() override;
    Result<Mounted> mount(const std::string& directory) override;
    Result<std::string> unmount(const std::string& directory) override;
    void detach(const std::string& directory) override;
    void forget(const std::string& directory) override;
    Result<RestorePlace> bring_in(const std::string& destination) override;
    Result<UniqueFd> open_live() override;
    void let_go(int fd) override;
    pid_t process_of(pid_t thread) override;
    // A directory of the view by its handle, for reading. Errors: not_found (it is gone), permission (it does not lie in the view).
    Result<UniqueFd> open_viewed(const FileHandle& handle);

    bool is_there() const override;
    Confined confined() const override { return confined_; }
    void set_confined(Confined confined) { confined_ = std::move(confined); }

private:
    struct Answer {
        std::vector<std::string> parts;
        UniqueFd fd;
    };
    Doorkeeper(const journal::Volume& volume, UniqueFd channel, pid_t pid) : volume_(volume), pid_(pid), channel_(std::move(channel)) {}
    Result<Answer> ask(char what, const std::string& text = {});

    const journal::Volume volume_;
    const pid_t pid_;
    Confined confined_;
    Mutex mutex_;
    UniqueFd channel_ HF_GUARDED_BY(mutex_);
    std::map<int, std::string> handed_in_ HF_GUARDED_BY(mutex_);  // descriptor, its number there
};

}  // namespace holdfast::rewind

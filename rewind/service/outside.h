// What a store service does outside of its store: sockets at paths, mounts, directories that somebody names. Everything else it does
// beneath its store and journal.
//
// OutsideHere does it in the process that asks. A confined service cannot; there it is done by another process (service/doorkeeper.h),
// which believes as little as possible: of sockets and the volume's own places it knows itself where they are, any other place must be
// granted by a person (journal/grant.h) or have been before the service was started anew.
//
// Thread rule: methods from any thread; those that change something one at a time.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/confine.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "base/unix_socket.h"
#include "journal/volume.h"
#include "rewind/past/moment_pins.h"
#include "rewind/restore/restore.h"

namespace holdfast::rewind {

enum class Door : uint8_t { store, sync };  // the sockets at which the service is asked

class Outside {
public:
    virtual ~Outside() = default;

    // Asks an unsupervised service of the volume, if there is one, to end. Errors: those that it answered.
    virtual Status make_room() = 0;
    // Errors: busy when somebody answers there.
    virtual Result<UnixListener> listen(Door door) = 0;
    // Everything that applications have done is in the journal. Errors: unavailable (capture does not run), or what it answered.
    virtual Status sync_capture() = 0;
    // A connection to the capture worker for the healing of a gap (journal/healing.h). Errors: unavailable (capture does not run).
    virtual Result<UniqueFd> open_healing() = 0;

    // Detaches what a predecessor left mounted, and returns where the past was mounted by request. REQUIRES: the volume's store is open.
    virtual std::vector<std::string> take_over_mounts() = 0;
    struct Mounted {
        std::string directory;  // without symbolic links
        UniqueFd device;
    };
    // "": the volume's own place. Errors: invalid_argument (no directory, inside the volume or its store), exists, permission, unsupported, io.
    virtual Result<Mounted> mount(const std::string& directory) = 0;
    // Returns where it was. Errors: not_found, busy (in use), io.
    virtual Result<std::string> unmount(const std::string& directory) = 0;
    // At once, whoever uses it; it is mounted again by the next service.
    virtual void detach(const std::string& directory) = 0;
    // Somebody else has unmounted it.
    virtual void forget(const std::string& directory) = 0;

    // The destination of a restore. Errors: permission, those of find_restore_place(). let_go() when it is done with.
    virtual Result<RestorePlace> bring_in(const std::string& destination) = 0;
    // The top of the live mount, for a rewind. Errors: permission; unavailable when it is not there. let_go() as above.
    virtual Result<UniqueFd> open_live() = 0;
    virtual void let_go(int fd) = 0;

    // As rewind::process_of().
    virtual pid_t process_of(pid_t thread) = 0;

    // False: a process that works for the service has died.
    virtual bool is_there() const { return true; }
    // What is around the process that asks.
    virtual Confined confined() const { return {}; }
};

class OutsideHere : public Outside {
public:
    explicit OutsideHere(const journal::Volume& volume) : volume_(volume) {}

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
    void let_go(int) override {}
    pid_t process_of(pid_t thread) override { return rewind::process_of(thread); }

protected:
    // Asked before a place is mounted or written to that a person must want. Errors: permission.
    virtual Status check_wanted(const std::string&) { return ok(); }
    const journal::Volume& volume() const { return volume_; }

private:
    std::string own() const { return journal::run_directory(volume_.id) + "/past"; }
    Result<std::string> place_for(const std::string& directory);
    void save_list();

    const journal::Volume volume_;
    std::set<std::string> before_;   // by request, by the predecessor
    std::set<std::string> mounted_;  // now, the volume's own place as well
    std::set<std::string> listed_;   // to be mounted again by a successor
};

}  // namespace holdfast::rewind

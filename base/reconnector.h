// A process that has directories opened by handle for one that Landlock restricts, and shows nobody what it opened.
//
// The kernel keeps the names of directories in a cache. To open one by its handle it looks for the way up to the root, and has to open each directory on the
// way that the cache lost: as whoever asks. Landlock refuses that, because the way is not known yet, and the opening fails (ESTALE, the
// same as for one that was removed). Once somebody else has opened the directory its way is in the cache, and is there for as long as it
// stays open. That is all that this process does, so that it need not know which directories the other one may have: Landlock says so then.
//
// It opens as a place only (O_PATH), has one capability and seven system calls, and keeps the last directory open. What somebody learns who may ask it is whether
// a handle leads to something. Of files it can tell that and not more: the kernel connects no file with its name.
//
// Thread rule: start() before the second thread; the others from any thread. Ownership: the process, which ends with it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>

#include "base/file_handle.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast {

class Reconnector {
public:
    // MOUNT_FD: any descriptor on the file system of the handles. The process has nothing else open. Errors: io.
    static Result<std::unique_ptr<Reconnector>> start(int mount_fd);
    ~Reconnector();

    // Runs ATTEMPT while the way to the directory of HANDLE is known. Errors: not_found (nothing has the handle), unavailable (the process
    // died), or what ATTEMPT returns.
    Result<UniqueFd> attempt_while_connected(const FileHandle& handle, const std::function<Result<UniqueFd>()>& attempt);
    bool is_there() const;

private:
    Reconnector(UniqueFd channel, pid_t pid) : pid_(pid), channel_(std::move(channel)) {}

    const pid_t pid_;
    Mutex mutex_;  // from the question until its directory is not needed any more
    UniqueFd channel_;
};

}  // namespace holdfast

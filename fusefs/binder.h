// The supervisor's hand for what has to walk the mount: a child process, because whoever walks it waits for the worker, and a worker that dies is started
// again by the supervisor alone. It holds no FUSE device: should the supervisor die as well, the connection ends, and its walk with it.
//
// Thread rule: a process of its own with one thread. What it has to say goes to standard error, which is the store's log.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace holdfast::fusefs {

struct BinderArguments {
    std::string store;
    std::string directory;  // that the mount covers, or is to cover
    int backing_fd = -1;
    unsigned long flags = 0;
    std::string assembled;  // where the mount is put together, to be moved over its directory afterwards; "": it is there already
};

std::vector<std::string> to_arguments(const BinderArguments& arguments);
// Nothing: this is not a command line of that kind. ARGUMENTS without the program's name.
Result<std::optional<BinderArguments>> parse_binder_arguments(const std::vector<std::string>& arguments);

// The whole life of the process. Returns its exit status; 0: done.
int run_binder(const BinderArguments& arguments);

}  // namespace holdfast::fusefs

// What a service gives up once it has what it needs, for good: other files, other programs, other processes, the network, capabilities.
//
// Whoever takes over the process afterwards, by a record or a message that finds a mistake in it, has what the process still has and nothing more.
// docs/confinement.md lists it. Five layers, because none holds alone: a root of its own (base/jail.h), Landlock, capabilities, a list of
// refused system calls, and no program that would get more rights.
//
// What a kernel does not have is left out and said: a service on an old kernel works, with less around it.
//
// Thread rule: before the second thread starts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/capabilities.h"
#include "base/jail.h"
#include "base/reconnector.h"
#include "base/result.h"

namespace holdfast {

struct Confinement {
    std::vector<JailPlace> places;         // at least one. What there is beneath may be used, as before; of a read-only one nothing may be opened, only what its links lead to
    // What lies in PARTS of DIRECTORY may be opened by handle (Confined::handle_fd), and used from handle_directory on.
    struct Handles {
        std::string directory;
        std::vector<std::string> parts;  // "/image"
    } handles;
    std::vector<int> readable;             // descriptors of directories: what lies beneath may be read, by name
    std::vector<std::string> handed_in;    // directories beneath which descriptors that are passed to it later may lead
    Capabilities capabilities = 0;         // that it keeps
};

struct Confined {
    bool has_own_root = false;
    int landlock = 0;                  // the kernel's version; 0: not restricted by it
    bool has_call_filter = false;
    int handle_fd = -1;                // handles are opened with this descriptor alone; it stays open
    std::shared_ptr<Reconnector> reconnector;  // without which directories are not found by handle
    std::string handle_directory;      // where DIRECTORY is reached for whatever has to do with what was opened so
    std::vector<std::string> missing;  // sentences without their full stops: what is not there, and why

    // "own root, Landlock 6, system calls; without ...", for a log and for status.
    std::string text() const;
};

// Errors: those of the system where a layer that the kernel has could be applied only in part; the process must end then.
Result<Confined> confine(const Confinement& confinement);

}  // namespace holdfast

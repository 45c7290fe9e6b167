// What the capture worker gives up before it reads the journal or a request, for good: programs, processes, sockets, mounts, the kernel's other interfaces,
// memory that can be executed, and the capabilities that no operation of a caller needs. docs/confinement.md says what is left.
//
// It acts for everybody on the backing tree and opens objects by handle, so neither a root of its own nor Landlock is around it.
//
// Thread rule: before the second thread starts.
#pragma once

#include <string>

#include "base/capabilities.h"
#include "base/result.h"

namespace holdfast::fusefs {

Capabilities worker_capabilities();
// REQUIRES: what it listens at is bound. By what it is confined, for status. Errors: those of the system; the process must end then.
Result<std::string> confine_worker();

}  // namespace holdfast::fusefs

// Capabilities of the process: those that it keeps for good.
// Thread rule: before the second thread starts, which inherits them.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace holdfast {

using Capabilities = uint64_t;  // a bit for each, by the kernel's numbers (linux/capability.h)
constexpr Capabilities capability(int number) { return uint64_t{1} << number; }

// What the process may do now. Errors: those of the system.
Result<Capabilities> effective_capabilities();
// Gives up all others, also for what it would start. What it does not have now it does not get.
Status keep_capabilities(Capabilities kept);
// No program that it starts has more rights than it has; Landlock and filters ask for it.
Status forgo_new_privileges();

}  // namespace holdfast

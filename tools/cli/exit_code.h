// The exit codes of the command `holdfast`: the numbers that scripts rely on. docs/exit_codes.md is their page.
// Numbers are never reused.
#pragma once

#include "base/result.h"

namespace holdfast::cli {

enum class ExitCode : int {
    success = 0,
    difference = 1,   // diff found one, verify found a problem
    usage = 2,        // the command line makes no sense
    not_found = 3,    // no such volume, path or moment
    refused = 4,      // busy, exists, not permitted, or something here lacks what is needed
    damaged = 5,      // damaged bytes, or bytes of somebody else
    failed = 6,       // a disk failed or is full
    unavailable = 7,  // a service is not there, or did not finish in time
};

ExitCode exit_code(ErrorCode code);

}  // namespace holdfast::cli

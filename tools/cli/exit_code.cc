#include "tools/cli/exit_code.h"

namespace holdfast::cli {

ExitCode exit_code(ErrorCode code) {
    switch (code) {
        case ErrorCode::invalid_argument: return ExitCode::usage;
        case ErrorCode::not_found:
        case ErrorCode::gap: return ExitCode::not_found;
        case ErrorCode::exists:
        case ErrorCode::permission:
        case ErrorCode::unsupported:
        case ErrorCode::busy: return ExitCode::refused;
        case ErrorCode::corrupt:
        case ErrorCode::torn:
        case ErrorCode::foreign: return ExitCode::damaged;
        case ErrorCode::io:
        case ErrorCode::no_space: return ExitCode::failed;
        case ErrorCode::unavailable: return ExitCode::unavailable;
    }
    return ExitCode::failed;
}

}  // namespace holdfast::cli

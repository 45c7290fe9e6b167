#include "base/result.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "base/check.h"

namespace holdfast {

const char* to_string(ErrorCode code) {
    switch (code) {
        case ErrorCode::invalid_argument: return "invalid argument";
        case ErrorCode::not_found: return "not found";
        case ErrorCode::exists: return "exists";
        case ErrorCode::permission: return "permission";
        case ErrorCode::io: return "i/o";
        case ErrorCode::no_space: return "no space";
        case ErrorCode::corrupt: return "corrupt";
        case ErrorCode::torn: return "torn";
        case ErrorCode::foreign: return "foreign";
        case ErrorCode::unsupported: return "unsupported";
        case ErrorCode::busy: return "busy";
        case ErrorCode::unavailable: return "unavailable";
        case ErrorCode::gap: return "gap";
    }
    return "unknown";
}

namespace {

ErrorCode code_of(int sys_errno) {
    switch (sys_errno) {
        case ENOENT:
        case ENOTDIR: return ErrorCode::not_found;
        case EEXIST: return ErrorCode::exists;
        case EACCES:
        case EPERM:
        case EROFS: return ErrorCode::permission;
        case ENOSPC:
        case EDQUOT: return ErrorCode::no_space;
        case EBUSY:
        case EAGAIN: return ErrorCode::busy;
        case EOPNOTSUPP:
        case ENOSYS: return ErrorCode::unsupported;
        case EINVAL: return ErrorCode::invalid_argument;
        case ECONNREFUSED: return ErrorCode::unavailable;
        default: return ErrorCode::io;
    }
}

}  // namespace

Error errno_error(int sys_errno, std::string_view what) {
    return Error{code_of(sys_errno), std::string(what) + ": " + strerror(sys_errno), sys_errno};
}

void check_failed(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "holdfast: broken invariant: %s (%s:%d)\n", condition, file, line);
    std::abort();
}

}  // namespace holdfast

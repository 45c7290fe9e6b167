// RocksDB's outcomes as ours.
#pragma once

#include <rocksdb/status.h>

#include <string_view>

#include "base/result.h"

namespace holdfast::rewind {

inline Status index_status(const rocksdb::Status& status, std::string_view what) {
    if (status.ok()) return ok();
    const std::string message = std::string(what) + ": " + status.ToString();
    if (status.IsNotFound()) return Error{ErrorCode::not_found, message};
    if (status.IsNoSpace()) return Error{ErrorCode::no_space, message};
    if (status.IsCorruption()) return Error{ErrorCode::corrupt, message};
    if (status.IsNotSupported()) return Error{ErrorCode::unsupported, message};
    if (status.IsBusy()) return Error{ErrorCode::busy, message};
    return Error{ErrorCode::io, message};
}

}  // namespace holdfast::rewind

#include "replicator/engine/losses.h"

namespace holdfast::replicator {

ErrorCode code_of(Reason reason) {
    switch (reason) {
        case Reason::refused: return ErrorCode::permission;
        case Reason::unsupported: return ErrorCode::unsupported;
        case Reason::maintenance:
        case Reason::rest: return ErrorCode::busy;
        default: return ErrorCode::unavailable;
    }
}

Losses::Tell Losses::ended(const Error& why, uint64_t now_ns) {
    const bool is_rest = why.code == ErrorCode::busy, is_quiet = now_ns < quiet_until_ns_;
    if (is_rest) {
        quiet_until_ns_ = now_ns + rest_quiet_ns;
        told_.clear();
        return is_quiet ? Tell::nothing : Tell::rest;
    }
    if (is_quiet || told_ == why.message) return Tell::nothing;
    told_ = why.message;
    return Tell::loss;
}

}  // namespace holdfast::replicator

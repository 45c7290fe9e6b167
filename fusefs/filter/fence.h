// What is left out of the protected directory is a mount of its own (docs/decisions/0015), so nobody should ever come to it through the filter. Who does all the same,
// because its bind is gone for a moment or because he sees the protected mount without what is mounted in it, is not let in: what he would change there is of objects
// that no store knows, and a record of it would bring every store that follows to a stop. The answer makes the kernel walk his path once more,
// which leads to the bind if there is one; else it is his error (ESTALE).
//
// As nothing in such a directory is ever looked up, no request can be about anything in it.
// Thread rule: pure function.
#pragma once

#include <algorithm>
#include <vector>

#include "fusefs/filter/request.h"

namespace holdfast::fusefs {

inline bool leads_into_its_node(uint32_t opcode) {
    switch (opcode) {
        case FUSE_LOOKUP:
        case FUSE_MKNOD:
        case FUSE_MKDIR:
        case FUSE_SYMLINK:
        case FUSE_LINK:
        case FUSE_UNLINK:
        case FUSE_RMDIR:
        case FUSE_RENAME:
        case FUSE_RENAME2:
        case FUSE_CREATE:
        case FUSE_TMPFILE:
        case FUSE_OPENDIR:
        case FUSE_READDIR:
        case FUSE_READDIRPLUS: return true;
        default: return false;
    }
}

// LEFT_OUT: nodes.
inline bool is_kept_out(const std::vector<uint64_t>& left_out, const Request& request) {
    if (left_out.empty() || !leads_into_its_node(request.opcode())) return false;
    return std::find(left_out.begin(), left_out.end(), request.node()) != left_out.end();
}

}  // namespace holdfast::fusefs

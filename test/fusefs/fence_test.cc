#include "fusefs/filter/fence.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "base/buffer.h"

using namespace holdfast;
using namespace holdfast::fusefs;

namespace {

bool is_kept_out_of(uint64_t node, uint32_t opcode, const std::vector<uint64_t>& left_out) {
    fuse_in_header header{};
    header.len = sizeof header;
    header.opcode = opcode;
    header.nodeid = node;
    std::vector<std::byte> bytes(sizeof header);
    std::memcpy(bytes.data(), &header, sizeof header);
    const auto request = Request::parse(bytes);
    REQUIRE(request);
    return is_kept_out(left_out, *request);
}

}  // namespace

TEST_CASE("fence: whatever leads into a directory that is left out is kept out, its own attributes are not, and nobody else is") {
    const std::vector<uint64_t> left_out{70, 90};
    for (const uint32_t opcode : {FUSE_LOOKUP, FUSE_CREATE, FUSE_MKDIR, FUSE_TMPFILE, FUSE_OPENDIR, FUSE_READDIRPLUS, FUSE_RENAME2, FUSE_LINK, FUSE_UNLINK, FUSE_RMDIR}) {
        INFO(opcode);
        CHECK(is_kept_out_of(70, opcode, left_out));
        CHECK(is_kept_out_of(90, opcode, left_out));
        CHECK_FALSE(is_kept_out_of(80, opcode, left_out));
        CHECK_FALSE(is_kept_out_of(70, opcode, {}));
    }
    for (const uint32_t opcode : {FUSE_GETATTR, FUSE_SETATTR, FUSE_GETXATTR, FUSE_SETXATTR, FUSE_FORGET, FUSE_RELEASEDIR, FUSE_STATFS}) {
        INFO(opcode);
        CHECK_FALSE(is_kept_out_of(70, opcode, left_out));
    }
}

#include "fusefs/mount_table.h"

#include <catch2/catch.hpp>

using namespace holdfast::fusefs;

namespace {

const char* sample =
    "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
    "30 21 8:2 / /srv rw,relatime shared:5 master:1 - ext4 /dev/sda2 rw\n"
    "31 30 0:40 / /srv/with\\040space rw - tmpfs none rw\n"
    "32 30 8:2 /data /mnt/bound rw - ext4 /dev/sda2 rw\n"
    "33 30 0:50 / /srv/data rw - fuse.holdfast /store\\134x rw,user_id=0\n"
    "bad line\n";

}  // namespace

TEST_CASE("mount table: fields, optional fields and escapes are read, damaged lines skipped") {
    const auto table = parse_mount_table(sample);
    REQUIRE(table.size() == 5);
    CHECK(table[2].point == "/srv/with space");
    CHECK(table[4].type == filesystem_type);
    CHECK(table[4].source == "/store\\x");
    CHECK(table[1].device == "8:2");
    CHECK(table[1].id == 30);
}

TEST_CASE("mount table: a path lies on the longest mount point above it, names that only begin alike apart") {
    const auto table = parse_mount_table(sample);
    CHECK(mount_of(table, "/srv/data/x")->id == 33);
    CHECK(mount_of(table, "/srv/database")->id == 30);
    CHECK(mount_of(table, "/srvx")->id == 21);
    CHECK(mount_of(table, "/")->id == 21);
}

TEST_CASE("mount table: a path through a bind mount leads to the same place of the file system") {
    const auto table = parse_mount_table(sample);
    CHECK(path_inside(*mount_of(table, "/mnt/bound/a/b"), "/mnt/bound/a/b") == "/data/a/b");
    CHECK(path_inside(table[1], "/srv/data/a") == "/data/a");
    CHECK(path_inside(table[1], "/srv") == "/");
    CHECK(path_inside(table[3], "/mnt/bound") == "/data");
    CHECK(path_inside(table[0], "/etc") == "/etc");
}

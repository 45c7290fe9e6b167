#include "base/inner_binds.h"

#include <catch2/catch.hpp>

using namespace holdfast;

namespace {

constexpr std::string_view cover = "fuse.holdfast";

// A disk at /srv, a directory of it that is covered twice (a door and the mount on it), two binds, and what else there may be.
std::string table_with(const std::string& more) {
    return "20 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
           "30 20 8:2 / /srv rw shared:2 - ext4 /dev/sda2 rw\n"
           "40 30 0:50 / /srv/data rw shared:3 - fuse.holdfast /backup/s rw\n"
           "41 40 0:51 / /srv/data rw shared:4 - fuse.holdfast /backup/s rw\n"
           "42 41 8:2 /data/cache /srv/data/cache rw shared:5 - ext4 /dev/sda2 rw\n"
           "43 41 8:2 /data/var/tmp /srv/data/var/tmp rw shared:6 - ext4 /dev/sda2 rw\n" +
           more;
}

std::string points(const std::vector<MountEntry>& entries) {
    std::string text;
    for (const MountEntry& entry : entries) text += entry.point + " ";
    return text;
}

std::string binds(const std::string& more, std::string_view directory = "/srv/data") { return points(inner_binds(parse_mount_table(table_with(more)), directory, cover)); }

std::string other(const std::string& more, std::string_view directory = "/srv/data") {
    const auto table = parse_mount_table(table_with(more));
    const MountEntry* found = other_mount_within(table, directory, cover);
    return found ? found->point : "";
}

}  // namespace

TEST_CASE("inner binds: what shows the directory beneath at its own place is one, whatever else is mounted there") {
    CHECK(binds("") == "/srv/data/cache /srv/data/var/tmp ");
    CHECK(other("").empty());
    // The same directory at another place, another directory, another disk, another file system.
    for (const std::string more : {"50 41 8:2 /data/cache /srv/data/again rw - ext4 /dev/sda2 rw\n", "50 41 8:2 /else /srv/data/x rw - ext4 /dev/sda2 rw\n",
                                   "50 41 8:3 /data/x /srv/data/x rw - ext4 /dev/sda3 rw\n", "50 42 0:60 / /srv/data/cache/x rw - tmpfs tmpfs rw\n"}) {
        INFO(more);
        CHECK(binds(more) == "/srv/data/cache /srv/data/var/tmp ");
        CHECK(other(more).starts_with("/srv/data/"));
    }
}

TEST_CASE("inner binds: neighbours are not within, and a directory that is a disk's top has them as well") {
    const std::string more = "50 30 8:2 /data2/x /srv/data2/x rw - ext4 /dev/sda2 rw\n";
    CHECK(binds(more) == "/srv/data/cache /srv/data/var/tmp ");
    CHECK(other(more).empty());
    const std::string disk = "60 20 8:4 / /disk rw - ext4 /dev/sdb rw\n61 60 0:70 / /disk rw - fuse.holdfast /backup/d rw\n62 61 8:4 /cache /disk/cache rw - ext4 /dev/sdb rw\n";
    CHECK(binds(disk, "/disk") == "/disk/cache ");
    CHECK(other(disk, "/disk").empty());
}

TEST_CASE("inner binds: one whose way was renamed is still one") {
    // The kernel shows both names as they are now.
    const auto table = parse_mount_table("30 20 8:2 / /srv rw - ext4 /dev/sda2 rw\n41 30 0:51 / /srv/data rw - fuse.holdfast /backup/s rw\n"
                                         "43 41 8:2 /data/renamed/tmp /srv/data/renamed/tmp rw - ext4 /dev/sda2 rw\n");
    CHECK(points(inner_binds(table, "/srv/data", cover)) == "/srv/data/renamed/tmp ");
}

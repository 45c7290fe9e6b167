#include "fusefs/mount_options.h"

#include <sys/mount.h>

#include <catch2/catch.hpp>

using namespace holdfast;
using fusefs::parse_mount_options;

namespace {

fusefs::MountOptions parsed(const std::vector<std::string>& arguments) {
    auto result = parse_mount_options(arguments);
    INFO((result ? "" : result.error().message));
    REQUIRE(result.has_value());
    return *result;
}

std::string refusal(const std::vector<std::string>& arguments) {
    auto result = parse_mount_options(arguments);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == ErrorCode::invalid_argument);
    return result.error().message;
}

}  // namespace

TEST_CASE("mount options: source and directory are enough") {
    const auto options = parsed({"/store", "/srv"});
    CHECK(options.source == "/store");
    CHECK(options.directory == "/srv");
    CHECK(options.flags == 0);
    CHECK(options.threads == fusefs::filter_threads_default);
    CHECK_FALSE(options.null_filter);
}

TEST_CASE("mount options: the words that mount(8) passes are understood") {
    const auto options = parsed({"/store", "/srv", "-sfnv", "-t", "fuse.holdfast", "-o", "rw,nosuid,nodev,noexec,noatime"});
    CHECK(options.sloppy);
    CHECK(options.fake);
    CHECK(options.verbose);
    CHECK(options.flags == (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME));
}

TEST_CASE("mount options: a later flag takes back an earlier one") {
    CHECK(parsed({"s", "d", "-o", "ro,nosuid,suid,rw"}).flags == 0);
    CHECK(parsed({"s", "d", "-o", "rw,ro"}).flags == MS_RDONLY);
    CHECK(parsed({"s", "d", "-oro", "-o", "noexec"}).flags == (MS_RDONLY | MS_NOEXEC));
}

TEST_CASE("mount options: what only concerns fstab is ignored") {
    CHECK(parsed({"s", "d", "-o",
                  "defaults,auto,noauto,_netdev,nofail,user,x-systemd.requires=a,X-mount.mkdir,comment=\"a,b\",,allow_other"})
              .flags == 0);
}

TEST_CASE("mount options: an unknown option is refused by name, or ignored when asked") {
    CHECK(refusal({"s", "d", "-o", "rw,cache=yes"}).find("cache=yes") != std::string::npos);
    CHECK_FALSE(parsed({"s", "d", "-s", "-o", "cache=yes,null_filte"}).null_filter);
    CHECK_FALSE(parsed({"s", "d", "-o", "cache=yes", "-s"}).null_filter);
}

TEST_CASE("mount options: the number of threads is checked") {
    CHECK(parsed({"s", "d", "-o", "threads=1"}).threads == 1);
    CHECK(parsed({"s", "d", "-o", "threads=63"}).threads == 63);
    for (const char* bad : {"threads=", "threads=0", "threads=64", "threads=-1", "threads=4x", "threads=99999999999999999999"})
        CHECK(refusal({"s", "d", "-o", bad}).find("threads") != std::string::npos);
}

TEST_CASE("mount options: null_filter, allow_bypass and remount are switches") {
    const auto options = parsed({"any", "d", "-o", "null_filter,allow_bypass,remount"});
    CHECK(options.null_filter);
    CHECK(options.allow_bypass);
    CHECK(options.remount);
}

TEST_CASE("mount options: too few or too many words, and letters without meaning, are refused with the usage") {
    for (const std::vector<std::string>& bad : std::vector<std::vector<std::string>>{
             {}, {"s"}, {"s", "d", "e"}, {"s", "d", "-o"}, {"s", "d", "-z"}, {"s", "d", "--help"}, {"s", "d", "-t"}})
        CHECK(refusal(bad).find("mount -t fuse.holdfast") != std::string::npos);
    CHECK(refusal({"s", "d", "-N", "/proc/1/ns/mnt"}).find("nsenter") != std::string::npos);
}

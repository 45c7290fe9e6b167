#include "tools/cli/volume_path.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "test/support/scratch.h"
#include "tools/cli/mounts.h"

using namespace holdfast;
using namespace holdfast::cli;
namespace fs = std::filesystem;

namespace {

// A host of its own: the registry lies in the scratch directory.
struct Host {
    test::ScratchDirectory scratch;
    std::string real = fs::canonical(scratch.path());
    journal::Volume volume;

    Host() {
        ::setenv("HOLDFAST_STATE_DIR", (scratch / "state").c_str(), 1);
        for (const char* name : {"data/sub", "store", "elsewhere"}) fs::create_directories(scratch / name);
        volume.id = journal::random_volume_id();
        volume.directory = real + "/data";
        volume.store = real + "/store";
        volume.journal_directory = volume.store + "/journal";
        REQUIRE(journal::save_volume(volume));
        REQUIRE(journal::register_volume(volume));
    }
    ~Host() { ::unsetenv("HOLDFAST_STATE_DIR"); }
};

std::string absolute(const std::string& path, const std::string& current) { return absolute_path(path, current).value(); }

}  // namespace

TEST_CASE("path: dots and slashes are resolved by their letters where nothing exists") {
    CHECK(absolute("/no/such/./place//x/", "/") == "/no/such/place/x");
    CHECK(absolute("../x", "/no/such") == "/no/x");
    CHECK(absolute("x/../../y", "/no/such") == "/no/y");
    CHECK(absolute("/..", "/") == "/");
    CHECK(absolute("/../../a", "/") == "/a");
    CHECK(absolute_path("", "/").error().code == ErrorCode::invalid_argument);
}

TEST_CASE("path: links are followed on the way, the last component is taken as it is") {
    Host host;
    fs::create_directory_symlink(host.real + "/data", host.real + "/link");
    CHECK(absolute("link/sub/gone", host.real) == host.real + "/data/sub/gone");
    CHECK(absolute("link", host.real) == host.real + "/link");
    CHECK(absolute("link/.", host.real) == host.real + "/data");
    CHECK(absolute("link/sub/..", host.real) == host.real + "/data");
}

TEST_CASE("path: a path of history need not exist to belong to a volume") {
    Host host;
    auto found = resolve_path(host.real + "/data/gone/long/ago");
    REQUIRE(found);
    CHECK(found->volume.id == host.volume.id);
    CHECK(found->relative == "gone/long/ago");
    CHECK(resolve_path(host.real + "/data/")->relative.empty());
    CHECK(resolve_path(host.real + "/elsewhere/x").error().code == ErrorCode::not_found);
    CHECK(resolve_path(host.real + "/data2").error().code == ErrorCode::not_found);
    CHECK(resolve_path(host.real + "/store").error().code == ErrorCode::invalid_argument);
}

TEST_CASE("path: of a replica it is one in its image, its store stands for the top, and any volume's id for its present") {
    Host host;
    journal::Volume replica;
    replica.id = journal::random_volume_id();
    replica.role = journal::VolumeRole::replica;
    replica.store = host.real + "/elsewhere";
    replica.journal_directory = replica.store + "/journal";
    REQUIRE(journal::save_volume(replica));
    REQUIRE(journal::register_volume(replica));
    CHECK(resolve_path(replica.store)->relative.empty());
    CHECK(resolve_path(replica.store + "/image/a/b")->relative == "a/b");
    CHECK(resolve_path(replica.store + "/undo").error().code == ErrorCode::not_found);
    const std::string id = journal::to_string(replica.id);
    CHECK(resolve_path(id)->relative.empty());
    CHECK(resolve_path(id)->volume.store == replica.store);
    CHECK(resolve_path(id + "/a//../b/")->relative == "b");
    CHECK(resolve_path(id + "/../..")->relative.empty());
    CHECK(resolve_path(journal::to_string(host.volume.id) + "/sub")->absolute == host.real + "/data/sub");
    CHECK(resolve_volume(replica.store)->is_replica());
    CHECK(resolve_path("/srv/x").error().code == ErrorCode::not_found);
}

TEST_CASE("volume: found by directory, store, id, through a link, and as a store that nobody registered") {
    Host host;
    CHECK(resolve_volume(host.real + "/data")->id == host.volume.id);
    CHECK(resolve_volume(host.real + "/store/")->id == host.volume.id);
    CHECK(resolve_volume(journal::to_string(host.volume.id))->id == host.volume.id);
    fs::create_directory_symlink(host.real + "/data", host.real + "/link");
    CHECK(resolve_volume(host.real + "/link")->id == host.volume.id);
    REQUIRE(journal::unregister_volume(host.volume));
    CHECK(resolve_volume(host.real + "/store")->id == host.volume.id);
    CHECK(resolve_volume(host.real + "/data").error().code == ErrorCode::not_found);
}

TEST_CASE("mounts: the newest mount at a path, and the first below it") {
    const auto mounts = parse_mount_table(
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "30 22 0:30 / /srv/a\\040b rw - ext4 /dev/sdb1 rw\n"
        "31 30 0:31 / /srv/a\\040b rw - fuse.holdfast /store rw\n"
        "32 31 0:32 / /srv/a\\040b/c rw - tmpfs tmpfs rw\n");
    REQUIRE(mounts.size() == 4);
    REQUIRE(mount_at(mounts, "/srv/a b") != nullptr);
    CHECK(mount_at(mounts, "/srv/a b")->type == capture_mount_type);
    CHECK(mount_at(mounts, "/srv") == nullptr);
    CHECK(mount_below(mounts, "/srv/a b")->type == "tmpfs");
    CHECK(mount_below(mounts, "/srv/a") == nullptr);
}

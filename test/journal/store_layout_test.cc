#include "journal/store_layout.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::journal;
namespace fs = std::filesystem;

namespace {

struct Place {
    test::ScratchDirectory scratch;
    std::string real = fs::canonical(scratch.path());
    Place() { ::setenv("HOLDFAST_STATE_DIR", (scratch / "state").c_str(), 1); }
    ~Place() { ::unsetenv("HOLDFAST_STATE_DIR"); }

    Volume volume() const {
        Volume volume;
        volume.id = random_volume_id();
        volume.directory = real + "/data";
        volume.store = real + "/store";
        volume.journal_directory = real + "/store/journal";
        return volume;
    }
    StoreState state() const { return look_at_store(real + "/store").value(); }
};

// The image needs root's attributes, which not every scratch disk and not every user has.
bool can_make_stores(const Place& place) {
    auto made = NewStore::make(place.volume());
    if (!made && made.error().code == ErrorCode::unsupported) {
        WARN("skipped: no trusted attributes here");
        return false;
    }
    REQUIRE(made);
    return true;
}

}  // namespace

TEST_CASE("store: absent, empty and other people's directories are told apart") {
    Place place;
    CHECK(place.state() == StoreState::absent);
    fs::create_directory(place.real + "/store");
    CHECK(place.state() == StoreState::empty);
    fs::create_directory(place.real + "/store/lost+found");
    CHECK(place.state() == StoreState::empty);
    std::ofstream(place.real + "/store/important") << "data";
    CHECK(place.state() == StoreState::foreign);
    fs::remove_all(place.real + "/store");
    std::ofstream(place.real + "/store") << "a file";
    CHECK(place.state() == StoreState::foreign);
}

TEST_CASE("store: one that was being made is recognised, one that holds anything is not ours to make again") {
    Place place;
    fs::create_directories(place.real + "/store/journal/cursors");
    fs::create_directories(place.real + "/store/image");
    std::ofstream(place.real + "/store/first-copy") << "x";
    std::ofstream(place.real + "/store/volume.toml.new") << "format";
    CHECK(place.state() == StoreState::half_made);
    std::ofstream(place.real + "/store/image/file") << "x";
    CHECK(place.state() == StoreState::foreign);
    fs::remove(place.real + "/store/image/file");
    std::ofstream(place.real + "/store/volume.toml") << "format";
    CHECK(place.state() == StoreState::made);
}

TEST_CASE("store: a made one has its layout and is registered; when it is not kept nothing of it is left") {
    Place place;
    if (!can_make_stores(place)) return;
    CHECK(place.state() == StoreState::absent);
    Volume volume = place.volume();
    {
        auto made = NewStore::make(volume);
        REQUIRE(made);
        CHECK(place.state() == StoreState::made);
        CHECK(find_volume(volume.directory)->id == volume.id);
        for (const char* part : {"image", "graveyard", "undo", "index", "journal/cursors", "first-copy"}) CHECK(fs::exists(volume.store + "/" + part));
        // What an attempt to mount put into it goes as well.
        std::ofstream(volume.store + "/journal/inflight") << "x";
        fs::create_directory_symlink(place.real, volume.store + "/image/link");
        std::ofstream(place.real + "/bystander") << "x";
    }
    CHECK(place.state() == StoreState::absent);
    CHECK(fs::exists(place.real + "/bystander"));
    CHECK(find_volume(volume.directory).error().code == ErrorCode::not_found);
}

TEST_CASE("store: an empty directory that was there before stays when the attempt fails") {
    Place place;
    if (!can_make_stores(place)) return;
    fs::create_directory(place.real + "/store");
    { REQUIRE(NewStore::make(place.volume())); }
    CHECK(place.state() == StoreState::empty);
    {
        auto made = NewStore::make(place.volume());
        REQUIRE(made);
        made->keep();
    }
    CHECK(place.state() == StoreState::made);
}

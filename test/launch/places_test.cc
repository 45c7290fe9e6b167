#include "replicator/launch/places.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <chrono>
#include <filesystem>
#include <thread>

#include "journal/volume.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

class Host {
public:
    Host() {
        ::setenv("HOLDFAST_STATE_DIR", scratch.path().c_str(), 1);
        for (const char* name : {"engine", "volumes", "data"}) std::filesystem::create_directory(scratch / name);
    }
    ~Host() { ::unsetenv("HOLDFAST_STATE_DIR"); }

    journal::Volume source(const std::string& name, const std::string& directory) const {
        journal::Volume volume;
        volume.id.bytes[0] = static_cast<uint8_t>(name.size());
        volume.directory = directory;
        volume.store = scratch / name;
        volume.journal_directory = volume.store + "/journal";
        std::filesystem::create_directories(volume.journal_directory + "/cursors");
        REQUIRE(journal::save_volume(volume));
        REQUIRE(journal::register_volume(volume));
        return volume;
    }

    test::ScratchDirectory scratch;
};

const Place* place(const Places& places, const std::string& path) {
    for (const Place& one : places.all)
        if (one.path == path) return &one;
    return nullptr;
}

}  // namespace

TEST_CASE("places: a source's journal where it is sent, of others the cursors alone") {
    Host host;
    const auto sent = host.source("sent", "/srv/sent"), kept = host.source("not sent", "/srv/other");
    Config config;
    config.send.push_back({.volume = "/srv/sent", .to = "beta"});
    const Places places = places_for(config);
    REQUIRE(place(places, sent.journal_directory));
    CHECK(place(places, sent.journal_directory)->use == Place::Use::write_existing);
    CHECK(place(places, sent.journal_directory + "/cursors")->use == Place::Use::change);
    CHECK(place(places, kept.journal_directory) == nullptr);
    CHECK(place(places, kept.journal_directory + "/cursors"));
    CHECK(place(places, sent.store) == nullptr);
    CHECK(places.volumes == std::vector{sent.id});
    // A name that is none of a volume leads nowhere; by id it is the same volume.
    config.send.front().volume = "/srv/sent-too";
    CHECK(place(places_for(config), sent.journal_directory) == nullptr);
    config.send.front().volume = journal::to_string(sent.id);
    CHECK(place(places_for(config), sent.journal_directory));
}

TEST_CASE("places: the store of a replica is made, and what its description says is not believed") {
    Host host;
    Config config;
    KeepRule rule;
    rule.volume.bytes[0] = 9;
    rule.from = "alpha";
    rule.store = host.scratch / "replica";
    config.keep.push_back(rule);
    make_store_directories(config);
    const Places first = places_for(config);
    REQUIRE(place(first, rule.store));
    CHECK(place(first, rule.store)->use == Place::Use::change);
    // Somebody who may write there makes it a source whose journal lies elsewhere.
    std::filesystem::create_directories(host.scratch / "data/cursors");
    journal::Volume forged;
    forged.id = rule.volume;
    forged.directory = "/srv/forged";
    forged.store = rule.store;
    forged.journal_directory = host.scratch / "data";
    REQUIRE(journal::save_volume(forged));
    REQUIRE(journal::register_volume(forged));
    config.send.push_back({.volume = "/srv/forged", .to = "gamma"});
    CHECK(place(places_for(config), host.scratch / "data") == nullptr);
    CHECK(is_registered_store(rule.store));
    CHECK(!is_registered_store(host.scratch / "data"));
}

TEST_CASE("places: a directory that comes to be, or is made anew, is missed; one that goes is not") {
    Host host;
    Config config;
    KeepRule rule;
    rule.store = host.scratch / "disk/replica";
    config.keep.push_back(rule);
    make_store_directories(config);
    const Places without = places_for(config);
    CHECK(place(without, rule.store) == nullptr);
    CHECK(missing_place(without, without).empty());
    std::filesystem::create_directory(host.scratch / "disk");
    make_store_directories(config);
    const Places with = places_for(config);
    CHECK(missing_place(with, without) == rule.store);
    CHECK(missing_place(with, with).empty());
    CHECK(missing_place(without, with).empty());
    // File systems count such times in ticks of some milliseconds.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    std::filesystem::remove(rule.store);
    make_store_directories(config);
    CHECK(missing_place(places_for(config), with) == rule.store);
    // Of a volume that nothing sends nobody waits for the cursors.
    host.source("later", "/srv/later");
    CHECK(missing_place(places_for(config), places_for(config)).empty());
    const Places now = places_for(config);
    CHECK(!place(now, host.scratch / "later/journal/cursors")->is_needed);
}

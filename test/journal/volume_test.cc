#include "journal/volume.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "journal/volume_text.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::journal;

namespace {

// Sets a variable of the environment for the length of one test.
class Environment {
public:
    Environment(const char* name, const std::string& value) : name_(name) {
        if (const char* old = ::getenv(name)) old_ = old;
        ::setenv(name, value.c_str(), 1);
    }
    ~Environment() { old_.empty() ? ::unsetenv(name_) : ::setenv(name_, old_.c_str(), 1); }

private:
    const char* name_;
    std::string old_;
};

struct Host {
    test::ScratchDirectory scratch;
    Environment state{"HOLDFAST_STATE_DIR", scratch / "state"};

    Volume make(const std::string& name) const {
        std::filesystem::create_directories(scratch / (name + "-store"));
        Volume volume;
        volume.id = random_volume_id();
        volume.directory = scratch / name;
        volume.store = std::filesystem::canonical(scratch / (name + "-store"));
        volume.journal_directory = volume.store + "/journal";
        return volume;
    }
};

bool same(const Volume& a, const Volume& b) {
    return volume_to_text(a) == volume_to_text(b) && a.store == b.store && a.journal_directory == b.journal_directory;
}

ErrorCode code_of(const std::string& text) {
    auto volume = volume_from_text(text, "/store");
    REQUIRE_FALSE(volume.has_value());
    CHECK(volume.error().message.find("/store/volume.toml") != std::string::npos);
    return volume.error().code;
}

std::string text_of_example() {
    Volume volume;
    volume.id = *parse_volume_id("01234567-89ab-4def-8123-456789abcdef");
    volume.directory = "/srv/data";
    volume.store = "/store";
    volume.journal_directory = "/store/journal";
    return volume_to_text(volume);
}

std::string with(std::string text, const std::string& from, const std::string& to) {
    size_t place = text.find(from);
    REQUIRE(place != std::string::npos);
    return text.replace(place, from.size(), to);
}

}  // namespace

TEST_CASE("volume: what is saved is loaded again, hostile directory names too") {
    Host host;
    for (const std::string name : {"plain", "with space", "quote\"back\\slash", "new\nline", "latin-\xe9", "Gr\xc3\xb6\xc3\x9f" "e", "tab\t\x7f\x01"}) {
        INFO(name);
        Volume volume = host.make("v");
        volume.directory = "/srv/" + name;
        volume.journal_directory = "/fast/" + name;
        volume.origin = 0xfffffffe;
        volume.segment_bytes = 2 << 20;
        volume.journal_bytes_max = 123ULL << 30;
        volume.full_policy = FullPolicy::stop_protection;
        volume.durability = {DurabilityMode::semi_sync, 0};
        volume.window_age_ns = 7ULL * 86400 * 1'000'000'000;
        volume.window_bytes_max = 50ULL << 30;
        REQUIRE(save_volume(volume));
        auto loaded = load_volume(volume.store);
        REQUIRE(loaded);
        CHECK(same(*loaded, volume));
        CHECK(loaded->directory == volume.directory);
        CHECK(loaded->full_policy == FullPolicy::stop_protection);
        CHECK(loaded->durability == volume.durability);
    }
}

TEST_CASE("volume: a store that was moved describes itself at its new place") {
    Host host;
    Volume volume = host.make("v");
    REQUIRE(save_volume(volume));
    std::filesystem::rename(volume.store, host.scratch / "moved");
    auto loaded = load_volume(host.scratch / "moved");
    REQUIRE(loaded);
    CHECK(loaded->store == std::filesystem::canonical(host.scratch / "moved"));
    CHECK(loaded->journal_directory == loaded->store + "/journal");
}

TEST_CASE("volume: a replica need have no directory, its journal lies in its store, and it is found by its store, its image and its id") {
    Host host;
    Volume volume = host.make("replica");
    volume.directory.clear();
    CHECK(save_volume(volume).error().code == ErrorCode::invalid_argument);
    volume.role = VolumeRole::replica;
    volume.journal_directory = "/fast/journal";
    CHECK(save_volume(volume).error().code == ErrorCode::invalid_argument);
    volume.journal_directory = volume.store + "/journal";
    REQUIRE(save_volume(volume));
    REQUIRE(register_volume(volume));
    auto loaded = load_volume(volume.store);
    REQUIRE(loaded);
    CHECK(loaded->is_replica());
    CHECK(same(*loaded, volume));
    CHECK(name_of(*loaded) == volume.store);
    for (const std::string& named : {volume.store, volume.store + "/image/a/b", to_string(volume.id)}) {
        INFO(named);
        auto found = find_volume(named);
        CHECK((found && found->id == volume.id));
    }
    CHECK_FALSE(loaded->has_standby_directory());
    volume.directory = "/srv/standby";
    REQUIRE(save_volume(volume));
    CHECK(load_volume(volume.store)->has_standby_directory());
    CHECK(load_volume(volume.store)->directory == "/srv/standby");
    CHECK(name_of(*load_volume(volume.store)) == volume.store);
    volume.directory.clear();
    REQUIRE(save_volume(volume));
    // An empty directory holds no path.
    CHECK(find_volume("/srv/data").error().code == ErrorCode::not_found);
    auto refused = check_is_source(*loaded, "nothing is mounted from it");
    CHECK(refused.error().code == ErrorCode::unsupported);
    CHECK(refused.error().message.find("replica") != std::string::npos);
}

TEST_CASE("volume: a role that does not fit the places is refused, and none means a source") {
    const std::string source = text_of_example(), replica = with(source, "directory = \"/srv/data\"", "role = \"replica\"");
    CHECK_FALSE(volume_from_text(source, "/store")->is_replica());
    CHECK(volume_from_text(source + "role = \"source\"\n", "/store"));
    CHECK(volume_from_text(replica, "/store")->is_replica());
    CHECK(volume_from_text(source + "role = \"replica\"\n", "/store")->has_standby_directory());
    CHECK(code_of(source + "role = \"witness\"\n") == ErrorCode::corrupt);
    CHECK(code_of(source + "role = 1\n") == ErrorCode::corrupt);
    CHECK(code_of(replica + "journal_directory = \"/fast\"\n") == ErrorCode::corrupt);
}

TEST_CASE("volume: sizes and ages may be written as people write them") {
    std::string text = with(text_of_example(), "window_age_ns = 0", "window_age_ns = \"7d\"");
    text = with(text, "window_bytes_max = 0", "window_bytes_max = \"50G\"");
    auto volume = volume_from_text(text, "/store");
    REQUIRE(volume);
    CHECK(volume->window_age_ns == 7ULL * 86400 * 1'000'000'000);
    CHECK(volume->window_bytes_max == 50ULL << 30);
}

TEST_CASE("volume: what is left out is written when something is, and makes sense or is refused") {
    const std::string plain = text_of_example();
    CHECK(plain.find("leave_out") == plain.npos);
    CHECK(volume_from_text(plain, "/store")->left_out.empty());
    Volume volume = volume_from_text(plain, "/store").value();
    volume.left_out = LeftOut::of({"var/tmp", "quote\"back\\slash", "new\nline", "latin-\xe9"}).value();
    const auto loaded = volume_from_text(volume_to_text(volume), "/store");
    REQUIRE(loaded);
    CHECK(loaded->left_out == volume.left_out);
    for (const std::string value : {"\"cache\"", "[1]", "[\"/srv\"]", "[\"a\", \"a/b\"]", "[\"a/../b\"]", "[[\"a\"]]", "{}"}) {
        INFO(value);
        CHECK(code_of(plain + "leave_out = " + value + "\n") == ErrorCode::corrupt);
    }
    CHECK(volume_from_text(plain + "leave_out = []\n", "/store")->left_out.empty());
    CHECK(code_of(with(plain, "directory = \"/srv/data\"", "role = \"replica\"") + "leave_out = [\"a\"]\n") == ErrorCode::corrupt);
}

TEST_CASE("volume: what fsync waits for is written when it waits, and may be left out in parts") {
    const std::string plain = text_of_example();
    CHECK(plain.find("durability") == plain.npos);
    CHECK(volume_from_text(plain, "/store")->durability == Durability{});
    CHECK(volume_from_text(plain + "durability = \"sync\"\n", "/store")->durability == Durability{DurabilityMode::sync, 10'000'000'000});
    CHECK(volume_from_text(plain + "durability = \"semi-sync\"\nwhen_alone = \"block\"\n", "/store")->durability == Durability{DurabilityMode::semi_sync, 0});
    CHECK(code_of(plain + "durability = \"mostly\"\n") == ErrorCode::corrupt);
    CHECK(code_of(plain + "durability = 2\n") == ErrorCode::corrupt);
    CHECK(code_of(plain + "when_alone = \"degrade:0s\"\n") == ErrorCode::corrupt);
    CHECK(code_of(with(plain, "directory = \"/srv/data\"", "role = \"replica\"") + "durability = \"sync\"\n") == ErrorCode::corrupt);
}

TEST_CASE("volume: what earlier versions wrote of a journal that began with the whole tree is ignored, and gone when it is written anew") {
    const std::string plain = text_of_example();
    const auto volume = volume_from_text(plain + "journal_is_whole = true\n", "/store");
    REQUIRE(volume);
    CHECK(volume_to_text(*volume) == plain);
}

TEST_CASE("volume: what makes no sense is refused, by name and with what to do") {
    const std::string good = text_of_example();
    REQUIRE(volume_from_text(good, "/store"));
    CHECK(code_of("not toml at all {") == ErrorCode::corrupt);
    CHECK(code_of("[settings]\ncolour = 1\n") == ErrorCode::foreign);
    CHECK(code_of("") == ErrorCode::foreign);
    CHECK(code_of(with(good, "format = 1", "format = 2")) == ErrorCode::unsupported);
    CHECK(code_of(with(good, "format = 1", "format = \"1\"")) == ErrorCode::foreign);
    CHECK(code_of(good + "colour = 1\n") == ErrorCode::corrupt);
    CHECK(code_of(good + "[section]\n") == ErrorCode::corrupt);
    CHECK(code_of(with(good, "01234567-", "0123456-")) == ErrorCode::corrupt);
    CHECK(code_of(with(good, "\"/srv/data\"", "\"srv/data\"")) == ErrorCode::corrupt);
    CHECK(code_of(with(good, "\"/srv/data\"", "\"/srv/../etc\"")) == ErrorCode::corrupt);
    CHECK(code_of(with(good, "\"/srv/data\"", "\"/srv/data/..\"")) == ErrorCode::corrupt);
    CHECK(code_of(with(good, "\"/srv/data\"", "7")) == ErrorCode::corrupt);
    CHECK(code_of(with(good, "origin = 1", "origin = 0")) == ErrorCode::corrupt);
    CHECK(code_of(with(good, "origin = 1", "origin = 4294967296")) == ErrorCode::corrupt);
    CHECK(code_of(with(good, "segment_bytes = 67108864", "segment_bytes = -1")) == ErrorCode::corrupt);
    CHECK(code_of(with(good, "segment_bytes = 67108864", "segment_bytes = 67112960")) == ErrorCode::corrupt);
    CHECK(code_of(with(good, "journal_bytes_max = 8589934592", "journal_bytes_max = 1")) == ErrorCode::corrupt);
    CHECK(code_of(with(good, "\"degrade\"", "\"panic\"")) == ErrorCode::corrupt);
    CHECK(code_of(with(good, "window_age_ns = 0", "window_age_ns = \"soon\"")) == ErrorCode::corrupt);
    CHECK(code_of(with(good, "window_age_ns = 0", "window_age_ns = 1.5")) == ErrorCode::corrupt);
    for (const char* key : {"directory", "origin", "segment_bytes", "journal_bytes_max", "full_policy", "window_age_ns", "window_bytes_max"}) {
        INFO(key);
        CHECK(code_of(with(good, std::string("\n") + key + " =", std::string("\n# ") + key + " =")) == ErrorCode::corrupt);
    }
}

TEST_CASE("volume: a directory without a store is not found, an overlong file is not ours") {
    Host host;
    Volume volume = host.make("v");
    CHECK(load_volume(volume.store).error().code == ErrorCode::not_found);
    CHECK(load_volume(host.scratch / "nowhere").error().code == ErrorCode::not_found);
    std::ofstream(volume.store + "/volume.toml") << std::string(volume_text_bytes_max + 1, '#');
    CHECK(load_volume(volume.store).error().code == ErrorCode::corrupt);
}

TEST_CASE("volume: a crash in the middle of saving leaves the old description") {
    Host host;
    Volume volume = host.make("v");
    REQUIRE(save_volume(volume));
    std::ofstream(volume.store + "/volume.toml.new") << "format = 1\nid = \"012";
    CHECK(same(*load_volume(volume.store), volume));
    volume.origin = 2;
    REQUIRE(save_volume(volume));
    CHECK(load_volume(volume.store)->origin == 2);
}

TEST_CASE("registry: a volume is found by its directory, what lies in it, its store and its id") {
    Host host;
    CHECK(registered_volumes()->empty());
    Volume one = host.make("one"), two = host.make("one-and-a-half");
    for (const Volume& volume : {one, two}) {
        REQUIRE(save_volume(volume));
        REQUIRE(register_volume(volume));
        REQUIRE(register_volume(volume));
    }
    CHECK(registered_volumes()->size() == 2);
    CHECK(find_volume(one.directory)->id == one.id);
    CHECK(find_volume(one.directory + "/deep/down")->id == one.id);
    CHECK(find_volume(two.directory)->id == two.id);
    CHECK(find_volume(two.store)->id == two.id);
    CHECK(find_volume(to_string(two.id))->id == two.id);
    CHECK(find_volume(one.directory + "2").error().code == ErrorCode::not_found);
    CHECK(find_volume(one.store + "/image").error().code == ErrorCode::not_found);
    CHECK(find_volume(to_string(random_volume_id())).error().code == ErrorCode::not_found);
    REQUIRE(unregister_volume(one));
    REQUIRE(unregister_volume(one));
    CHECK(find_volume(one.directory).error().code == ErrorCode::not_found);
    CHECK(registered_volumes()->size() == 1);
}

TEST_CASE("registry: a store that cannot be read hides no other one and is named in the answer") {
    Host host;
    Volume gone = host.make("gone"), there = host.make("there");
    for (const Volume& volume : {gone, there}) {
        REQUIRE(save_volume(volume));
        REQUIRE(register_volume(volume));
    }
    std::filesystem::remove_all(gone.store);
    REQUIRE(registered_volumes()->size() == 1);
    CHECK(find_volume(there.directory + "/x")->id == there.id);
    CHECK(find_volume(to_string(gone.id)).error().code == ErrorCode::not_found);
    auto missing = find_volume(gone.directory);
    REQUIRE_FALSE(missing.has_value());
    CHECK(missing.error().message.find(gone.store) != std::string::npos);
    CHECK(registry_entries()->size() == 2);
}

TEST_CASE("registry: a store that now holds another volume is not taken for the registered one") {
    Host host;
    Volume volume = host.make("v");
    REQUIRE(save_volume(volume));
    REQUIRE(register_volume(volume));
    Volume other = volume;
    other.id = random_volume_id();
    REQUIRE(save_volume(other));
    CHECK(find_volume(to_string(volume.id)).error().code == ErrorCode::foreign);
    CHECK(registered_volumes()->empty());
}

TEST_CASE("registry: links that are being made and other files in it are left alone") {
    Host host;
    Volume volume = host.make("v");
    REQUIRE(save_volume(volume));
    REQUIRE(register_volume(volume));
    const std::string registry = host.scratch / "state/volumes";
    std::ofstream(registry + "/README") << "hello";
    std::filesystem::create_symlink("/nowhere", registry + "/" + to_string(random_volume_id()) + ".new");
    CHECK(registry_entries()->size() == 1);
}

TEST_CASE("volume: sockets lie in the run directory, by id") {
    Environment run("HOLDFAST_RUN_DIR", "/tmp/run");
    VolumeId id = *parse_volume_id("01234567-89ab-4def-8123-456789abcdef");
    CHECK(capture_socket(id) == "/tmp/run/01234567-89ab-4def-8123-456789abcdef/capture.sock");
}

#include "replicator/trust/peers.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "replicator/trust/peers_json.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;
using holdfast::test::ScratchDirectory;

namespace {

Fingerprint key(uint8_t number, uint8_t group = 0) {
    Fingerprint fingerprint;
    fingerprint.bytes[0] = number;
    fingerprint.bytes[31] = group;
    return fingerprint;
}

Peer peer(std::string name, uint8_t number) {
    return {std::move(name), {key(number)}, "backup.example.org:7100"};
}

Peers no_peers(const ScratchDirectory& scratch) {
    return Peers::load(scratch / "peers.json").value();
}

void write_private(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::trunc) << text;
    REQUIRE(::chmod(path.c_str(), 0600) == 0);
}

}  // namespace

TEST_CASE("peers: no file is an empty list, and what is saved is there again") {
    const ScratchDirectory scratch;
    Peers peers = no_peers(scratch);
    CHECK(peers.list().empty());
    Peer second = peer("b", 2);
    second.keys.push_back(key(3));
    second.address = "[2001:db8::1]:7100";
    REQUIRE(peers.add(second));
    REQUIRE(peers.add(peer("a", 1)));
    REQUIRE(peers.save());

    const Peers again = no_peers(scratch);
    CHECK(again.list() == peers.list());
    REQUIRE(again.list().size() == 2);
    CHECK(again.list()[0].name == "a");
    CHECK(*again.find("b") == second);
    CHECK(again.find(key(3)) == again.find("b"));
    CHECK(again.find(key(4)) == nullptr);
    CHECK(again.find("c") == nullptr);
    struct stat status;
    REQUIRE(::stat((scratch / "peers.json").c_str(), &status) == 0);
    CHECK((status.st_mode & 07777) == 0600);
}

TEST_CASE("peers: a peer is known by both of its keys until it is revoked, and by none of another's") {
    const ScratchDirectory scratch;
    Peers peers = no_peers(scratch);
    REQUIRE(peers.add(peer("a", 1)));
    REQUIRE(peers.add(peer("b", 2)));
    REQUIRE(peers.add_key("a", key(3)));
    CHECK(peers.find(key(1)) == peers.find("a"));
    CHECK(peers.find(key(3)) == peers.find("a"));
    CHECK(peers.find(key(2)) == peers.find("b"));
    CHECK(peers.find(Fingerprint{}) == nullptr);
    REQUIRE(peers.drop_key("a", key(1)));
    CHECK(peers.find(key(1)) == nullptr);
    CHECK(peers.find(key(3)) == peers.find("a"));
    REQUIRE(peers.revoke("a"));
    CHECK(peers.find(key(3)) == nullptr);
    CHECK(peers.find("b") != nullptr);
}

TEST_CASE("peers: every change that makes no sense is refused and changes nothing") {
    const ScratchDirectory scratch;
    Peers peers = no_peers(scratch);
    REQUIRE(peers.add(peer("a", 1)));
    REQUIRE(peers.add(peer("b", 2)));
    const auto before = peers.list();

    Peer no_key = peer("c", 3), three_keys = no_key, double_key = no_key, bad_address = no_key;
    no_key.keys.clear();
    three_keys.keys = {key(3), key(4), key(5)};
    double_key.keys = {key(3), key(3)};
    bad_address.address = "nowhere";

    CHECK(peers.add(peer("a", 3)).error().code == ErrorCode::exists);
    CHECK(peers.add(peer("c", 1)).error().code == ErrorCode::exists);
    CHECK(peers.add(peer("-c", 3)).error().code == ErrorCode::invalid_argument);
    CHECK(peers.add(no_key).error().code == ErrorCode::invalid_argument);
    CHECK(peers.add(three_keys).error().code == ErrorCode::invalid_argument);
    CHECK(peers.add(double_key).error().code == ErrorCode::exists);
    CHECK(peers.add(bad_address).error().code == ErrorCode::invalid_argument);
    CHECK(peers.revoke("c").error().code == ErrorCode::not_found);
    CHECK(peers.add_key("a", key(1)).error().code == ErrorCode::exists);
    CHECK(peers.add_key("a", key(2)).error().code == ErrorCode::exists);
    CHECK(peers.add_key("c", key(3)).error().code == ErrorCode::not_found);
    CHECK(peers.drop_key("a", key(1)).error().code == ErrorCode::invalid_argument);
    CHECK(peers.drop_key("a", key(9)).error().code == ErrorCode::not_found);
    CHECK(peers.set_address("a", "x").error().code == ErrorCode::invalid_argument);
    CHECK(peers.list() == before);
    REQUIRE(peers.add_key("a", key(3)));
    CHECK(peers.add_key("a", key(4)).error().code == ErrorCode::no_space);
    CHECK(peers.set_address("a", ""));
}

TEST_CASE("peers: names and addresses") {
    for (const char* good : {"a", "_a", "9", "backup-1.example_org"}) CHECK(check_peer_name(good));
    CHECK(check_peer_name(std::string(64, 'a')));
    CHECK_FALSE(check_peer_name(std::string(65, 'a')));
    for (const char* bad : {"", ".", ".a", "-a", "a/b", "a b", "a\n", "\xc3\xa4", "a;b"}) CHECK_FALSE(check_peer_name(bad));
    CHECK_FALSE(check_peer_name(std::string_view("a\0b", 3)));

    for (const char* good : {"", "host:1", "10.0.0.1:65535", "[::1]:7100", "[fe80::1%eth0]:7100", "a-b.c:80"}) CHECK(check_peer_address(good));
    for (const char* bad : {"host", "host:", ":1", "host:0", "host:01", "host:65536", "host:100000", "host:1x", "::1:7100", "[]:1", "[::1]", "a b:1",
                            "-h:1", "a;b:1", "host:-1", "host: 1"}) {
        CAPTURE(bad);
        CHECK_FALSE(check_peer_address(bad));
    }
    CHECK(check_peer_address(std::string(253, 'a') + ":1"));
    CHECK_FALSE(check_peer_address(std::string(254, 'a') + ":1"));
}

TEST_CASE("peers: the limits hold, and a full list can be saved and loaded") {
    const ScratchDirectory scratch;
    Peers peers = no_peers(scratch);
    for (size_t i = 0; i < peers_max; ++i) {
        const std::string number = std::to_string(i);
        Peer full{std::string(peer_name_bytes_max - number.size(), 'p') + number, {key(static_cast<uint8_t>(i)), key(static_cast<uint8_t>(i), 1)},
                  std::string(peer_address_bytes_max - 6, 'h') + ":65535"};
        REQUIRE(peers.add(full));
    }
    Peer more = peer("more", 1);
    more.keys = {key(0, 2)};
    CHECK(peers.add(more).error().code == ErrorCode::no_space);
    REQUIRE(peers.save());
    CHECK(no_peers(scratch).list() == peers.list());
    REQUIRE(peers.revoke(peers.list()[0].name));
    CHECK(peers.add(more));
}

TEST_CASE("peers: a file that is not exactly a list of peers is refused with what is wrong") {
    const ScratchDirectory scratch;
    const std::string path = scratch / "peers.json";
    const std::string good = peers_to_json({peer("a", 1)});
    write_private(path, good);
    REQUIRE(Peers::load(path));

    const auto with = [&](const std::string& what, const std::string& instead) {
        std::string text = good;
        REQUIRE(text.find(what) != std::string::npos);
        return text.replace(text.find(what), what.size(), instead);
    };
    struct { std::string text; ErrorCode code; const char* sentence; } const table[] = {
        {"", ErrorCode::corrupt, "not JSON"},
        {good.substr(0, good.size() / 2), ErrorCode::corrupt, "not JSON"},
        {good + "{}", ErrorCode::corrupt, "not JSON"},
        {"[]", ErrorCode::corrupt, "not an object"},
        {"{}", ErrorCode::corrupt, "no member"},
        {with("\"version\": 1", "\"version\": 2"), ErrorCode::unsupported, "version 2"},
        {with("\"version\": 1", "\"version\": 0"), ErrorCode::corrupt, "version"},
        {with("\"version\": 1", "\"version\": \"1\""), ErrorCode::corrupt, "version"},
        {with("\"version\": 1", "\"version\": -1"), ErrorCode::corrupt, "version"},
        {with("\"version\": 1", "\"expires\": 5, \"version\": 1"), ErrorCode::corrupt, "expires"},
        {with("\"name\"", "\"only_until\": 5, \"name\""), ErrorCode::corrupt, "only_until"},
        {with("\"name\": \"a\"", "\"name\": 7"), ErrorCode::corrupt, "name is not text"},
        {with("\"name\": \"a\"", "\"name\": \"../a\""), ErrorCode::corrupt, "cannot name a peer"},
        {with(to_string(key(1)), "12"), ErrorCode::corrupt, "fingerprint"},
        {with("backup.example.org:7100", "backup"), ErrorCode::corrupt, "address"},
        {with("\"name\"", "\"grants\": [], \"name\""), ErrorCode::corrupt, "grants"},
        {with("\"keys\"", "\"fingerprints\""), ErrorCode::corrupt, "fingerprints"},
        {peers_to_json({peer("a", 1), peer("a", 2)}), ErrorCode::corrupt, "already is a peer"},
        {peers_to_json({peer("a", 1), peer("b", 1)}), ErrorCode::corrupt, "already"},
        {std::string(peers_file_bytes_max + 1, ' '), ErrorCode::corrupt, "longer"},
        {"{\"version\": 1, \"peers\": {}}", ErrorCode::corrupt, "not a list"},
        {"{\"version\": 1, \"peers\": [[]]}", ErrorCode::corrupt, "a peer is not an object"},
        {std::string(100'000, '['), ErrorCode::corrupt, "not JSON"},
    };
    for (const auto& row : table) {
        CAPTURE(row.text.substr(0, 300));
        write_private(path, row.text);
        const auto loaded = Peers::load(path);
        REQUIRE_FALSE(loaded);
        CHECK(loaded.error().code == row.code);
        CHECK_THAT(loaded.error().message, Catch::Contains(row.sentence));
    }
}

TEST_CASE("peers: a list that others can read or write is refused") {
    const ScratchDirectory scratch;
    const std::string path = scratch / "peers.json";
    write_private(path, peers_to_json({peer("a", 1)}));
    REQUIRE(Peers::load(path));
    for (const mode_t mode : {0640, 0620, 0604, 0602}) {
        REQUIRE(::chmod(path.c_str(), mode) == 0);
        CHECK(Peers::load(path).error().code == ErrorCode::permission);
    }
}

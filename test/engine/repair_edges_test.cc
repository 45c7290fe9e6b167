// A source and a replica with everything in between but the store services, whose part the test plays: one sync socket, which both
// engines find, because both hosts are this process.
//
//     SourceEdge ── TLS ── ReplicaEdge        {"role": "serve"} ─┐
//          └────── sync.sock ──────┘          {"role": "repair"} ┴─ the test
#include <netinet/in.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <optional>

#include "replicator/engine/guest.h"
#include "replicator/engine/key_rotation.h"
#include "replicator/engine/replica_edge.h"
#include "replicator/engine/source_edge.h"
#include "rewind/sync/repair_mark.h"
#include "test/engine/fake_store.h"
#include "test/engine/loop_thread.h"
#include "test/engine/sockets.h"
#include "test/engine/source_bench.h"
#include "test/replicator/trust_hosts.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace {

constexpr uint64_t segment_bytes = JournalBuilder::segment_bytes;
constexpr uint64_t first_segment = 3;  // nothing that a new replica could begin with

bool is_skipped() {
    if (::geteuid() == 0) return false;
    WARN("skipped: needs root for trusted xattrs");
    return true;
}

struct Bench : SourceBench {
    ScratchDirectory place;
    const std::string replica_store = std::filesystem::canonical(place.path()).string() + "/replica";
    Hosts keys;
    LoopThread thread;
    std::optional<Host> alpha, beta;
    std::unique_ptr<KeyRotation> alpha_keys, beta_keys;
    std::optional<Guests> guests;
    std::unique_ptr<SourceEdge> source;
    std::unique_ptr<ReplicaEdge> replica;
    std::optional<FakeStore> store;
    std::unique_ptr<Disk> replica_disk;

    explicit Bench(Limits limits = {}) : SourceBench(first_segment) {
        ::setenv("HOLDFAST_STATE_DIR", (place / "state").c_str(), 1);
        ::setenv("HOLDFAST_RUN_DIR", (place / "run").c_str(), 1);
        ::setenv("HOLDFAST_STORE_BIN", "/bin/true", 1);  // a store that never is there
        mount();
        UniqueFd socket = listening();
        const std::string address = "127.0.0.1:" + std::to_string(ntohs(reinterpret_cast<const sockaddr_in&>(address_of(socket).bytes).sin_port));
        volume.store = std::filesystem::canonical(place.path()).string() + "/source";
        std::filesystem::create_directory(volume.store);
        REQUIRE(journal::save_volume(volume));
        REQUIRE(journal::register_volume(volume));
        store.emplace(journal::sync_socket(volume.id));
        thread.on_loop([&] {
            alpha.emplace(Host{thread.loop(), system_clock(), "alpha", keys.client, Peers::load(place / "alpha.json").value()});
            beta.emplace(Host{thread.loop(), system_clock(), "beta", keys.server, Peers::load(place / "beta.json").value()});
            alpha_keys = rotation_of(*alpha);
            beta_keys = rotation_of(*beta);
        });
        REQUIRE(alpha->peers.add({"beta", {keys.server.fingerprint()}, address}));
        REQUIRE(beta->peers.add({"alpha", {keys.client.fingerprint()}, ""}));
        thread.on_loop([&] {
            source = std::make_unique<SourceEdge>(*alpha, journal::to_string(volume.id), "beta");
            source->set_limits(limits);
        });
        // One host has one store of a volume, and here are two.
        REQUIRE(thread.comes_true([&] { return source->status().published.has_value(); }));
        REQUIRE(journal::unregister_volume(volume));
        thread.on_loop([&] {
            replica = std::make_unique<ReplicaEdge>(*beta, KeepRule{.volume = volume.id, .from = "alpha", .store = replica_store}, std::vector<std::string>());
            guests.emplace(*beta, Guests::Callbacks{[this](const Peer&, auto connection, Received& hello, FrameReader& frames) {
                                                        replica->attach(std::move(connection), std::move(hello), std::move(frames));
                                                        return ok();
                                                    },
                                                    {}, [] { return false; }, {}, {}});
            guests->welcome(std::move(socket));
        });
    }
    ~Bench() {
        thread.on_loop([&] { source.reset(), replica.reset(), guests.reset(), alpha_keys.reset(), beta_keys.reset(); });
        thread.end();
        for (const char* name : {"HOLDFAST_STATE_DIR", "HOLDFAST_RUN_DIR", "HOLDFAST_STORE_BIN"}) ::unsetenv(name);
    }

    // Keys that stay as they are.
    std::unique_ptr<KeyRotation> rotation_of(Host& host) {
        const std::string directory = place / host.name;
        std::filesystem::create_directory(directory);
        auto keys_of = KeyRotation::open(host, directory, {[] {}, [] {}, [] {}}).value();
        host.keys = keys_of.get();
        return keys_of;
    }

    // The source's store is asked for a moment, and tells one.
    rewind::SyncPipe serve() {
        auto [pipe, request] = store->welcome();
        REQUIRE(request["role"] == "serve");
        REQUIRE(pipe.send({{"at", ends[0]}, {"time_ns", 99}}));
        return std::move(pipe);
    }
    // The replica's is told to repair, and has begun.
    std::pair<rewind::SyncPipe, rewind::RepairPoint> repair() {
        auto [pipe, request] = store->welcome();
        REQUIRE(request["role"] == "repair");
        const auto point = rewind::repair_point_of(request["point"]).value();
        mark(false, point);
        return {std::move(pipe), point};
    }
    void mark(bool is_complete, const rewind::RepairPoint& point) {
        if (!replica_disk) replica_disk = open_disk(replica_store).value();
        REQUIRE(rewind::save_repair_mark(*replica_disk, {is_complete, point}));
    }
    // One question, its answer, and the end, after which the replica's store closes.
    void converse(rewind::SyncPipe& served, rewind::SyncPipe repairing, const rewind::RepairPoint& point, size_t answer_bytes) {
        const std::vector<std::byte> question(30, std::byte{1}), answer(answer_bytes, std::byte{2});
        REQUIRE(repairing.send(rewind::SyncPart::peer, question));
        CHECK(served.receive().value().bytes == question);
        REQUIRE(served.send(rewind::SyncPart::peer, answer));
        CHECK(repairing.receive().value().bytes == answer);
        mark(true, point);
        REQUIRE(repairing.send({{"done", {{"files", 3}}}}));
    }
    std::string state(const auto& edge) { return thread.on_loop([&] { return std::string(edge->status().state); }); }
    bool comes_to(const auto& edge, std::string_view state) { return thread.comes_true([&] { return edge->status().state == state; }); }
    bool is_in_step() { return thread.comes_true([&] { return source->status().durable == builder.end(); }); }
    // The codes of all events of HOST, in their order.
    std::vector<std::string> codes(const std::optional<Host>& host) {
        std::vector<std::string> codes;
        const Json all = thread.on_loop([&] { return host->events->after(0); });
        for (const Json& event : all["events"])
            if (event["code"] != "HF-E-204") codes.push_back(event["code"]);  // the store that never is there
        return codes;
    }
    uint64_t repair_bytes(const auto& edge) { return thread.on_loop([&] { return edge->status().totals.repair_bytes; }); }
};

using Codes = std::vector<std::string>;

}  // namespace

TEST_CASE("repair: a new replica is filled by comparison, its journal begins where the moment's segment does, and the stream goes on") {
    if (is_skipped()) return;
    Bench bench;
    auto served = bench.serve();
    auto [repairing, point] = bench.repair();
    CHECK(point.at == bench.ends[0]);
    CHECK(point.time_ns == 99);
    CHECK(point.begin == 5 * segment_bytes);
    CHECK(bench.comes_to(bench.source, "repairing"));
    CHECK(bench.comes_to(bench.replica, "repairing"));
    CHECK(bench.cursors() == Cursors{{"replica-beta", 5 * segment_bytes}});
    bench.converse(served, std::move(repairing), point, rewind::sync_message_bytes_max);
    REQUIRE(bench.is_in_step());
    CHECK(bench.state(bench.source) == "streaming");
    CHECK(bench.comes_to(bench.replica, "streaming"));
    CHECK_FALSE(served.receive());
    CHECK_FALSE(rewind::load_repair_mark(*bench.replica_disk).value());
    // The store is where it was brought to, ahead of nothing and behind nothing that it says.
    CHECK(bench.thread.on_loop([&] { return bench.replica->status().applied; }) == point.at);
    CHECK(bench.repair_bytes(bench.source) == rewind::sync_message_bytes_max + 30);
    CHECK(bench.repair_bytes(bench.replica) == rewind::sync_message_bytes_max + 30);
    CHECK(bench.codes(bench.alpha) == Codes{"HF-E-105", "HF-E-106", "HF-E-101"});
    CHECK(bench.codes(bench.beta) == Codes{"HF-E-206", "HF-E-207", "HF-E-201"});
}

TEST_CASE("repair: one that is broken off on either host is told, and begins again with the next session, whatever the journals say") {
    if (is_skipped()) return;
    for (const bool is_source : {true, false}) {
        CAPTURE(is_source);
        Bench bench;
        {
            auto served = bench.serve();
            auto [repairing, point] = bench.repair();
            REQUIRE((is_source ? served : repairing).send({{"error", {{"code", "no_space"}, {"message", "no room"}}}}));
            // Both engines let go of their stores.
            CHECK_FALSE((is_source ? repairing : served).receive());
        }
        auto served = bench.serve();
        auto [repairing, point] = bench.repair();
        CHECK(bench.thread.on_loop([&] { return bench.source->status().handshake; }) == "unsound");
        CHECK_THAT(bench.thread.on_loop([&] { return bench.source->status().why; }), Catch::Contains("no room"));
        bench.converse(served, std::move(repairing), point, 10);
        REQUIRE(bench.is_in_step());
        CHECK(bench.comes_to(bench.replica, "streaming"));
        CHECK(bench.codes(bench.alpha) == Codes{"HF-E-105", "HF-E-107", "HF-E-105", "HF-E-106", "HF-E-101"});
        CHECK(bench.codes(bench.beta) == Codes{"HF-E-206", "HF-E-208", "HF-E-206", "HF-E-207", "HF-E-201"});
    }
}

TEST_CASE("repair: one whose end nobody heard is not made again; the journal begins where it should, and what is applied is told right") {
    if (is_skipped()) return;
    Bench bench;
    {
        auto served = bench.serve();
        auto [repairing, point] = bench.repair();
        bench.mark(true, point);
    }
    REQUIRE(bench.is_in_step());
    CHECK(bench.thread.on_loop([&] { return bench.source->status().handshake; }) == "behind");
    CHECK(bench.thread.on_loop([&] { return bench.replica->status().applied; }) == bench.ends[0]);
    CHECK(bench.thread.comes_true([&] { return bench.source->status().applied == bench.ends[0]; }));
}

TEST_CASE("repair: a replica that is suspended meanwhile lets go of both stores, and goes on when it is resumed") {
    if (is_skipped()) return;
    Bench bench;
    {
        auto served = bench.serve();
        auto [repairing, point] = bench.repair();
        bench.thread.on_loop([&] { bench.source->suspend(); });
        CHECK_FALSE(served.receive());
        CHECK_FALSE(repairing.receive());
        CHECK(bench.comes_to(bench.source, "suspended"));
    }
    bench.thread.on_loop([&] { bench.source->resume(); });
    auto served = bench.serve();
    auto [repairing, point] = bench.repair();
    bench.converse(served, std::move(repairing), point, 10);
    CHECK(bench.is_in_step());
}

TEST_CASE("repair: the source's answers keep to the limit of the link") {
    if (is_skipped()) return;
    constexpr uint64_t limit = 1 << 20;
    Bench bench({.bytes_per_second = limit});
    auto served = bench.serve();
    auto [repairing, point] = bench.repair();
    const std::string noise_bytes = noise(limit / 8, 1);
    const auto begun = std::chrono::steady_clock::now();
    constexpr int answers = 7;
    for (int i = 0; i < answers; ++i) REQUIRE(served.send(rewind::SyncPart::peer, bytes_of(noise_bytes)));
    for (int i = 0; i < answers; ++i) CHECK(repairing.receive().value().bytes.size() == noise_bytes.size());
    // The last one is on its way when those before it have had their time.
    CHECK(std::chrono::steady_clock::now() - begun > std::chrono::milliseconds(1000 * (answers - 1) / 8 - 50));
}

TEST_CASE("repair: a store that says it is done while its mark does not is not believed") {
    if (is_skipped()) return;
    Bench bench;
    auto served = bench.serve();
    auto [repairing, point] = bench.repair();
    REQUIRE(repairing.send({{"done", "so it says"}}));
    CHECK_FALSE(served.receive());
    CHECK(bench.thread.comes_true([&] { return bench.replica->status().why.find("mark") != std::string::npos; }));
    CHECK_FALSE(bench.thread.on_loop([&] { return bench.replica->status().durable.has_value(); }));
}

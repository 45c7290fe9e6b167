#include "replicator/engine/key_rotation.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "test/engine/loop_thread.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace {

constexpr uint64_t second_ns = 1'000'000'000, hour_ns = 3600 * second_ns;

// A host, and what its rotation asked the engine to do.
struct End {
    const std::string directory;
    std::optional<Host> host;
    std::unique_ptr<KeyRotation> rotation;
    int told = 0, reconnects = 0, retrusts = 0;

    End(const std::string& place, Loop& loop, const Clock& clock, const char* name) : directory(place + "/" + name) {
        Identity identity = Identity::load_or_make(directory).value();
        host.emplace(Host{loop, clock, name, identity, Peers::load(directory + "/peers.json").value()});
    }
    Status open() {
        auto opened = KeyRotation::open(*host, directory, {[this] { ++told; }, [this] { ++reconnects; }, [this] { ++retrusts; }});
        if (!opened) return opened.error();
        rotation = std::move(*opened);
        return ok();
    }
    Fingerprint key() const { return host->identity.fingerprint(); }
    std::vector<Fingerprint> keys_of(const char* peer) const { return host->peers.find(std::string_view(peer))->keys; }
    Json shown() const {
        Json json = Json::object();
        rotation->show(json);
        return json;
    }
    int events(EventCode code) const {
        const Json all = host->events->after(0);
        int count = 0;
        for (const Json& event : all.at("events")) count += event.at("code") == to_string(code);
        return count;
    }
};

// Two hosts that know each other. The test's thread stands in the loop's place, but for the timers.
struct Bench {
    ScratchDirectory scratch;
    ManualClock clock{1'790'000'000 * second_ns};
    LoopThread thread;
    End alpha{scratch.path(), thread.loop(), clock, "alpha"}, beta{scratch.path(), thread.loop(), clock, "beta"};

    Bench() {
        REQUIRE(alpha.host->peers.add({"beta", {beta.key()}, ""}));
        REQUIRE(beta.host->peers.add({"alpha", {alpha.key()}, ""}));
        on([&] { return alpha.open() && beta.open(); });
    }
    ~Bench() {
        thread.on_loop([&] { alpha.rotation.reset(), beta.rotation.reset(); });
    }
    template <typename Call>
    void on(Call call) { REQUIRE(thread.on_loop(call)); }
    // A connection on which alpha shows SHOWN: what it says, and what beta answers.
    std::optional<Message> meet(const Fingerprint& shown) {
        return thread.on_loop([&]() -> std::optional<Message> {
            const auto said = alpha.rotation->greeting("beta", beta.key());
            (void)beta.rotation->greeting("alpha", shown);
            if (!said) return std::nullopt;
            const auto answered = beta.rotation->answer("alpha", shown, *said);
            if (answered) (void)alpha.rotation->answer("beta", beta.key(), *answered);
            return answered;
        });
    }
    bool adopts() { return thread.comes_true([&] { return alpha.reconnects == 1; }); }
    bool waits() { return !thread.comes_true([&] { return alpha.reconnects > 0; }, std::chrono::milliseconds(1200)); }
};

}  // namespace

TEST_CASE("key rotation: a peer keeps the next key beside the old one, the host adopts it, and the old one is retired when the new one is seen") {
    Bench bench;
    const Fingerprint old = bench.alpha.key();
    bench.on([&] { return bench.alpha.rotation->begin(hour_ns); });
    CHECK(bench.alpha.shown().at("waiting_for") == Json{"beta"});
    CHECK(bench.thread.on_loop([&] { return bench.alpha.rotation->begin(hour_ns); }).error().code == ErrorCode::exists);
    CHECK(bench.waits());
    CHECK(bench.alpha.told > 0);

    REQUIRE(bench.meet(old));
    REQUIRE(bench.beta.keys_of("alpha").size() == 2);
    REQUIRE(bench.adopts());
    const Fingerprint next = bench.alpha.key();
    CHECK(next != old);
    CHECK(bench.beta.keys_of("alpha") == std::vector{old, next});
    CHECK(bench.alpha.shown().empty());
    CHECK_FALSE(std::filesystem::exists(bench.alpha.directory + "/identity-next.pem"));
    CHECK(Identity::load_or_make(bench.alpha.directory)->fingerprint() == next);

    // A connection that still shows the old one changes nothing; one that shows the new one ends the old.
    CHECK_FALSE(bench.meet(old));
    CHECK(bench.beta.retrusts == 0);
    CHECK_FALSE(bench.meet(next));
    CHECK(bench.beta.keys_of("alpha") == std::vector{next});
    CHECK(bench.beta.retrusts == 1);
    CHECK(Peers::load(bench.beta.directory + "/peers.json")->find(std::string_view("alpha"))->keys == std::vector{next});
}

TEST_CASE("key rotation: an engine that is started anew goes on with it, and asks its peers again") {
    Bench bench;
    const Fingerprint old = bench.alpha.key();
    bench.on([&] { return bench.alpha.rotation->begin(hour_ns); });
    const Json before = bench.alpha.shown();
    bench.on([&] { return bench.alpha.rotation.reset(), bench.alpha.open(); });
    CHECK(bench.alpha.shown() == before);
    CHECK(bench.waits());
    REQUIRE(bench.meet(old));
    bench.on([&] { return bench.alpha.rotation.reset(), bench.alpha.open(); });  // has forgotten that beta keeps it
    CHECK((bench.alpha.reconnects == 1 || bench.meet(old).has_value()));
    CHECK(bench.adopts());
}

TEST_CASE("key rotation: without its end a rotation gives peers all the time again") {
    Bench bench;
    bench.on([&] { return bench.alpha.rotation->begin(hour_ns); });
    bench.on([&] {
        bench.alpha.rotation.reset();
        std::filesystem::remove(bench.alpha.directory + "/rotation");
        return bench.alpha.open();
    });
    CHECK(bench.alpha.shown().at("until_ns") == bench.clock.realtime_ns() + rotation_ns_default);
}

TEST_CASE("key rotation: a peer that does not come is waited for until the time is up, and then a person is told") {
    Bench bench;
    const Fingerprint old = bench.alpha.key();
    bench.on([&] { return bench.alpha.rotation->begin(hour_ns); });
    bench.clock.advance(hour_ns - 1);
    CHECK(bench.waits());
    bench.clock.advance(1);
    CHECK(bench.adopts());
    CHECK(bench.alpha.key() != old);
    CHECK(bench.thread.on_loop([&] { return bench.alpha.events(EventCode::peer_without_key); }) == 1);
}

TEST_CASE("key rotation: a host without peers has its new key at once") {
    Bench bench;
    REQUIRE(bench.alpha.host->peers.revoke("beta"));
    const Fingerprint old = bench.alpha.key();
    bench.on([&] { return bench.alpha.rotation->begin(hour_ns); });
    CHECK(bench.alpha.key() != old);
    CHECK(bench.alpha.shown().empty());
}

TEST_CASE("key rotation: only the holder of a key that is trusted names the next one, for itself, and a second one takes the place of the first") {
    Bench bench;
    const Fingerprint alpha_key = bench.alpha.key(), stranger = Identity::make()->fingerprint(), next = Identity::make()->fingerprint(), other = Identity::make()->fingerprint();
    REQUIRE(bench.beta.host->peers.add({"gamma", {other}, ""}));
    const auto says = [&](const char* peer, const Fingerprint& shown, const Fingerprint& key) {
        bench.clock.advance(next_key_interval_ns);
        return bench.thread.on_loop([&] { return bench.beta.rotation->answer(peer, shown, NextKey{key.bytes}); });
    };
    CHECK_FALSE(says("alpha", stranger, next));
    CHECK_FALSE(says("alpha", other, next));
    CHECK_FALSE(says("delta", alpha_key, next));
    CHECK_FALSE(says("alpha", alpha_key, other));  // another peer's
    CHECK(bench.beta.keys_of("alpha") == std::vector{alpha_key});
    CHECK(bench.thread.on_loop([&] { return bench.beta.events(EventCode::peer_key_not_kept); }) == 4);

    CHECK(says("alpha", alpha_key, alpha_key) == Message(KeyKept{alpha_key.bytes}));
    CHECK(bench.beta.keys_of("alpha") == std::vector{alpha_key});
    CHECK(says("alpha", alpha_key, next) == Message(KeyKept{next.bytes}));
    CHECK(says("alpha", alpha_key, next) == Message(KeyKept{next.bytes}));
    CHECK(bench.beta.keys_of("alpha") == std::vector{alpha_key, next});
    CHECK(says("alpha", alpha_key, stranger) == Message(KeyKept{stranger.bytes}));
    CHECK(bench.beta.keys_of("alpha") == std::vector{alpha_key, stranger});
    CHECK(bench.beta.keys_of("gamma") == std::vector{other});
}

TEST_CASE("key rotation: a peer that names one key after the other is listened to now and then, and for the same key always") {
    Bench bench;
    const Fingerprint shown = bench.alpha.key();
    const auto says = [&](const Fingerprint& key) {
        return bench.thread.on_loop([&] { return bench.beta.rotation->answer("alpha", shown, NextKey{key.bytes}).has_value(); });
    };
    const Fingerprint first = Identity::make()->fingerprint(), second = Identity::make()->fingerprint();
    CHECK(says(first));
    CHECK(says(first));
    CHECK_FALSE(says(second));
    CHECK(bench.beta.keys_of("alpha") == std::vector{shown, first});
    bench.clock.advance(next_key_interval_ns);
    CHECK(says(second));
    CHECK(bench.beta.keys_of("alpha") == std::vector{shown, second});
}

TEST_CASE("key rotation: what a peer says that it keeps counts only when it is the key that it was told") {
    Bench bench;
    bench.on([&] { return bench.alpha.rotation->begin(hour_ns); });
    bench.thread.on_loop([&] { (void)bench.alpha.rotation->answer("beta", bench.beta.key(), KeyKept{bench.alpha.key().bytes}); });
    CHECK(bench.waits());
    CHECK(bench.alpha.shown().at("waiting_for") == Json{"beta"});
}

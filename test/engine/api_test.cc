#include "replicator/engine/api.h"

#include <arpa/inet.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "base/json.h"
#include "replicator/engine/replica_journal.h"
#include "test/engine/loop_thread.h"
#include "test/engine/sockets.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace {

// A port that was free a moment ago.
std::string a_port() {
    return std::to_string(ntohs(reinterpret_cast<const sockaddr_in&>(address_of(listening()).bytes).sin_port));
}

// An engine that sends nothing and keeps nothing.
struct Bench {
    ScratchDirectory scratch;
    LoopThread thread;
    std::unique_ptr<Engine> engine;
    std::optional<Api> api;

    Bench() {
        // Not the volumes of this host.
        REQUIRE(::setenv("HOLDFAST_STATE_DIR", (scratch / "state").c_str(), 1) == 0);
        REQUIRE(::setenv("HOLDFAST_RUN_DIR", (scratch / "run").c_str(), 1) == 0);
        std::ofstream(scratch / "config") << "name = \"alpha\"\nlisten = \"127.0.0.1:" << a_port() << "\"\n";
        engine = thread.on_loop([&] { return Engine::start(thread.loop(), system_clock(), scratch / "engine", scratch / "config").value(); });
        api.emplace(thread.loop(), *engine);
    }
    ~Bench() {
        if (engine) thread.on_loop([&] { engine.reset(); });
        ::unsetenv("HOLDFAST_STATE_DIR");
        ::unsetenv("HOLDFAST_RUN_DIR");
    }
    HttpAnswer ask(const std::string& method, const std::string& path, const std::string& body = "", decltype(HttpRequest::query) query = {}) {
        return api->answer({method, path, std::move(query), body});
    }
};

std::string sentence(const HttpAnswer& answer) {
    return Json::parse(answer.body).at("error").at("message");
}

}  // namespace

TEST_CASE("api: what can be asked is answered with an object") {
    Bench bench;
    const Json status = Json::parse(bench.ask("GET", "/v1/status").body);
    CHECK(status.at("name") == "alpha");
    CHECK(status.at("edges") == Json::array());
    CHECK(Json::parse(bench.ask("GET", "/v1/peers").body).at("peers") == Json::array());
    const HttpAnswer offer = bench.ask("POST", "/v1/pair-offer");
    CHECK(offer.status == 200);
    CHECK(Json::parse(offer.body).at("code").get<std::string>().size() == 11);
    CHECK(bench.ask("POST", "/v1/reload", "{}").body == "{}\n");
    const HttpAnswer metrics = bench.ask("GET", "/metrics");
    CHECK(metrics.type.starts_with("application/openmetrics-text; version=1.0.0"));
    CHECK(metrics.body.ends_with("\n# EOF\n"));
}

TEST_CASE("api: a replica that a reload takes out ends beside everything else, and comes back when it has ended") {
    Bench bench;
    const std::string store = bench.scratch / "replica", story = bench.scratch / "story";
    REQUIRE(::setenv("HOLDFAST_STORE_BIN", HOLDFAST_SLOW_STORE, 1) == 0);
    const auto told = [&] {
        std::ifstream file(story);
        return std::string(std::istreambuf_iterator<char>(file), {});
    };
    const auto comes_to = [&](const std::string& text) {
        for (int tries = 0; told() != text && tries < 1000; ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(20));
        return told();
    };
    const auto edges = [&] { return Json::parse(bench.ask("GET", "/v1/status").body).at("edges").size(); };
    const auto keep = [&](const std::string& rules) {
        std::ofstream(bench.scratch / "config") << "name = \"alpha\"\nlisten = \"127.0.0.1:1\"\n" << rules;
        return bench.ask("POST", "/v1/reload", "{}").body;
    };
    const std::string volume = "01234567-89ab-4def-8123-456789abcdef";
    const std::string rule = "[[keep]]\nvolume = \"" + volume + "\"\nfrom = \"beta\"\nstore = \"" + store + "\"\n";
    // One that a session has made before.
    REQUIRE(ReplicaJournal::open(store, *journal::parse_volume_id(volume), 64 << 20));
    REQUIRE(keep(rule) == "{}\n");
    REQUIRE(comes_to("begins\n") == "begins\n");
    CHECK(edges() == 1);

    const auto begin = std::chrono::steady_clock::now();
    CHECK(keep("") == "{}\n");
    CHECK(edges() == 0);
    CHECK(keep(rule + "delay = \"1h\"\n") == "{}\n");
    CHECK(edges() == 0);  // its store is still in other hands
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(3));
    CHECK(comes_to("begins\nended\nbegins\n") == "begins\nended\nbegins\n");
    CHECK(edges() == 1);
    bench.thread.on_loop([&] { bench.engine.reset(); });
    CHECK(told() == "begins\nended\nbegins\nended\n");
    ::unsetenv("HOLDFAST_STORE_BIN");
}

TEST_CASE("api: what cannot be asked is refused with a status and a sentence") {
    Bench bench;
    const struct { const char* method; const char* path; const char* body; unsigned status; const char* sentence; } table[] = {
        {"GET", "/", "", 404, "the engine has no \"/\""},
        {"GET", "/v1/status/", "", 404, "the engine has no"},
        {"POST", "/v1/evil\n", "", 404, "\"/v1/evil\\x0a\""},
        {"POST", "/v1/status", "", 405, "is asked with GET"},
        {"HEAD", "/v1/status", "", 405, "is asked with GET"},
        {"GET", "/v1/pair", "", 405, "is asked with POST"},
        {"POST", "/v1/pair", "{\"address\": \"a", 400, "the body must be a JSON object"},
        {"POST", "/v1/pair", "[]", 400, "the body must be a JSON object"},
        {"POST", "/v1/pair", "{} {}", 400, "the body must be a JSON object"},
        {"POST", "/v1/pair", "{\"address\": 7, \"code\": \"x\"}", 400, "`address` must be a text"},
        {"POST", "/v1/pair", "{\"address\": \"a:1\"}", 400, "`code` is missing"},
        {"POST", "/v1/pair", "", 400, "`address` is missing"},
        {"POST", "/v1/pair", "{\"address\": \"\", \"code\": \"x\"}", 400, "`address` is missing"},
        {"POST", "/v1/pair", "{\"address\": \"a:1\", \"cod\": \"x\"}", 400, "nothing is called \"cod\" here; there are address, code"},
        {"POST", "/v1/reload", "{\"all\": \"x\"}", 400, "nothing is called \"all\" here; there are no members"},
        {"POST", "/v1/pair", "{\"address\": \"a:1\", \"code\": \"x\"}", 400, "that is no pairing code"},
        {"POST", "/v1/revoke", "{\"peer\": \"beta\"}", 404, "beta"},
        {"POST", "/v1/suspend", "{\"volume\": \"/srv\", \"peer\": \"beta\"}", 404, "the configuration sends no \"/srv\" to \"beta\""},
        {"POST", "/v1/forget", "{\"volume\": \"/nowhere\", \"peer\": \"beta\"}", 404, "/nowhere"},
    };
    for (const auto& row : table) {
        INFO(row.method << " " << row.path << " " << row.body);
        const HttpAnswer answer = bench.ask(row.method, row.path, row.body);
        CHECK(answer.status == row.status);
        CHECK(answer.type == "application/json");
        CHECK_THAT(sentence(answer), Catch::Contains(row.sentence));
        CHECK((answer.status == 405) == !answer.allow.empty());
    }
    CHECK(bench.ask("GET", "/v1/status", "", {{"verbose", "1"}}).status == 400);
    CHECK(bench.ask("POST", "/v1/reload", "", {{"x", "1"}}).status == 400);
    CHECK(bench.ask("POST", "/v1/pair", std::string(60'000, '[')).status == 400);
}

TEST_CASE("api: a configuration that cannot be taken is told with its line, and the engine goes on") {
    Bench bench;
    std::ofstream(bench.scratch / "config") << "name = 7\n";
    const HttpAnswer answer = bench.ask("POST", "/v1/reload");
    CHECK(answer.status == 400);
    CHECK_THAT(sentence(answer), Catch::Contains("line 1"));
    CHECK(bench.ask("GET", "/v1/status").status == 200);
}

TEST_CASE("api: nobody asks from elsewhere who is not a peer, and what is passed on must be whole") {
    Bench bench;
    const HttpAnswer answer = bench.api->answer({.method = "GET", .path = "/v1/status", .query = {}, .body = {}, .peer = "gamma"});
    CHECK(answer.status == 403);
    const Json events = Json::parse(bench.ask("GET", "/v1/events").body).at("events");
    CHECK(events.back().at("code") == "HF-E-312");
    CHECK(bench.api->answer({.method = "GET", .path = "/on/gamma/v1/status", .query = {}, .body = {}, .peer = "gamma"}).status == 403);
    for (const char* path : {"/on/", "/on/beta", "/on//v1/status", "/on/beta/v1/sta tus", "/on/beta/v1/status\r\nX: y", "/on/beta/v1/status"}) {
        INFO(path);
        const HttpAnswer passed = bench.ask("GET", path);
        CHECK(passed.status == 404);
        CHECK_FALSE(sentence(passed).empty());
    }
}

TEST_CASE("api: an engine that ends answers that it does") {
    Bench bench;
    bench.thread.on_loop([&] { bench.engine.reset(); });
    bench.thread.end();
    CHECK(bench.ask("GET", "/v1/status").status == 503);
}

TEST_CASE("api: every error has a status of its family") {
    for (int code = 0; code <= static_cast<int>(ErrorCode::gap); ++code) {
        INFO(to_string(static_cast<ErrorCode>(code)));
        const unsigned status = http_status(static_cast<ErrorCode>(code));
        CHECK((status >= 400 && status < 600));
    }
}

TEST_CASE("api: the page and the code agree about what can be asked") {
    std::ifstream page(std::filesystem::path(HOLDFAST_SOURCE_DIR) / "docs/engine.md");
    REQUIRE(page.good());
    std::set<std::string> documented;
    for (std::string line; std::getline(page, line);)
        if (line.starts_with("| `GET /") || line.starts_with("| `POST /")) documented.insert(line.substr(3, line.find_first_of("?`", 3) - 3));
    const auto routes = api_routes();
    CHECK(documented == std::set<std::string>(routes.begin(), routes.end()));
    CHECK(documented.size() == routes.size());
}

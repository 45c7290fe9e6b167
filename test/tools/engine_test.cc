#include "tools/cli/engine.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <future>
#include <thread>

#include "base/unix_socket.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::cli;
using holdfast::test::ScratchDirectory;

namespace {

// An engine that says the same to whoever comes first, and keeps what it was asked.
class FakeEngine {
public:
    explicit FakeEngine(std::string answer) : listener_(UnixListener::open(scratch_ / "engine.sock", 1).value()) {
        REQUIRE(::setenv("HOLDFAST_RUN_DIR", (scratch_ / "").c_str(), 1) == 0);
        ::fcntl(listener_.fd(), F_SETFL, 0);
        thread_ = std::thread([this, answer = std::move(answer)] {
            UniqueFd caller(::accept(listener_.fd(), nullptr, nullptr));
            char piece[4096];
            while (asked_.find("\r\n\r\n") == asked_.npos || (asked_.starts_with("POST") && !asked_.ends_with("}\n"))) {
                const ssize_t got = ::recv(caller.get(), piece, sizeof piece, 0);
                if (got <= 0) break;
                asked_.append(piece, static_cast<size_t>(got));
            }
            ::send(caller.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
        });
    }
    ~FakeEngine() {
        if (thread_.joinable()) thread_.join();
        ::unsetenv("HOLDFAST_RUN_DIR");
    }
    std::string asked() {
        thread_.join();
        return asked_;
    }

private:
    ScratchDirectory scratch_;
    UnixListener listener_;
    std::string asked_;
    std::thread thread_;
};

std::string answer(const std::string& status, const std::string& body) {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

}  // namespace

TEST_CASE("engine client: a question goes out as HTTP, and the answer is an object") {
    FakeEngine engine(answer("200 OK", "{\"name\": \"alpha\"}\n"));
    const auto got = engine_post("/v1/pair", {{"address", "b:1"}});
    REQUIRE(got);
    CHECK(got->at("name") == "alpha");
    const std::string asked = engine.asked();
    CHECK(asked.starts_with("POST /v1/pair HTTP/1.1\r\n"));
    CHECK(asked.find("Content-Type: application/json\r\n") != asked.npos);
    CHECK(asked.ends_with("\r\n\r\n{\"address\":\"b:1\"}\n"));
}

TEST_CASE("engine client: an error is the engine's, whatever its status") {
    FakeEngine engine(answer("409 Conflict", "{\"error\": {\"code\": \"busy\", \"message\": \"it is sent to\"}}"));
    const auto got = engine_get("/v1/status");
    REQUIRE_FALSE(got);
    CHECK(got.error().code == ErrorCode::busy);
    CHECK(got.error().message == "it is sent to");
}

TEST_CASE("engine client: what is no object, and an answer that breaks off, are errors") {
    SECTION("a list") {
        FakeEngine engine(answer("200 OK", "[]"));
        CHECK(engine_get("/v1/status").error().code == ErrorCode::corrupt);
    }
    SECTION("a page") {
        FakeEngine engine(answer("400 Bad Request", "<html>"));
        CHECK(engine_get("/v1/status").error().code == ErrorCode::corrupt);
    }
    SECTION("half of one") {
        FakeEngine engine("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":");
        CHECK(engine_get("/v1/status").error().code == ErrorCode::unavailable);
    }
}

TEST_CASE("engine client: no engine is told with what to do") {
    ScratchDirectory scratch;
    REQUIRE(::setenv("HOLDFAST_RUN_DIR", (scratch / "").c_str(), 1) == 0);
    const auto got = engine_get("/v1/status");
    ::unsetenv("HOLDFAST_RUN_DIR");
    CHECK(got.error().code == ErrorCode::unavailable);
    CHECK_THAT(got.error().message, Catch::Contains("start holdfastd"));
}

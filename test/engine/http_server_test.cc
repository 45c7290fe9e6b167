#include "replicator/engine/http_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

#include "base/json.h"
#include "base/unix_socket.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;
using holdfast::test::ScratchDirectory;

namespace {

constexpr int patience_ms = 10'000;

// Speaks to a server in raw bytes, as anybody may.
class Caller {
public:
    explicit Caller(const std::string& path) : fd_(connect_unix(path).value()) {}

    // False once the server takes no more.
    bool send(std::string_view text) {
        while (!text.empty()) {
            const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            text.remove_prefix(static_cast<size_t>(sent));
        }
        return true;
    }
    // All until the server closes.
    std::string rest() {
        std::string text;
        char piece[4096];
        for (ssize_t got; is_readable(patience_ms) && (got = ::recv(fd_.get(), piece, sizeof piece, 0)) > 0;) text.append(piece, static_cast<size_t>(got));
        return text;
    }
    bool is_readable(int wait_ms) {
        pollfd entry{fd_.get(), POLLIN, 0};
        return ::poll(&entry, 1, wait_ms) == 1;
    }

private:
    UniqueFd fd_;
};

std::string asked(const std::string& path, const std::string& head, std::string_view body = {}) {
    Caller caller(path);
    caller.send(head + "\r\nHost: x\r\nConnection: close\r\n" + (body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n") + "\r\n");
    caller.send(body);
    return caller.rest();
}

struct Bench {
    ScratchDirectory scratch;
    const std::string path = scratch / "run/engine.sock";
    std::promise<HttpRequest> heard;
    std::unique_ptr<HttpServer> server;

    explicit Bench(const HttpLimits& limits = {}) {
        server = HttpServer::start(path, [this](const HttpRequest& request) {
            heard.set_value(request);
            return HttpAnswer{.status = 201, .type = "text/x-test", .body = "done", .allow = "GET"};
        }, limits).value();
    }
    HttpRequest request() { return heard.get_future().get(); }
};

}  // namespace

TEST_CASE("http server: what was asked comes to the handler, and its answer goes back") {
    Bench bench;
    const std::string answer = asked(bench.path, "POST /v1/a%20b?x=1%262&y HTTP/1.1", "{\"a\": 1}");
    const HttpRequest request = bench.request();
    CHECK(request.method == "POST");
    CHECK(request.path == "/v1/a b");
    CHECK(request.query == decltype(request.query){{"x", "1&2"}, {"y", ""}});
    CHECK(request.body == "{\"a\": 1}");
    CHECK(answer.starts_with("HTTP/1.1 201 "));
    CHECK(answer.find("Content-Type: text/x-test\r\n") != answer.npos);
    CHECK(answer.find("Allow: GET\r\n") != answer.npos);
    CHECK(answer.ends_with("\r\n\r\ndone"));
}

TEST_CASE("http server: a body may be as long as the limit") {
    const HttpLimits limits{.body_bytes = 1000};
    Bench bench(limits);
    CHECK(asked(bench.path, "POST / HTTP/1.1", std::string(1000, 'x')).starts_with("HTTP/1.1 201 "));
    CHECK(bench.request().body == std::string(1000, 'x'));
}

TEST_CASE("http server: a body may be no longer than the limit, however it is sent") {
    const HttpLimits limits{.body_bytes = 1000};
    Bench bench(limits);
    std::string answer;
    SECTION("announced") { answer = asked(bench.path, "POST / HTTP/1.1", std::string(1001, 'x')); }
    SECTION("announced, and never sent") {
        Caller caller(bench.path);
        caller.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n");
        answer = caller.rest();
    }
    SECTION("in pieces") {
        Caller caller(bench.path);
        caller.send("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < 100; ++i) caller.send("64\r\n" + std::string(100, 'x') + "\r\n");
        caller.send("0\r\n\r\n");
        answer = caller.rest();
    }
    SECTION("without an end") {
        Caller caller(bench.path);
        caller.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (size_t i = 0; caller.send("1000\r\n" + std::string(4096, 'x') + "\r\n");) REQUIRE(++i < 2 * http_drained_bytes_max / 4096 + 1000);
        return;  // the last of the sections, so that none is hidden by it
    }
    CHECK(answer.starts_with("HTTP/1.1 413 "));
    const Json body = Json::parse(answer.substr(answer.find("\r\n\r\n") + 4));
    CHECK(body["error"]["message"] == "a request's body has at most 1000 B");
}

TEST_CASE("http server: what is no HTTP, or has too long a head, is refused and never asked") {
    Bench bench;
    CHECK(asked(bench.path, "{\"verb\": \"status\"}").find(" 201 ") == std::string::npos);
    CHECK(asked(bench.path, "GET /" + std::string(http_head_bytes_max, 'x') + " HTTP/1.1").starts_with("HTTP/1.1 4"));
    CHECK(asked(bench.path, "GET / HTTP/1.1").starts_with("HTTP/1.1 201 "));
}

TEST_CASE("http server: silence is not waited for, wherever it begins") {
    const HttpLimits limits{.idle_seconds = 1};
    Bench bench(limits);
    for (const char* begun : {"", "GET / HT", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"}) {
        INFO(begun);
        Caller caller(bench.path);
        caller.send(begun);
        CHECK(caller.is_readable(patience_ms));
        CHECK(caller.rest().find(" 201 ") == std::string::npos);
    }
}

TEST_CASE("http server: a body must be there in its time, however busily it comes") {
    const HttpLimits limits{.idle_seconds = 5, .body_ns = 200'000'000};
    Bench bench(limits);
    Caller caller(bench.path);
    caller.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n");
    const auto begin = std::chrono::steady_clock::now();
    while (caller.send("x") && !caller.is_readable(20)) REQUIRE(std::chrono::steady_clock::now() - begin < std::chrono::seconds(4));
}

TEST_CASE("http server: a handler may take longer than a peer may be silent") {
    ScratchDirectory scratch;
    const HttpLimits limits{.idle_seconds = 1};
    auto server = HttpServer::start(scratch / "s", [](const HttpRequest&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2500));
        return HttpAnswer{.body = "late"};
    }, limits).value();
    CHECK(asked(scratch / "s", "GET / HTTP/1.1").ends_with("late"));
}

TEST_CASE("http server: so many are served at once, one more is closed, and when one leaves there is room") {
    ScratchDirectory scratch;
    std::promise<void> go_on;
    const auto may_go_on = go_on.get_future().share();
    std::atomic<int> inside{0};
    const HttpLimits limits{.connections = 3};
    auto server = HttpServer::start(scratch / "s", [&](const HttpRequest&) {
        ++inside;
        may_go_on.wait();
        return HttpAnswer{.body = "done"};
    }, limits).value();
    const std::string question = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    std::vector<std::unique_ptr<Caller>> callers;
    for (int i = 0; i < 3; ++i) {
        callers.push_back(std::make_unique<Caller>(scratch / "s"));
        callers.back()->send(question);
    }
    for (int i = 0; i < 1000 && inside < 3; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    REQUIRE(inside == 3);
    Caller late(scratch / "s");
    late.send(question);
    CHECK(late.rest().empty());
    CHECK(inside == 3);
    go_on.set_value();
    for (const auto& caller : callers) CHECK(caller->rest().ends_with("done"));
    bool has_room = false;
    for (int i = 0; i < 1000 && !has_room; ++i) {
        Caller next(scratch / "s");
        next.send(question);
        has_room = next.rest().ends_with("done");
    }
    CHECK(has_room);
}

TEST_CASE("http server: its end waits for a handler, and its path is gone") {
    ScratchDirectory scratch;
    std::promise<void> inside;
    std::atomic<bool> has_ended{false};
    auto server = HttpServer::start(scratch / "s", [&](const HttpRequest&) {
        inside.set_value();
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        has_ended = true;
        return HttpAnswer{};
    }).value();
    Caller idle(scratch / "s"), busy(scratch / "s");
    busy.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    inside.get_future().wait();
    server.reset();
    CHECK(has_ended);
    CHECK(connect_unix(scratch / "s").error().code == ErrorCode::unavailable);
}

TEST_CASE("http server: a socket that somebody else made is served like any other, and its requests say whom it leads to") {
    std::promise<HttpRequest> heard;
    const auto server = HttpServer::start_adopting([&](const HttpRequest& request) {
        heard.set_value(request);
        return HttpAnswer{.body = "{}"};
    }).value();
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const UniqueFd ours(ends[0]);
    REQUIRE(server->adopt(UniqueFd(ends[1]), "beta"));
    const std::string_view asked = "GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    REQUIRE(::send(ours.get(), asked.data(), asked.size(), MSG_NOSIGNAL) == std::ssize(asked));
    const HttpRequest request = heard.get_future().get();
    CHECK(request.peer == "beta");
    CHECK(request.path == "/v1/status");
    std::string answer;
    char piece[4096];
    for (ssize_t got; (got = ::recv(ours.get(), piece, sizeof piece, 0)) > 0;) answer.append(piece, static_cast<size_t>(got));
    CHECK(answer.starts_with("HTTP/1.1 200 "));
}

TEST_CASE("http: who accepts no more leaves callers to the next server at the same socket, and answers those that it has") {
    ScratchDirectory scratch;
    const std::string path = scratch / "socket";
    UnixListener listener = UnixListener::open(path, 8).value();
    const auto shared = [&] { return UnixListener::adopt(path, UniqueFd(::fcntl(listener.fd(), F_DUPFD_CLOEXEC, 0))); };
    std::promise<void> has_come, may_answer;
    auto first = HttpServer::start(shared(), [&](const HttpRequest&) {
                     has_come.set_value();
                     may_answer.get_future().wait();
                     return HttpAnswer{.body = "by the first"};
                 }).value();
    auto early = std::async(std::launch::async, [&] { return asked(path, "GET / HTTP/1.1"); });
    has_come.get_future().wait();
    first->stop_accepting();
    auto late = std::async(std::launch::async, [&] { return asked(path, "GET / HTTP/1.1"); });
    CHECK(late.wait_for(std::chrono::milliseconds(200)) == std::future_status::timeout);
    may_answer.set_value();
    first.reset();
    CHECK_THAT(early.get(), Catch::Contains("by the first"));
    const auto second = HttpServer::start(shared(), [](const HttpRequest&) { return HttpAnswer{.body = "by the second"}; }).value();
    CHECK_THAT(late.get(), Catch::Contains("by the second"));
}

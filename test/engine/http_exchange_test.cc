#include "replicator/engine/http_exchange.h"

#include <sys/socket.h>

#include <catch2/catch.hpp>

using namespace holdfast;
using namespace holdfast::replicator;

namespace {

constexpr uint64_t a_moment_ns = 200'000'000;

ErrorCode code_of(const Result<HttpAnswer>& answer) {
    REQUIRE_FALSE(answer);
    return answer.error().code;
}

}  // namespace

TEST_CASE("http exchange: what a server of ours is asked it answers, with status, type and body") {
    const auto server = HttpServer::start_adopting([](const HttpRequest& request) {
        return HttpAnswer{.status = 405, .type = "text/x", .body = request.method + " " + request.path + " " + request.query.at("a b") + " " + request.body + " " + request.peer, .allow = "GET"};
    }).value();
    for (const size_t bytes : {size_t{0}, size_t{60'000}}) {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        const UniqueFd ours(ends[0]);
        REQUIRE(server->adopt(UniqueFd(ends[1]), "beta"));
        const std::string body(bytes, 'x');
        const auto answer = http_exchange(ours.get(), {.method = "POST", .path = "/v1/x", .query = {{"a b", "1&\xc3\xa4"}}, .body = body}, 10'000'000'000);
        REQUIRE(answer);
        CHECK(answer->status == 405);
        CHECK(answer->type == "text/x");
        CHECK(answer->allow == "GET");
        CHECK(answer->body == "POST /v1/x 1&\xc3\xa4 " + body + " beta");
    }
}

TEST_CASE("http exchange: an end that says nothing is waited for with a bound") {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const UniqueFd ours(ends[0]), theirs(ends[1]);
    CHECK(code_of(http_exchange(ours.get(), {.method = "GET", .path = "/", .query = {}, .body = {}}, a_moment_ns)) == ErrorCode::unavailable);
}

TEST_CASE("http exchange: what is no whole answer is told as that") {
    const std::string good = "HTTP/1.1 200 OK\r\ncontent-length:2\r\nContent-Type:  a/b\r\n\r\nhi";
    const auto answer = parse_http_answer(good);
    REQUIRE(answer);
    CHECK(answer->body == "hi");
    CHECK(answer->type == "a/b");
    for (size_t bytes = 0; bytes < good.size(); ++bytes) {
        INFO(bytes);
        CHECK_FALSE(parse_http_answer(good.substr(0, bytes)));
    }
    for (const char* text : {"", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", "HTTP/1.1 200 OK\r\nContent-Length: 2"}) CHECK(code_of(parse_http_answer(text)) == ErrorCode::unavailable);
    for (const char* text : {"HTTP/1.0 200 OK\r\n\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 100 Go\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 99\r\n\r\n", "HTTP/1.1 \r\n\r\n",
                             "HTTP/1.1 200 OK\r\n\r\nhi", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nhi", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nhi",
                             "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\n:\r\n\r\n"}) {
        INFO(text);
        CHECK(code_of(parse_http_answer(text)) == ErrorCode::corrupt);
    }
}

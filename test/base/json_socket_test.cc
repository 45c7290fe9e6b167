#include "base/json_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <list>
#include <thread>

#include "base/unique_fd.h"
#include "test/support/scratch.h"

using namespace holdfast;
using holdfast::test::ScratchDirectory;

namespace {

Result<Json> echo(const Json& request, const JsonServer::Progress&) {
    return Json{{"echo", request}};
}

std::unique_ptr<JsonServer> started(const std::string& path, JsonServer::Handler handler) {
    auto server = JsonServer::start(path, std::move(handler));
    REQUIRE(server);
    return std::move(server).value();
}

// Speaks to a server as somebody who does not keep to the protocol.
class RawClient {
public:
    explicit RawClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    void send(std::string_view text) {
        while (!text.empty()) {
            ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;
            text.remove_prefix(static_cast<size_t>(sent));
        }
    }
    Json receive() {
        std::string line;
        char byte;
        while (::recv(fd_.get(), &byte, 1, 0) == 1 && byte != '\n') line += byte;
        return Json::parse(line, nullptr, false);
    }

private:
    UniqueFd fd_;
};

}  // namespace

TEST_CASE("json socket: a request gets its answer") {
    ScratchDirectory scratch;
    auto server = started(scratch / "run/volume/control.sock", echo);
    auto answer = json_call(scratch / "run/volume/control.sock", {{"verb", "status"}, {"text", "ä\n"}});
    REQUIRE(answer);
    CHECK((*answer)["echo"]["text"] == "ä\n");
}

TEST_CASE("json socket: only the owner may enter and speak") {
    ScratchDirectory scratch;
    auto server = started(scratch / "run/control.sock", echo);
    struct stat status;
    REQUIRE(::stat((scratch / "run").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
    REQUIRE(::stat((scratch / "run/control.sock").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("json socket: an error keeps its code, sentence and errno on the way") {
    ScratchDirectory scratch;
    auto server = started(scratch / "s", [](const Json&, const JsonServer::Progress&) -> Result<Json> {
        return Error{ErrorCode::no_space, "the disk is full", ENOSPC};
    });
    auto answer = json_call(scratch / "s", {{"verb", "sync"}});
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == ErrorCode::no_space);
    CHECK(answer.error().message == "the disk is full");
    CHECK(answer.error().sys_errno == ENOSPC);
}

TEST_CASE("json socket: progress arrives before the answer, in order") {
    ScratchDirectory scratch;
    auto server = started(scratch / "s", [](const Json&, const JsonServer::Progress& progress) -> Result<Json> {
        for (int i = 0; i < 100; ++i) progress({{"progress", i}});
        return Json{{"done", true}};
    });
    std::vector<int> seen;
    auto answer = json_call(scratch / "s", {{"verb", "long"}}, [&](const Json& state) { seen.push_back(state["progress"]); });
    REQUIRE(answer);
    CHECK((*answer)["done"] == true);
    REQUIRE(seen.size() == 100);
    CHECK(std::is_sorted(seen.begin(), seen.end()));
}

TEST_CASE("json socket: nobody there is unavailable, a stale socket is replaced, a live one is busy") {
    ScratchDirectory scratch;
    std::string path = scratch / "s";
    CHECK(json_call(path, {}).error().code == ErrorCode::unavailable);
    {  // what a killed process leaves
        UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }
    CHECK(json_call(path, {}).error().code == ErrorCode::unavailable);

    auto server = started(path, echo);
    CHECK(json_call(path, Json::object()));
    CHECK(JsonServer::start(path, echo).error().code == ErrorCode::busy);
    CHECK(json_call(path, Json::object()));
    server.reset();
    CHECK(json_call(path, Json::object()).error().code == ErrorCode::unavailable);
}

TEST_CASE("json socket: whoever listens and does nothing more is named and not waited for, whoever is busy is waited for") {
    ScratchDirectory scratch;
    auto stopped = UnixListener::open(scratch / "stopped", 8);
    REQUIRE(stopped);
    auto busy = started(scratch / "busy", [](const Json& request, const JsonServer::Progress&) -> Result<Json> {
        if (request["verb"] == "long") std::this_thread::sleep_for(std::chrono::milliseconds(json_silence_ms + json_silence_ms / 2));
        return Json{{"done", true}};
    });
    const auto began = std::chrono::steady_clock::now();
    auto waits = std::async(std::launch::async, [&] { return json_call(scratch / "busy", {{"verb", "long"}}); });
    const auto answer = json_call(scratch / "stopped", {{"verb", "status"}});
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == ErrorCode::unavailable);
    CHECK(answer.error().sys_errno == ETIMEDOUT);
    CHECK(answer.error().message.find("process " + std::to_string(::getpid())) != std::string::npos);
    CHECK(waits.get());
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::milliseconds(2 * (json_silence_ms + json_probe_ms)));
}

TEST_CASE("json socket: a queue that is full because nobody accepts is no free place, and is not waited for") {
    ScratchDirectory scratch;
    auto stopped = UnixListener::open(scratch / "s", 0);
    REQUIRE(stopped);
    std::vector<UniqueFd> waiting;
    for (;;) {
        auto connected = connect_unix(scratch / "s");
        if (!connected) {
            CHECK(connected.error().code == ErrorCode::unavailable);
            CHECK(connected.error().sys_errno == ETIMEDOUT);
            break;
        }
        waiting.push_back(std::move(*connected));
        REQUIRE(waiting.size() < 100);
    }
    CHECK(UnixListener::open(scratch / "s", 0).error().code == ErrorCode::busy);
    CHECK(json_call(scratch / "s", Json::object()).error().sys_errno == ETIMEDOUT);
}

TEST_CASE("json socket: a path too long for a socket is refused") {
    ScratchDirectory scratch;
    CHECK(JsonServer::start(scratch / std::string(200, 'x'), echo).error().code == ErrorCode::invalid_argument);
}

TEST_CASE("json socket: what is not a JSON object is refused and the connection goes on") {
    ScratchDirectory scratch;
    auto server = started(scratch / "s", echo);
    RawClient client(scratch / "s");
    for (const char* wrong : {"\n", "[]\n", "{\"verb\":\n", "\xff\n", "null\n"}) {
        client.send(wrong);
        CHECK(client.receive()["error"]["code"] == "invalid argument");
    }
    client.send("{\"verb\":1}\n{\"verb\":2}\n");
    CHECK(client.receive()["echo"]["verb"] == 1);
    CHECK(client.receive()["echo"]["verb"] == 2);
}

TEST_CASE("json socket: a member of the wrong type is the client's error") {
    ScratchDirectory scratch;
    auto server = started(scratch / "s", [](const Json& request, const JsonServer::Progress&) -> Result<Json> {
        return Json{{"name", request.at("name").get<std::string>()}};
    });
    for (const Json& wrong : {Json{{"verb", "x"}}, Json{{"name", 5}}})
        CHECK(json_call(scratch / "s", wrong).error().code == ErrorCode::invalid_argument);
    CHECK(json_call(scratch / "s", {{"name", "right"}}));
}

TEST_CASE("json socket: a line without end is cut off at its limit") {
    ScratchDirectory scratch;
    auto server = started(scratch / "s", echo);
    RawClient client(scratch / "s");
    client.send(std::string(json_line_bytes_max + 65536, 'x'));
    CHECK(client.receive()["error"]["code"] == "invalid argument");
    CHECK(json_call(scratch / "s", {{"text", std::string(json_line_bytes_max, 'x')}}).error().code ==
          ErrorCode::invalid_argument);
    CHECK(json_call(scratch / "s", {{"text", std::string(json_line_bytes_max - 100, 'x')}}));
}

TEST_CASE("json socket: one connection more than the limit is told so, and there is room again afterwards") {
    ScratchDirectory scratch;
    auto server = started(scratch / "s", echo);
    {
        std::list<RawClient> clients;
        for (int i = 0; i < json_connections_max; ++i) {
            clients.emplace_back(scratch / "s");
            clients.back().send("{}\n");
            REQUIRE(clients.back().receive().contains("echo"));
        }
        CHECK(json_call(scratch / "s", Json::object()).error().code == ErrorCode::busy);
    }
    // The server notices closed connections in its own time, so this may take more than one attempt.
    bool answered = false;
    for (int attempt = 0; attempt < 1000 && !answered; ++attempt) {
        answered = json_call(scratch / "s", Json::object()).has_value();
        std::this_thread::yield();
    }
    CHECK(answered);
}

TEST_CASE("json socket: the destructor waits for a handler that runs, and its answer arrives") {
    ScratchDirectory scratch;
    std::promise<void> entered, proceed;
    auto server = started(scratch / "s", [&](const Json&, const JsonServer::Progress&) -> Result<Json> {
        entered.set_value();
        proceed.get_future().wait();
        return Json{{"done", true}};
    });
    RawClient idle(scratch / "s");
    auto answer = std::async(std::launch::async, [&] { return json_call(scratch / "s", {{"verb", "slow"}}); });
    entered.get_future().wait();
    std::thread stopper([&] { server.reset(); });
    proceed.set_value();
    stopper.join();
    auto result = answer.get();
    REQUIRE(result);
    CHECK((*result)["done"] == true);
}

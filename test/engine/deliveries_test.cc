#include "replicator/notify/deliveries.h"

#include <arpa/inet.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "replicator/notify/journald.h"
#include "base/unix_socket.h"
#include "test/engine/sockets.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace {

Notice a_notice() {
    return {{7, 1'700'000'000'000'000'000, EventCode::replica_lost, Severity::warning, "Volume \"/srv\" is not being sent to \"beta\": it sleeps.", {.volume = "/srv", .peer = "beta"}}, 3};
}

std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

std::string script(const ScratchDirectory& scratch, const std::string& body) {
    const std::string path = scratch / "hook";
    std::ofstream(path) << "#!/bin/sh\n" << body;
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
}

// Somebody on a port of this host who says LINES, one after each line (or mail) that comes, and keeps all that he hears.
class Correspondent {
public:
    explicit Correspondent(std::function<std::string(const std::string& heard)> answer) : listener_(listening()), answer_(std::move(answer)) {
        thread_ = std::thread([this] {
            UniqueFd caller(::accept(listener_.get(), nullptr, nullptr));
            for (;;) {
                const std::string said = answer_(heard_);
                if (::send(caller.get(), said.data(), said.size(), MSG_NOSIGNAL) < 0) return;
                char piece[4096];
                const ssize_t got = ::recv(caller.get(), piece, sizeof piece, 0);
                if (got <= 0) return;
                heard_.append(piece, static_cast<size_t>(got));
            }
        });
    }
    ~Correspondent() { end(); }
    std::string port() const { return std::to_string(ntohs(reinterpret_cast<const sockaddr_in&>(address_of(listener_).bytes).sin_port)); }
    const std::string& heard() { return end(), heard_; }

private:
    void end() {
        if (!thread_.joinable()) return;
        ::shutdown(listener_.get(), SHUT_RDWR);
        thread_.join();
    }
    UniqueFd listener_;
    const std::function<std::string(const std::string&)> answer_;
    std::string heard_;
    std::thread thread_;
};

// Answers once the whole request is there.
std::function<std::string(const std::string&)> http(const std::string& status) {
    return [status](const std::string& heard) { return heard.ends_with("}\n") ? "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" : std::string(); };
}

std::string smtp(const std::string& heard) {
    if (heard.empty()) return "220 here\r\n";
    if (heard.ends_with("\r\n.\r\n")) return "250 taken\r\n";
    if (heard.find("DATA\r\n") != heard.npos && !heard.ends_with("DATA\r\n") && heard.find("\r\n.\r\n") == heard.npos) return "";
    if (heard.ends_with("DATA\r\n")) return "354 go on\r\n";
    if (heard.ends_with("QUIT\r\n")) return "221 bye\r\n";
    return "250 ok\r\n";
}

}  // namespace

TEST_CASE("exec: the program gets the event as JSON, and its words as they are written") {
    ScratchDirectory scratch;
    const auto deliver = exec_delivery({script(scratch, "cat > \"$1\"; printf '%s' \"$2\" > \"$1.word\"\n"), scratch / "got", "a $(b) 'c"});
    REQUIRE(deliver(a_notice()));
    CHECK(Json::parse(text_of(scratch / "got")) == to_json(a_notice()));
    CHECK(text_of(scratch / "got.word") == "a $(b) 'c");
}

TEST_CASE("exec: a program that fails or is not there is a failure with a reason") {
    ScratchDirectory scratch;
    CHECK_THAT(exec_delivery({script(scratch, "exit 3\n")})(a_notice()).error().message, Catch::Contains("ended with status 3"));
    CHECK_THAT(exec_delivery({scratch / "nothing"})(a_notice()).error().message, Catch::Contains("could not be started"));
}

TEST_CASE("exec: a program that hangs is killed when its time is up, with what it started") {
    ScratchDirectory scratch;
    const auto deliver = exec_delivery({script(scratch, "sleep 1000 & echo $! > \"$1\"; wait\n"), scratch / "pid"}, 1000);
    const auto begin = std::chrono::steady_clock::now();
    const Status done = deliver(a_notice());
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
    CHECK_THAT(done.error().message, Catch::Contains("did not end within 1 s and was killed"));
    const int grandchild = std::stoi(text_of(scratch / "pid"));
    bool is_gone = false;
    // Whoever reaps orphans here may take a moment, and a zombie does nothing any more.
    for (int i = 0; i < 5000 && !is_gone; ++i) {
        const std::string state = text_of("/proc/" + std::to_string(grandchild) + "/stat");
        is_gone = state.empty() || state.find(") Z ") != state.npos;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    CHECK(is_gone);
}

TEST_CASE("webhook: the event is posted as JSON, and another answer than 2xx is a failure") {
    SECTION("taken") {
        Correspondent web(http("204 No Content"));
        REQUIRE(webhook_delivery("http://127.0.0.1:" + web.port() + "/hook?x=1")(a_notice()));
        const std::string heard = web.heard();
        CHECK(heard.starts_with("POST /hook?x=1 HTTP/1.1\r\n"));
        CHECK(heard.find("Content-Type: application/json\r\n") != heard.npos);
        CHECK(Json::parse(heard.substr(heard.find("\r\n\r\n"))) == to_json(a_notice()));
    }
    SECTION("refused") {
        Correspondent web(http("503 Busy"));
        CHECK_THAT(webhook_delivery("http://127.0.0.1:" + web.port())(a_notice()).error().message, Catch::Contains("answered with 503"));
    }
    SECTION("redirected") {
        Correspondent web(http("302 Found\r\nLocation: http://127.0.0.1:1/"));
        CHECK_THAT(webhook_delivery("http://127.0.0.1:" + web.port())(a_notice()).error().message, Catch::Contains("answered with 302"));
    }
    SECTION("silent") {
        Correspondent web([](const std::string&) { return std::string(); });
        const auto begin = std::chrono::steady_clock::now();
        CHECK_FALSE(webhook_delivery("http://127.0.0.1:" + web.port(), 500)(a_notice()));
        CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
    }
    SECTION("a file is no place to post to") { CHECK_FALSE(webhook_delivery("file:///etc/passwd")(a_notice())); }
}

TEST_CASE("mail: it has an envelope, a head that a reader understands, and the sentence") {
    Correspondent server(smtp);
    REQUIRE(mail_delivery({"admin@example.org", "holdfast@alpha.example.org", "127.0.0.1:" + server.port()}, "alpha")(a_notice()));
    const std::string heard = server.heard();
    for (const char* part : {"MAIL FROM:<holdfast@alpha.example.org>", "RCPT TO:<admin@example.org>", "\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n", "\r\nTo: <admin@example.org>\r\n",
                             "\r\nSubject: HF-E-102: warning on alpha\r\n", "\r\n\r\nVolume \"/srv\" is not being sent to \"beta\": it sleeps.\r\n", "\r\n3 events before it are not told here"}) {
        INFO(heard);
        CHECK_THAT(heard, Catch::Contains(part));
    }
}

TEST_CASE("mail: a server that refuses is a failure") {
    Correspondent server([](const std::string& heard) { return heard.empty() ? "220 here\r\n" : heard.find("RCPT") == heard.npos ? "250 ok\r\n" : "550 nobody of that name\r\n"; });
    CHECK_FALSE(mail_delivery({"a@b", "c@d", "127.0.0.1:" + server.port()}, "alpha")(a_notice()));
}

TEST_CASE("journald: an event is a datagram of fields, and lines in a value are a value's") {
    ScratchDirectory scratch;
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM, 0));
    const sockaddr_un address = unix_address(scratch / "journal").value();
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    const auto journald = Journald::open(scratch / "journal");
    REQUIRE(journald);
    Event event = a_notice().event;
    event.about.volume = "/srv\nPRIORITY=0";
    REQUIRE(journald->write(event));
    char piece[4096];
    const ssize_t got = ::recv(socket.get(), piece, sizeof piece, 0);
    REQUIRE(got > 0);
    const std::string fields(piece, static_cast<size_t>(got));
    CHECK(fields == std::string("MESSAGE=HF-E-102 Volume \"/srv\" is not being sent to \"beta\": it sleeps.\nPRIORITY=4\nSYSLOG_IDENTIFIER=holdfastd\n"
                                "HOLDFAST_CODE=HF-E-102\nHOLDFAST_NUMBER=7\nHOLDFAST_VOLUME\n") +
                        std::string("\x0f\0\0\0\0\0\0\0", 8) + "/srv\nPRIORITY=0\nHOLDFAST_PEER=beta\n");
}

TEST_CASE("journald: a host without it has none, and one that takes no more is not waited for") {
    ScratchDirectory scratch;
    CHECK(Journald::open(scratch / "journal").error().code == ErrorCode::unavailable);
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM, 0));
    const sockaddr_un address = unix_address(scratch / "journal").value();
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    const auto journald = Journald::open(scratch / "journal");
    bool is_taken = true;
    for (int i = 0; i < 100'000 && is_taken; ++i) is_taken = journald->write(a_notice().event);
    CHECK_FALSE(is_taken);
}

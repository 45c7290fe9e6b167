#include "replicator/launch/task.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "replicator/launch/packet.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;

TEST_CASE("task: travels as it is") {
    Task task{.kind = Task::Kind::make_store, .store = "/a b", .number = 1ULL << 40, .command = {"x", "y z"}, .input = "{}\n"};
    task.volume.bytes[3] = 7;
    const auto back = task_of(Json::parse(line_of(to_json(task))));
    REQUIRE(back);
    CHECK(back->kind == task.kind);
    CHECK(back->store == task.store);
    CHECK(back->number == task.number);
    CHECK(back->volume == task.volume);
    CHECK(back->command == task.command);
    CHECK(back->input == task.input);
}

TEST_CASE("task: what makes no sense is an error and no exception") {
    const Json good = to_json({.kind = Task::Kind::hook, .command = {"/bin/true"}});
    REQUIRE(task_of(good));
    for (const auto& [member, value] : good.items()) {
        Json bad = good;
        bad.erase(member);
        CHECK(!task_of(bad));
        bad[member] = Json::object();
        CHECK(!task_of(bad));
    }
    for (const char* text : {"{}", "[]", "7", "null", R"({"kind":"shell"})"}) CHECK(!task_of(Json::parse(text)));
}

TEST_CASE("task: a program has its input, and its end is told") {
    test::ScratchDirectory scratch;
    const std::string out = scratch / "out";
    auto started = Started::start({.kind = Task::Kind::hook, .command = {"/bin/sh", "-c", "cat > " + out + "; exit 3"}, .input = "an event"});
    REQUIRE(started);
    REQUIRE(started->wait(10'000));
    CHECK(started->exited_with(3));
    CHECK(started->describe_end() == "ended with status 3");
    std::ifstream stream(out);
    CHECK(std::string(std::istreambuf_iterator<char>(stream), {}) == "an event");
}

TEST_CASE("packet: text and descriptors arrive together, and bounds hold") {
    auto ends = packet_ends();
    REQUIRE(ends);
    const auto file = file_with("inside");
    REQUIRE(file);
    REQUIRE(send_packet(ends->first.get(), "hello", {file->get(), file->get()}));
    const auto got = receive_packet(ends->second.get());
    REQUIRE(got);
    CHECK(got->text == "hello");
    REQUIRE(got->fds.size() == 2);
    char text[16] = {};
    CHECK(::pread(got->fds[1].get(), text, sizeof text, 0) == 6);
    CHECK(std::string(text) == "inside");
    CHECK(send_packet(ends->first.get(), std::string(packet_bytes_max + 1, 'x')).error().code == ErrorCode::invalid_argument);
    CHECK(!send_packet(ends->first.get(), ""));
    ends->first.reset();
    CHECK(receive_packet(ends->second.get()).error().code == ErrorCode::unavailable);
    CHECK(send_packet(ends->second.get(), "x").error().code == ErrorCode::unavailable);
}

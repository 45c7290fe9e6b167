#include <catch2/catch.hpp>
#include <set>

#include "tools/command.h"

using namespace holdfast;
using namespace holdfast::tools;

namespace {

Arguments given(std::map<std::string, std::string, std::less<>> values) { return Arguments(std::move(values), false); }

}  // namespace

TEST_CASE("commands: each has a summary, an example of itself and parameters that are told apart") {
    std::set<std::string> names;
    for (const Command& command : commands()) {
        INFO(command.name);
        CHECK(names.insert(command.name).second);
        CHECK(std::string(command.summary).size() > 10);
        CHECK(std::string(command.example).starts_with(std::string("holdfast ") + command.name));
        CHECK(command.run != nullptr);
        std::set<std::string> parameters;
        bool optional_position = false;
        for (const Parameter& parameter : command.parameters) {
            INFO(parameter.name);
            std::string name = parameter.name;
            CHECK(parameters.insert(name).second);
            CHECK(std::string(parameter.help).size() > 5);
            bool is_option = name.starts_with("--");
            bool is_flag = parameter.kind == Parameter::Kind::flag;
            CHECK((!is_flag || is_option));
            // An option's value has a name in the help; a position and a flag are their own.
            CHECK(std::string(parameter.value).empty() == (!is_option || is_flag));
            if (is_option) continue;
            CHECK_FALSE((optional_position && parameter.kind == Parameter::Kind::required));
            optional_position |= parameter.kind == Parameter::Kind::optional;
        }
        CHECK_FALSE(parameters.contains("--json"));
    }
    CHECK(names.size() == commands().size());
}

TEST_CASE("arguments: what may be given several times is a list in its order, or nothing") {
    const Arguments arguments({{"DIR", "/srv"}}, false, {{"--leave-out", {"b", "a", ""}}});
    CHECK(arguments.given("--leave-out"));
    CHECK(arguments.texts("--leave-out") == std::vector<std::string>{"b", "a", ""});
    CHECK(arguments.texts("DIR").empty());
    CHECK_FALSE(given({}).given("--leave-out"));
}

TEST_CASE("arguments: sizes, durations, numbers and moments are understood or refused by name") {
    CHECK(*given({{"--size", "2M"}}).bytes_or("--size", 7) == 2 << 20);
    CHECK(*given({}).bytes_or("--size", 7) == 7);
    CHECK(given({{"--size", "lots"}}).bytes_or("--size", 7).error().message.find("--size") != std::string::npos);
    CHECK(*given({{"--age", "90s"}}).duration_ns_or("--age", 0) == 90'000'000'000);
    CHECK(given({{"--age", "soon"}}).duration_ns_or("--age", 0).error().code == ErrorCode::invalid_argument);
    CHECK(*given({{"--from", "lsn:4096"}}).number_or("--from", 0) == 4096);
    CHECK(*given({{"--from", "4096"}}).number_or("--from", 0) == 4096);
    for (const char* wrong : {"", "lsn:", "-1", "4096x", "99999999999999999999"}) {
        INFO(wrong);
        CHECK(given({{"--from", wrong}}).number_or("--from", 0).error().code == ErrorCode::invalid_argument);
    }
    CHECK(*given({}).moment_or("--at", "now") == "now");
    CHECK(*given({{"--at", "10m"}}).moment_or("--at", "now") == "10m");
    CHECK(given({{"--at", ""}}).moment_or("--at", "now").error().code == ErrorCode::invalid_argument);
}

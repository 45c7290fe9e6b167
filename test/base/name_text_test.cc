#include "base/name_text.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>

using namespace holdfast;

TEST_CASE("name text: a name that is UTF-8 stays as it is") {
    for (const char* name : {"plain", "über", "日本", "a\tb\nc", "😀", ""}) CHECK(name_to_text(name) == name);
}

TEST_CASE("name text: a byte that is no UTF-8 becomes a private character and comes back") {
    CHECK(name_to_text("a\xff") == "a\xef\x9f\xbf");
    CHECK(text_to_name("a\xef\x9f\xbf") == "a\xff");
}

TEST_CASE("name text: a name that holds a private character of the mapping comes back unchanged") {
    std::string name = "x\xef\x9f\xbfy";
    CHECK(name_to_text(name) != name);
    CHECK(text_to_name(name_to_text(name)) == name);
}

TEST_CASE("name text: any bytes come back, and JSON accepts them in between") {
    std::random_device device;
    unsigned seed = device();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    // Bytes that start or continue characters are drawn often, so that half characters and overlong forms occur.
    const std::string likely = "a\x80\xbf\xc0\xc2\xe0\xed\xa0\xef\x9e\x9f\xf0\x90\xf4\xf5\xff";
    for (int round = 0; round < 20000; ++round) {
        std::string name(random() % 12, '\0');
        for (char& byte : name) byte = random() % 4 == 0 ? static_cast<char>(random() % 255 + 1) : likely[random() % likely.size()];
        std::string text = name_to_text(name);
        REQUIRE(text_to_name(text) == name);
        REQUIRE(nlohmann::json::parse(nlohmann::json(text).dump()).get<std::string>() == text);
    }
}

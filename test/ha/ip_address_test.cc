#include "ha/scenario/ip_address.h"

#include <catch2/catch.hpp>

using namespace holdfast::ha;

TEST_CASE("address: is read in any of its ways and written in one") {
    CHECK(parse_ip_address("192.0.2.10/24")->text() == "192.0.2.10/24");
    CHECK(parse_ip_address("2001:DB8:0:0:0::10/64")->text() == "2001:db8::10/64");
    CHECK(parse_ip_address("2001:db8::10/64")->text_without_prefix() == "2001:db8::10");
    CHECK(*parse_ip_address("::1/128") == *parse_ip_address("0:0::1/128"));
}

TEST_CASE("address: its network") {
    CHECK(parse_ip_address("192.0.2.130/25")->subnet().text() == "192.0.2.128/25");
    CHECK(parse_ip_address("192.0.2.130/0")->subnet().text() == "0.0.0.0/0");
    CHECK(parse_ip_address("192.0.2.130/32")->subnet().text() == "192.0.2.130/32");
    CHECK(parse_ip_address("2001:db8:0:1:ffff::9/64")->subnet().text() == "2001:db8:0:1::/64");
}

TEST_CASE("address: what is none") {
    for (const char* text : {"", "/", "192.0.2.10", "192.0.2.10/", "192.0.2.10/33", "192.0.2.10/2x", "192.0.2.10/-1", "192.0.2/24", "192.0.2.10.1/24", "host/24", "2001:db8::/129", ":/64", "/24", "192.0.2.10/24/24"}) {
        INFO(text);
        CHECK_FALSE(parse_ip_address(text));
    }
}

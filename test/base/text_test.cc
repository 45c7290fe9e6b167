#include "base/text.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <ctime>

using namespace holdfast;
using namespace std::literals;

TEST_CASE("text: a hostile name cannot leave its quotes or forge a line") {
    CHECK(quoted("plain name.txt"sv) == "\"plain name.txt\"");
    CHECK(quoted("a\"b\\c"sv) == "\"a\\\"b\\\\c\"");
    CHECK(quoted("line\nnext\x1b[31m"sv) == "\"line\\x0anext\\x1b[31m\"");
    CHECK(quoted("\xc3\xa4\x7f"sv) == "\"\\xc3\\xa4\\x7f\"");
    CHECK(quoted(std::string_view("\0x", 2)) == "\"\\x00x\"");
}

TEST_CASE("text: bytes are shown in the unit that fits") {
    CHECK(human_bytes(0) == "0 B");
    CHECK(human_bytes(1023) == "1023 B");
    CHECK(human_bytes(1536) == "1.5 KiB");
    CHECK(human_bytes((1ULL << 20) - 1) == "1.0 MiB");
    CHECK(human_bytes(10ULL << 30) == "10.0 GiB");
    CHECK(human_bytes(UINT64_MAX) == "16.0 EiB");
}

TEST_CASE("text: sizes are parsed exactly or refused") {
    CHECK(*parse_bytes("4096") == 4096);
    CHECK(*parse_bytes("64M") == 64ULL << 20);
    CHECK(*parse_bytes("10g") == 10ULL << 30);
    CHECK(*parse_bytes("1T") == 1ULL << 40);
    for (const char* wrong : {"", "M", "-1", "1.5G", "10GB", "10 G", "18446744073709551616", "16777216T", "1X"}) {
        INFO(wrong);
        CHECK_FALSE(parse_bytes(wrong));
    }
}

TEST_CASE("text: durations need a unit") {
    CHECK(*parse_duration_ns("90s") == 90'000'000'000ULL);
    CHECK(*parse_duration_ns("15m") == 900'000'000'000ULL);
    CHECK(*parse_duration_ns("2h") == 7'200'000'000'000ULL);
    CHECK(*parse_duration_ns("7d") == 604'800'000'000'000ULL);
    for (const char* wrong : {"", "7", "d", "-7d", "7D", "1h30m", "300000000000d"}) {
        INFO(wrong);
        CHECK_FALSE(parse_duration_ns(wrong));
    }
}

TEST_CASE("text: a time is printed in UTC and read back") {
    uint64_t moment = 1'772'373'800'123'000'000ULL;
    CHECK(iso8601_utc(moment) == "2026-03-01T14:03:20.123Z");
    CHECK(*parse_iso8601_ns(iso8601_utc(moment)) == moment);
    CHECK(*parse_iso8601_ns("2026-03-01T15:03:20.123+01:00") == moment);
    CHECK(*parse_iso8601_ns("2026-03-01T08:33:20.123-05:30") == moment);
    CHECK(*parse_iso8601_ns("2026-03-01T14:03Z") == 1'772'373'780'000'000'000ULL);
    CHECK(*parse_iso8601_ns("1970-01-01T00:00:00.000000001Z") == 1);
    CHECK(*parse_iso8601_ns("2024-02-29Z") == 1'709'164'800'000'000'000ULL);
}

TEST_CASE("text: a time without a zone is the machine's local time") {
    const char* before = std::getenv("TZ");
    std::string saved = before ? before : "";
    setenv("TZ", "XXX-2", 1);  // two hours east of UTC, the whole year
    tzset();
    CHECK(*parse_iso8601_ns("2026-03-01T16:03:20") == *parse_iso8601_ns("2026-03-01T14:03:20Z"));
    CHECK(*parse_iso8601_ns("2026-03-01") == *parse_iso8601_ns("2026-02-28T22:00Z"));
    before ? setenv("TZ", saved.c_str(), 1) : unsetenv("TZ");
    tzset();
}

TEST_CASE("text: what is not a time is refused") {
    for (const char* wrong :
         {"", "now", "2026", "2026-3-1", "2026-02-29", "2026-13-01", "2026-03-01T", "2026-03-01T24:00",
          "2026-03-01T14:60", "2026-03-01T14:03:60", "2026-03-01T14:03.5.", "2026-03-01T14:03:20.",
          "2026-03-01T14:03:20.1234567890Z", "2026-03-01T14:03:20+0100", "2026-03-01T14:03:20+24:00",
          "2026-03-01T14:03:20Zjunk", "1969-12-31T23:59:59Z", "9999-01-01Z", "1970-01-01T00:00+00:01"}) {
        INFO(wrong);
        CHECK_FALSE(parse_iso8601_ns(wrong));
    }
}

TEST_CASE("text: hexadecimal there and back") {
    std::string bytes("\x00\x7f\xff\x10", 4);
    CHECK(hex(bytes.data(), bytes.size()) == "007fff10");
    CHECK(*unhex("007FfF10") == bytes);
    CHECK(unhex("")->empty());
    for (const char* wrong : {"0", "0g", "xx", "00 "}) CHECK_FALSE(unhex(wrong));
}

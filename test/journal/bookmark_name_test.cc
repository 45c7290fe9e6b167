#include "journal/bookmark_name.h"

#include <catch2/catch.hpp>
#include <string>

using holdfast::ErrorCode;
using holdfast::journal::check_bookmark_name;

TEST_CASE("bookmark name: ordinary names are accepted, spaces and other scripts too") {
    for (const std::string name : {"before-upgrade", "release 1.2", "v2", "a", "Größe", "今日", "10 minutes", "nowadays",
                                   "lsn", "-", "@home", "10x", "latin-\xe9"}) {
        INFO(name);
        CHECK(check_bookmark_name(name).has_value());
    }
    CHECK(check_bookmark_name(std::string(254, 'n')).has_value());
}

TEST_CASE("bookmark name: what could be a path, a moment or a terminal sequence is refused with a reason") {
    for (const std::string name : {"", "a/b", "/", "now", ".", "..", "12345", "lsn:7", "10m", "-10m", "90s", "2h", "7d",
                                   "2026-03-01", "2026-03-01T14:03", "2026-03-01T14:03:20.5Z", "tab\there", "\x1b[31m", "del\x7f"}) {
        INFO(name);
        const auto status = check_bookmark_name(name);
        REQUIRE_FALSE(status.has_value());
        CHECK(status.error().code == ErrorCode::invalid_argument);
    }
    CHECK_FALSE(check_bookmark_name(std::string(255, 'n')).has_value());
    CHECK_FALSE(check_bookmark_name(std::string_view("nul\0byte", 8)).has_value());
}

#include "tools/cli/exit_code.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <map>

using namespace holdfast;

namespace {

constexpr ErrorCode last_code = ErrorCode::gap;

// The error codes of each row of the page, by exit code.
std::map<int, std::string> documented() {
    std::ifstream page(std::filesystem::path(HOLDFAST_SOURCE_DIR) / "docs/exit_codes.md");
    REQUIRE(page.good());
    std::map<int, std::string> rows;
    for (std::string line; std::getline(page, line);) {
        if (line.size() < 4 || line[0] != '|' || !isdigit(line[2])) continue;
        size_t end = line.rfind('|'), start = line.rfind('|', end - 1);
        rows[std::stoi(line.substr(2))] = ", " + line.substr(start + 2, end - start - 3) + ",";
    }
    return rows;
}

}  // namespace

TEST_CASE("exit codes: the page and the code agree about every error") {
    auto rows = documented();
    REQUIRE(rows.size() == 8);
    for (int code = 0; code <= static_cast<int>(last_code); ++code) {
        auto error = static_cast<ErrorCode>(code);
        INFO(to_string(error));
        int exit = static_cast<int>(cli::exit_code(error));
        CHECK(rows[exit].find(std::string(", ") + to_string(error) + ",") != std::string::npos);
        CHECK(exit >= 2);
    }
}

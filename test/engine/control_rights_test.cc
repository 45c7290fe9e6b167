#include "replicator/engine/control_rights.h"

#include <catch2/catch.hpp>

using namespace holdfast;
using namespace holdfast::replicator;

TEST_CASE("control: what a peer may, by its right and what it asks for") {
    using enum ControlRight;
    const struct { ControlRight right; const char* method; bool changes_trust, may; const char* would; } table[] = {
        {none, "GET", false, false, "view"},       {view, "GET", false, true, ""},         {operate, "GET", false, true, ""},
        {none, "POST", false, false, "operate"},   {view, "POST", false, false, "operate"}, {operate, "POST", false, true, ""},
        {view, "HEAD", false, false, "operate"},   {view, "get", false, false, "operate"},  {view, "", false, false, "operate"},
        {none, "POST", true, false, "itself"},     {view, "POST", true, false, "itself"},   {operate, "POST", true, false, "itself"},
        {operate, "GET", true, false, "itself"},
    };
    for (const auto& row : table) {
        CAPTURE(to_string(row.right), row.method, row.changes_trust);
        const Status status = check_control(row.right, control_need(row.method, row.changes_trust), "alpha", "beta");
        CHECK(status.has_value() == row.may);
        if (status) continue;
        CHECK(status.error().code == ErrorCode::permission);
        CHECK_THAT(status.error().message, Catch::Contains("\"beta\"") && Catch::Contains(row.would));
    }
}

TEST_CASE("control: a right is written as it is read, and nothing else is one") {
    for (const auto right : {ControlRight::none, ControlRight::view, ControlRight::operate}) CHECK(parse_control_right(to_string(right)) == right);
    for (const char* text : {"", "View", "all", "operate "}) CHECK_FALSE(parse_control_right(text));
}

#include "base/json.h"

#include <catch2/catch.hpp>

using namespace holdfast;

TEST_CASE("json: a number is a whole one that is not negative, and whatever else stands there is none") {
    const Json read = Json::parse(R"({"small": 7, "large": 18446744073709551615, "negative": -1, "float": 1.0, "huge": 8.1e50, "text": "7", "null": null, "list": [7]})");
    CHECK(number_at(read, "small") == 7);
    CHECK(number_at(read, "large") == UINT64_MAX);
    for (const char* key : {"negative", "float", "huge", "text", "null", "list", "missing"}) {
        INFO(key);
        CHECK_FALSE(number_at(read, key));
        CHECK(number_or(read, key, 9) == 9);
    }
    // What was not read from text is signed where a program wrote it so.
    CHECK(number_at(Json{{"n", 5}}, "n") == 5);
    CHECK_FALSE(number_at(Json{{"n", -5}}, "n"));
    for (const Json& none : {Json(), Json(7), Json::array({7}), Json("n"), Json(Json::value_t::discarded)}) CHECK_FALSE(number_at(none, "n"));
}

#include "base/toml_table.h"

#include <catch2/catch.hpp>

using namespace holdfast;

namespace {

TomlText parsed(const std::string& text) {
    auto read = TomlText::parse(text, "f.toml");
    REQUIRE(read);
    return std::move(*read);
}

}  // namespace

TEST_CASE("toml: what is missing, unknown or of the wrong kind is a sentence with file, line and table") {
    const TomlText text = parsed("a = 1\n[t]\nb = 'x'\nc = ['y']\nd = true\ne = '90s'\n");
    const TomlTable top = text.top(), table = *top.table("t");
    CHECK(top.text("a").error().message.find("f.toml, line 1: `a` must be a text") == 0);
    CHECK(table.text("z").error().message.find("t: `z` is missing") != std::string::npos);
    CHECK(table.text("z", "fallback").value() == "fallback");
    CHECK(table.texts("c").value() == std::vector<std::string>{"y"});
    CHECK_FALSE(table.texts("b"));
    CHECK(table.flag("d").value());
    CHECK_FALSE(table.flag("none").value());
    CHECK_FALSE(table.flag("b"));
    CHECK(table.duration_ns("e", 0).value() == 90'000'000'000);
    CHECK(table.duration_ns("none", 5).value() == 5);
    CHECK_FALSE(table.duration_ns("b", 0));
    CHECK(table.knows_only({"b", "c", "d", "e"}));
    CHECK(table.knows_only({"b", "c", "d"}).error().message.find("nothing is called \"e\" here; there are b, c, d") != std::string::npos);
    CHECK_FALSE(top.table("a"));
    CHECK_FALSE(top.rows("a", 3));
    CHECK(top.rows("none", 3)->empty());
}

TEST_CASE("toml: tables of an array have a bound") {
    const TomlText text = parsed("[[r]]\nx = '1'\n[[r]]\nx = '2'\n");
    CHECK(text.top().rows("r", 2)->size() == 2);
    CHECK(text.top().rows("r", 1).error().message.find("more than 1 of [[r]]") != std::string::npos);
}

TEST_CASE("toml: what a text inherits keeps its own file and line") {
    TomlText text = parsed("a = 'own'\n[t]\nx = 'own'\n");
    auto base = TomlText::parse("a = 'base'\n\n[t]\nx = 'base'\ny = 'base'\n[u]\nz = 3\n", "base.toml");
    REQUIRE(base);
    text.inherit(std::move(*base));
    CHECK(text.top().text("a").value() == "own");
    CHECK(text.top().table("t")->text("x").value() == "own");
    CHECK(text.top().table("t")->text("y").value() == "base");
    CHECK(text.top().table("u")->text("z").error().message.starts_with("base.toml, line 6, u: "));
}

TEST_CASE("toml: a letter where white space may stand is refused, and nothing undefined happens") {
    CHECK_FALSE(TomlText::parse("foA0\u03d0 00,\n[j81", "f.toml"));
}

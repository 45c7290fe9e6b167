#include "replicator/engine/config.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "replicator/trust/peers.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::replicator;
using holdfast::test::ScratchDirectory;

namespace {

const std::string id = "3f0c6c1e-0000-4000-8000-000000000001", other_id = "3f0c6c1e-0000-4000-8000-000000000002";
const std::string listen = "listen = \"0.0.0.0:4848\"\n";

std::string send(const std::string& volume, const std::string& to) {
    return "[[send]]\nvolume = \"" + volume + "\"\nto = \"" + to + "\"\n";
}
std::string keep(const std::string& volume, const std::string& from, const std::string& store) {
    return "[[keep]]\nvolume = \"" + volume + "\"\nfrom = \"" + from + "\"\nstore = \"" + store + "\"\n";
}

}  // namespace

TEST_CASE("config: an empty file is a host that does nothing, under its own name") {
    const auto config = parse_config("", "f");
    REQUIRE(config);
    CHECK(check_peer_name(config->name));
    CHECK(config->listen.empty());
    CHECK(config->address.empty());
    CHECK(config->send.empty());
    CHECK(config->keep.empty());
}

TEST_CASE("config: everything that can be said is understood, in the order of the file") {
    const auto config = parse_config("name = \"alpha\" # comment\n" + listen + "address = \"alpha.example.org:4848\"\n" + send("/srv/data", "beta") +
                                         send("/srv/data", "gamma") + send(id, "delta") + keep(id, "beta", "/var/a") + keep(other_id, "beta", "/var/b") + "delay = \"90s\"\naccept_deletions = true\ntrust_times = true\nverify = \"1M\"\ndirectory = \"/srv/b\"\nreplace_contents = true",
                                     "f");
    REQUIRE(config);
    CHECK(config->name == "alpha");
    CHECK(config->listen == "0.0.0.0:4848");
    CHECK(config->address == "alpha.example.org:4848");
    CHECK(config->send == std::vector<SendRule>{{"/srv/data", "beta"}, {"/srv/data", "gamma"}, {id, "delta"}});
    const auto volume = [](const std::string& text) { return journal::parse_volume_id(text).value(); };
    CHECK(config->keep == std::vector<KeepRule>{{volume(id), "beta", "/var/a"}, {volume(other_id), "beta", "/var/b", "/srv/b", true, 90'000'000'000, true, true, 1 << 20}});
}

struct Refused {
    std::string text;
    const char* sentence;
};

void check_refused(const std::vector<Refused>& table) {
    for (const Refused& row : table) {
        CAPTURE(row.text.substr(0, 300));
        const auto config = parse_config(row.text, "f");
        REQUIRE_FALSE(config);
        CHECK(config.error().code == ErrorCode::invalid_argument);
        CHECK_THAT(config.error().message, Catch::StartsWith("f, line ") && Catch::Contains(row.sentence));
    }
}

TEST_CASE("config: what cannot be taken is refused with file, line and what is wrong") {
    check_refused({
        {"name = ", "f, line 1"},
        {"\n\nlisten = 0.0.0.0:4848", "f, line 3"},
        {"name = \"a\"\nname = \"b\"", "line 2"},
        {"\xff\xfe", "f, line 1"},
        {std::string(1000, '['), "f, line 1"},
        {"x = " + std::string(100'000, '['), "f, line 1"},
        {"nmae = \"alpha\"", "nothing is called \"nmae\" here; there are name, listen, address, send, keep, peer, notify"},
        {"[engine]\nname = \"a\"", "nothing is called \"engine\" here"},
        {"name = 7", "`name` must be a text"},
        {"name = \"\"", "`name` must be a text that is not empty"},
        {"name = \"a\\u0000b\"", "`name` must be a text"},
        {"name = [\"a\"]", "`name` must be a text"},
        {"name = \"-a\"", "cannot name a peer"},
        {"listen = \"\"", "`listen` must be a text that is not empty"},
        {"listen = 4848", "`listen` must be a text"},
        {"listen = \"here\"", "is not an address"},
        {"address = \"alpha:99999\"", "is not an address"},
        {"address = true", "`address` must be a text"},
        {"send = 1", "`send` is written as tables: [[send]]"},
        {"[send]\nvolume = \"/a\"\nto = \"b\"", "`send` is written as tables: [[send]]"},
        {"send = [1, 2]", "`send` is written as tables: [[send]]"},
        {"send = [{volume = \"/a\", to = \"b\"}, []]", "`send` is written as tables: [[send]]"},
        {"keep = \"x\"", "`keep` is written as tables: [[keep]]"},
        {"[[send]]\nto = \"b\"", "f, line 1, [[send]]: `volume` is missing"},
        {"[[send]]\nvolume = \"/a\"", "`to` is missing"},
        {"[[send]]\nvolume = \"/a\"\nto = \"b\"\nfrom = \"c\"", "nothing is called \"from\" here; there are volume, to"},
        {"[[send]]\nvolume = 1\nto = \"b\"", "`volume` must be a text"},
        {send("", "b"), "`volume` must be a text that is not empty"},
        {send("/a", ""), "`to` must be a text that is not empty"},
        {send("/a", "b/c"), "cannot name a peer"},
        {"\n" + send("/a", "b") + send("/c", "b") + send("/a", "b"), "f, line 8, [[send]]: the same is written twice"},
        {send("/a", "b") + "streams = 0", "`streams` must be a number of connections from 1 to 8"},
        {send("/a", "b") + "streams = 9", "`streams` must be a number"},
        {send("/a", "b") + "streams = \"auto\"", "`streams` must be a number"},
        {send("/a", "b") + "limit = 7", "`limit` must be a text"},
        {send("/a", "b") + "limit = \"fast\"", "is no limit"},
        {send("/a", "b") + "limit = \"1023\"", "at least 1.0 KiB"},
        {send("/a", "b") + "hours = 3", "`hours` is written as tables: hours = [ { … } ]"},
        {send("/a", "b") + "hours = [{days = \"mon-fun\", from = 1, to = 2, limit = \"1M\"}]", "names no days"},
        {send("/a", "b") + "hours = [{days = \"mon\", from = 2, to = 2, limit = \"1M\"}]", "`from` must be before `to`"},
        {send("/a", "b") + "hours = [{days = \"mon\", from = 2, to = 25, limit = \"1M\"}]", "`to` must be an hour"},
        {send("/a", "b") + "hours = [{days = \"mon\", from = 2, to = 3}]", "`limit` is missing"},
        {send("/a", "b") + "schedule = []", "`schedule` has no hours"},
        {send("/a", "b") + "schedule = [{days = \"mon\", from = 1, to = 2, limit = \"1M\"}]", "nothing is called \"limit\" here; there are days, from, to"},
        {send("/a", "b") + "schedule = [{days = \"mon\", from = 20, to = 6}]", "what goes past midnight is two rows"},
        {send("/a", "b") + "except = []", "`except` must be a list of texts"},
        {send("/a", "b") + "except = [\"2026-02-30\"]", "\"2026-02-30\" is no date"},
        {listen + "[[keep]]\nfrom = \"b\"\nstore = \"/s\"", "`volume` is missing"},
        {listen + "[[keep]]\nvolume = \"" + id + "\"\nstore = \"/s\"", "`from` is missing"},
        {listen + "[[keep]]\nvolume = \"" + id + "\"\nfrom = \"b\"", "`store` is missing"},
    });
}

TEST_CASE("config: a replica that cannot be kept is refused as well") {
    check_refused({
        {listen + keep(id, "b", "/s") + "delay = \"soon\"", "\"soon\" is no delay"},
        {listen + keep(id, "b", "/s") + "verify = \"10\"", "\"10\" is nothing to verify at; it is bytes a second"},
        {listen + keep(id, "b", "/s") + "accept_deletions = \"yes\"", "`accept_deletions` must be true or false"},
        {listen + keep("/srv/data", "b", "/s"), "is no volume id; `holdfast status` on the source shows it"},
        {listen + keep(id + "0", "b", "/s"), "is no volume id"},
        {listen + keep(id, ".b", "/s"), "cannot name a peer"},
        {listen + keep(id, "b", "store"), "`store` must be an absolute path"},
        {listen + keep(id, "b", "/s") + "directory = \"d\"", "`directory` must be an absolute path"},
        {listen + keep(id, "b", "/s") + "replace_contents = true", "`replace_contents` says what may be done with the `directory`, and there is none"},
        {listen + keep(id, "b", "/s") + "directory = \"/d\"\n" + keep(other_id, "b", "/t") + "directory = \"/./d/\"", "a directory stands by for one volume"},
        {listen + keep(id, "b", "/s") + "to = \"c\"", "nothing is called \"to\" here; there are volume, from, store"},
        {listen + keep(id, "b", "/s") + keep(id, "c", "/t"), "a volume is kept once on a host"},
        {listen + keep(id, "b", "/s") + keep(other_id, "b", "/s"), "a store holds one volume"},
        {keep(id, "b", "/s"), "a host that keeps replicas must `listen`"},
        {listen + keep(id, "b", "/s") + send(id, "b"), "from where a [[keep]] takes it"},
        {listen + send("//s/./", "b") + keep(id, "b", "/s"), "from where a [[keep]] takes it"},
        {listen + keep(id, "b", "/s") + send("/s/image", "b"), "from where a [[keep]] takes it"},
        {listen + keep(id, "b", "/s") + send("/s", "c") + send(id, "c"), "the replica in \"/s\" is sent to \"c\" twice, under two names"},
    });
}

TEST_CASE("config: a replica may be sent on to third hosts, and other volumes to where it comes from") {
    const auto config = parse_config(listen + keep(id, "b", "/s") + send(id, "c") + send("/s", "d") + send(other_id, "b") + send("/s2", "b") + send("/srv/s", "b"), "f");
    REQUIRE(config);
    std::vector<bool> onward;
    for (const SendRule& rule : config->send) onward.push_back(sends_on(rule, config->keep.front()));
    CHECK(onward == std::vector<bool>{true, true, false, false, false});
}

TEST_CASE("config: hours and dates of a replica are understood") {
    const auto config = parse_config(send("/a", "b") + "schedule = [{days = \"mon-fri\", from = 20, to = 24}, {days = \"sat\", from = 0, to = 24}]\nexcept = [\"2026-12-24\"]\n" + send("/a", "c"), "f");
    REQUIRE(config);
    CHECK(config->send[0].schedule == Schedule{{{0b0011111, 20, 24}, {0b0100000, 0, 24}}, {{2026, 12, 24}}});
    CHECK(config->send[1].schedule == Schedule{});
}

TEST_CASE("config: one store is one store, however it is written") {
    const auto config = parse_config(listen + keep(id, "b", "/var/s") + keep(other_id, "b", "/var//./s/"), "f");
    REQUIRE_FALSE(config);
    CHECK_THAT(config.error().message, Catch::Contains("a store holds one volume"));
}

TEST_CASE("config: as many edges as the limit says, and not one more") {
    std::string full;
    for (size_t i = 0; i < edges_max; ++i) full += send("/srv/" + std::to_string(i), "b");
    REQUIRE(parse_config(full, "f"));
    CHECK(parse_config(full, "f")->send.size() == edges_max);
    const auto over = parse_config(full + send("/srv/more", "b"), "f");
    REQUIRE_FALSE(over);
    CHECK_THAT(over.error().message, Catch::Contains("more than 256 of [[send]]"));
}

TEST_CASE("config: a file is read as it is, and one that is not there, too long or no file is refused") {
    const ScratchDirectory scratch;
    const std::string path = scratch / "holdfastd.toml";
    const auto written = [&](const std::string& text) {
        std::ofstream(path, std::ios::trunc) << text;
        return load_config(path);
    };
    CHECK(load_config(path).error().code == ErrorCode::not_found);
    CHECK_THAT(load_config(path).error().message, Catch::Contains("there is no configuration \"" + path));

    const auto config = written("name = \"alpha\"\n" + send("/srv/data", "beta"));
    REQUIRE(config);
    CHECK(config->name == "alpha");
    CHECK_THAT(written("\nname = 1").error().message, Catch::StartsWith(path + ", line "));

    const std::string longest = "#" + std::string(config_bytes_max - 1, 'x');
    CHECK(written(longest));
    const auto longer = written(longest + "x");
    REQUIRE_FALSE(longer);
    CHECK(longer.error().code == ErrorCode::invalid_argument);
    CHECK_THAT(longer.error().message, Catch::Contains("longer than a configuration can be"));

    // A directory can be opened, and nothing comes out of it: that is no empty configuration, which would end every edge.
    const auto directory = load_config(scratch.path());
    REQUIRE_FALSE(directory);
    CHECK_THAT(directory.error().message, Catch::Contains(scratch.path()));
}

TEST_CASE("config: limits, days that go around the week, hours") {
    const auto config = parse_config(send("/a", "b") + "streams = 8\nlimit = \"10M\"\nhours = [{days = \"sat-mon\", from = 0, to = 24, limit = \"1K\"}]", "f");
    REQUIRE(config);
    CHECK(config->send.front().streams == 8);
    CHECK(config->send.front().limits == Limits{10 << 20, {{{0b1100001, 0, 24}, 1024}}});
}

TEST_CASE("config: who is told of events, and from which severity on") {
    const auto config = parse_config("[[notify]]\nexec = [\"/bin/page\", \"a b\"]\n[[notify]]\nmin_severity = \"error\"\nwebhook = \"https://h/x\"\n"
                                     "[[notify]]\nmin_severity = \"info\"\nmail = { to = \"a@b\", from = \"c@d\", server = \"smtps://m:465\" }\n",
                                     "f");
    REQUIRE(config);
    CHECK(config->notify == std::vector<NotifyRule>{{Severity::warning, {"/bin/page", "a b"}, "", {}},
                                                    {Severity::error, {}, "https://h/x", {}},
                                                    {Severity::info, {}, "", MailRule{"a@b", "c@d", "smtps://m:465"}}});
}

TEST_CASE("config: a way to tell of events that cannot work is refused with what is wrong") {
    const auto mail = [](const std::string& to, const std::string& server) { return "mail = { to = \"" + to + "\", from = \"c@d\", server = \"" + server + "\" }"; };
    const struct { std::string text; const char* sentence; } table[] = {
        {"", "one of `exec`, `webhook` and `mail` says how"},
        {"webhook = \"https://h\"\nexec = [\"/bin/x\"]", "one of `exec`, `webhook` and `mail` says how"},
        {"min_severity = \"loud\"\nwebhook = \"https://h\"", "\"loud\" is no severity; there are info, warning, error"},
        {"exec = \"/bin/x\"", "`exec` must be a list of texts, and not empty"},
        {"exec = []", "`exec` must be a list of texts"},
        {"exec = [\"/bin/x\", 1]", "`exec` must be a list of texts"},
        {"exec = [\"page\"]", "a program's absolute path"},
        {"webhook = \"file:///etc/passwd\"", "must begin with https:// or http://"},
        {"mail = \"a@b\"", "`mail` is written as a table"},
        {"mail = { to = \"a@b\" }", "`from` is missing"},
        {"mail = { to = \"a@b\", from = \"c@d\", server = \"m\", password = \"x\" }", "nothing is called \"password\" here"},
        {mail("nobody", "m"), "\"nobody\" is no mail address"},
        {mail("a@b\\r\\nBcc: x@y", "m"), "is no mail address"},
        {mail("a@b> <x@y", "m"), "is no mail address"},
        {mail("a@b", "http://m"), "is no mail server"},
        {mail("a@b", "m 25"), "is no mail server"},
        {"sound = \"bell\"\nwebhook = \"https://h\"", "nothing is called \"sound\" here; there are min_severity, exec, webhook, mail"},
        {"webhook = \"https://h\"\n[[notify]]\nwebhook = \"https://h\"", "the same is written twice"},
    };
    for (const auto& row : table) {
        INFO(row.text);
        const auto config = parse_config("[[notify]]\n" + row.text + "\n", "f");
        REQUIRE_FALSE(config);
        CHECK(config.error().code == ErrorCode::invalid_argument);
        CHECK_THAT(config.error().message, Catch::StartsWith("f, line ") && Catch::Contains(row.sentence));
    }
    std::string many;
    for (size_t i = 0; i < notify_rules_max; ++i) many += "[[notify]]\nwebhook = \"https://h/" + std::to_string(i) + "\"\n";
    CHECK(parse_config(many, "f"));
    CHECK_THAT(parse_config(many + "[[notify]]\nwebhook = \"https://h\"\n", "f").error().message, Catch::Contains("more than 16 of [[notify]]"));
}

TEST_CASE("config: what a peer may ask is written once for each, and nothing is what it may by default") {
    const auto config = parse_config("[[peer]]\nname = \"beta\"\ncontrol = \"view\"\n[[peer]]\nname = \"gamma\"\ncontrol = \"operate\"\n", "f");
    REQUIRE(config);
    CHECK(config->control_of("beta") == ControlRight::view);
    CHECK(config->control_of("gamma") == ControlRight::operate);
    CHECK(config->control_of("delta") == ControlRight::none);
    check_refused({
        {"[[peer]]\nname = \"beta\"\n", "`control` is missing"},
        {"[[peer]]\ncontrol = \"view\"\n", "`name` is missing"},
        {"[[peer]]\nname = \"-\"\ncontrol = \"view\"\n", "name"},
        {"[[peer]]\nname = \"beta\"\ncontrol = \"all\"\n", "\"all\" is no right; there are none, view, operate"},
        {"[[peer]]\nname = \"beta\"\ncontrol = \"view\"\nkey = \"x\"\n", "nothing is called \"key\" here"},
        {"[[peer]]\nname = \"beta\"\ncontrol = \"view\"\n[[peer]]\nname = \"beta\"\ncontrol = \"none\"\n", "what a peer may is written once"},
    });
}

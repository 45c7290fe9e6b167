#include "ha/scenario/scenario.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

using namespace holdfast;
using namespace holdfast::ha;

namespace {

Result<std::string> no_template(const std::string& name) {
    return Error{ErrorCode::not_found, "there is no " + name};
}

const std::string smallest = "name = 'shop'\nhosts = ['alpha', 'beta']\n[[volume]]\ndirectory = '/srv/shop'\nstore = '/var/lib/shop'\n[application]\nkind = 'systemd'\nunits = ['shop.service']\n";

Scenario parsed(const std::string& text, const ReadTemplate& read = no_template) {
    auto scenario = parse_scenario(text, "shop.toml", read);
    INFO((scenario ? "" : scenario.error().message));
    REQUIRE(scenario);
    return std::move(*scenario);
}

std::string refusal(const std::string& text, const ReadTemplate& read = no_template) {
    const auto scenario = parse_scenario(text, "shop.toml", read);
    REQUIRE_FALSE(scenario);
    CHECK(scenario.error().code == ErrorCode::invalid_argument);
    return scenario.error().message;
}

// Of the page, the lines that are a scenario.
std::string example_of_page() {
    std::ifstream page(std::string(HOLDFAST_SOURCE_DIR) + "/docs/scenario.md");
    std::string line, text;
    for (bool began = false; std::getline(page, line);) {
        began |= line.starts_with("    name = ");
        if (began && (line.empty() || line.starts_with("    "))) text += line + "\n";
        else if (began) break;
    }
    return text;
}

}  // namespace

TEST_CASE("scenario: the smallest one has the defaults of the page") {
    const Scenario scenario = parsed(smallest);
    CHECK(scenario.master == "alpha");
    CHECK(scenario.witness.empty());
    CHECK(scenario.alive == AliveRules());
    CHECK(scenario.on_master_lost == OnMasterLost::notify);
    CHECK(scenario.starts_backward);
    CHECK(scenario.loss_ns_max == 0);
    CHECK(scenario.volumes[0].store.of("beta") == "/var/lib/shop");
    CHECK(scenario.other("alpha") == "beta");
    CHECK(scenario.limit_of(rules_of(Procedure::give)[2]) == 300'000'000'000);
}

TEST_CASE("scenario: the example of the page is one, and says what the page says") {
    const auto empty_template = [](const std::string& name) -> Result<std::string> {
        CHECK(name == "postgres.template.toml");
        return std::string();
    };
    const Scenario scenario = parsed(example_of_page(), empty_template);
    CHECK(scenario.witness == "gamma");
    CHECK(scenario.volumes[0].store.of("alpha") == "/var/lib/holdfast/shop");
    CHECK(scenario.volumes[0].store.of("beta") == "/big/holdfast/shop");
    CHECK(scenario.volumes[0].durability.mode == journal::DurabilityMode::sync);
    CHECK(scenario.application.units.size() == 2);
    CHECK(scenario.application.settings.at("port") == "5432");
    CHECK(scenario.identities.size() == 2);
    CHECK(scenario.identities[0].interface.of("beta") == "ens3");
    CHECK(scenario.identities[1].points_to.of("alpha") == "192.0.2.1");
    CHECK(scenario.loss_ns_max == 5'000'000'000);
    CHECK(scenario.loss_bytes_max == 1 << 20);
    CHECK(scenario.limits.at(Step::reach_barrier) == 600'000'000'000);
    CHECK(scenario.acknowledged[0].check == "clock-service");
    CHECK(scenario.fence == "/usr/local/sbin/power-off");
}

TEST_CASE("scenario: a template gives what is not written, key by key, and sentences name its file and line") {
    const std::string base = "[application]\nkind = 'postgresql'\nstop_limit = '3m'\n[monitor]\ninterval = '10s'\ntimeout = '2m'\n";
    const ReadTemplate read = [&](const std::string&) -> Result<std::string> { return base; };
    const std::string text = "name = 'shop'\nextends = 'base.toml'\nhosts = ['alpha', 'beta']\n[[volume]]\ndirectory = '/srv/shop'\nstore = '/s'\n[application]\nstop_limit = '1m'\n";
    const Scenario scenario = parsed(text, read);
    CHECK(scenario.application.kind == ApplicationKind::postgresql);
    CHECK(scenario.application.stop_limit_ns == 60'000'000'000);
    CHECK(scenario.alive.interval_ns == 10'000'000'000);

    const ReadTemplate wrong = [&](const std::string&) -> Result<std::string> { return base + "levels = ['guess']\n"; };
    CHECK(refusal(text, wrong).starts_with("base.toml, line 4, monitor: \"guess\" is no level"));
    const ReadTemplate own = [](const std::string&) -> Result<std::string> { return std::string("hosts = ['x', 'y']\n"); };
    CHECK(refusal(text, own).find("a template says nothing of `hosts`") != std::string::npos);
    const ReadTemplate endless = [](const std::string& name) -> Result<std::string> { return "extends = '" + name + "'\n"; };
    CHECK(refusal(text, endless).find("8 deep") != std::string::npos);
    CHECK_FALSE(parse_scenario(text, "shop.toml", no_template));
}

TEST_CASE("scenario: what makes no sense is refused with line and remedy") {
    const struct { std::string text, says; } wrong[] = {
        {"name = 'shop", "shop.toml, line 1"},
        {"hosts = ['a', 'b']\n", "`name` is missing"},
        {"name = '../x'\nhosts = ['a', 'b']\n", "is no name"},
        {"name = 'x'\nhosts = ['a']\n", "`hosts` are two"},
        {"name = 'x'\nhosts = ['a', 'a']\n", "`hosts` are two"},
        {"name = 'x'\nhosts = ['a', 'b c']\n", "is no name"},
        {"name = 'x'\nhosts = ['a', 'b']\nmaster = 'c'\n", "`master` is one of the two hosts"},
        {"name = 'x'\nhosts = ['a', 'b']\nwitness = 'b'\n", "the witness is a third host"},
        {"name = 'x'\nhosts = ['a', 'b']\nfence = 'off'\n", "absolute path"},
        {"name = 'x'\nhosts = ['a', 'b']\nlease = '1s'\n", "`lease` must be from 2s to 5m"},
        {"name = 'x'\nhosts = ['a', 'b']\nhost = 1\n", "nothing is called \"host\" here"},
        {"name = 'x'\nhosts = ['a', 'b']\n", "there is no [[volume]]"},
        {"name = 'x'\nhosts = ['a', 'b']\n[[volume]]\ndirectory = 'srv'\nstore = '/s'\n", "absolute path"},
        {"name = 'x'\nhosts = ['a', 'b']\n[[volume]]\ndirectory = '/a'\nstore = {a = '/s'}\n", "`b` is missing"},
        {"name = 'x'\nhosts = ['a', 'b']\n[[volume]]\ndirectory = '/a'\nstore = {a = '/s', b = 's'}\n", "absolute path"},
        {"name = 'x'\nhosts = ['a', 'b']\n[[volume]]\ndirectory = '/a'\nstore = {a = '/s', b = '/s', c = '/s'}\n", "nothing is called \"c\" here"},
        {"name = 'x'\nhosts = ['a', 'b']\n[[volume]]\ndirectory = '/a'\nstore = '/s'\n[[volume]]\ndirectory = '/a'\nstore = '/t'\n", "is there twice"},
        {"name = 'x'\nhosts = ['a', 'b']\n[[volume]]\ndirectory = '/a'\nstore = '/s'\n[[volume]]\ndirectory = '/b'\nstore = '/s'\n", "is there twice"},
        {"name = 'x'\nhosts = ['a', 'b']\n[[volume]]\ndirectory = '/a'\nstore = '/s'\ndurability = 'maybe'\n", "maybe"},
        {"name = 'x'\nhosts = ['a', 'b']\n[[volume]]\ndirectory = '/a'\nstore = '/s'\n", "`application` is written as a table"},
        {smallest + "[monitor]\ntimeout = '30s'\n", "at least three intervals"},
        {smallest + "[monitor]\nlevels = ['custom']\n", "which is missing"},
        {smallest + "[monitor]\nprofile = 'brave'\n", "is no profile"},
        {smallest + "[monitor]\non_master_lost = 'panic'\n", "there are notify, failover"},
        {smallest + "[limits]\ndance = '1m'\n", "no step is called \"dance\"; there are check-synchronized, "},
        {smallest + "[limits]\nreach-barrier = '0s'\n", "from 1s to 1d"},
        {smallest + "[[network]]\nkind = 'address'\naddress = '192.0.2.10'\ninterface = 'eth0'\n", "192.0.2.10/24"},
        {smallest + "[[network]]\nkind = 'address'\naddress = '192.0.2.10/33'\ninterface = 'eth0'\n", "is no address with its prefix"},
        {smallest + "[[network]]\nkind = 'pigeon'\n", "there are address, dns, hostname, script"},
        {smallest + "[[network]]\nkind = 'dns'\nname = 'n'\nserver = 's'\nkey = '/k'\n", "`points_to` is missing"},
        {smallest + "[[network]]\nkind = 'dns'\nname = 'n'\nserver = 's'\nkey = '/k'\npoints_to = 'alpha'\n", "is no address; write 192.0.2.1"},
        {smallest + "[[acknowledge]]\ncheck = 'x'\n", "`reason` is missing"},
        {"name = 'x'\nhosts = ['a', 'b']\n[[volume]]\ndirectory = '/a'\nstore = '/s'\n[application]\nkind = 'scripts'\nscripts = {stop = '/s'}\n", "at least `check`, `stop` and `start`"},
        {"name = 'x'\nhosts = ['a', 'b']\n[[volume]]\ndirectory = '/a'\nstore = '/s'\n[application]\nkind = 'scripts'\nscripts = {dance = '/s'}\n", "nothing is done by a script"},
        {"name = 'x'\nhosts = ['a', 'b']\n[[volume]]\ndirectory = '/a'\nstore = '/s'\n[application]\nkind = 'systemd'\n", "`units` is missing"},
    };
    for (const auto& [text, says] : wrong) {
        const std::string refused = refusal(text);
        INFO(text << "\n" << refused);
        CHECK(refused.find(says) != std::string::npos);
        CHECK(refused.find("shop.toml, line ") == 0);
    }
    CHECK_FALSE(parse_scenario(std::string(scenario_bytes_max + 1, ' '), "shop.toml", no_template));
}

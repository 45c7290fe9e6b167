#include "ha/scenario/plan.h"

#include <catch2/catch.hpp>

using namespace holdfast;
using namespace holdfast::ha;

namespace {

Scenario shop() {
    const std::string text = "name = 'shop'\nhosts = ['alpha', 'beta']\nwitness = 'gamma'\n[[volume]]\ndirectory = '/srv/shop'\nstore = '/var/lib/shop'\n[application]\nkind = 'systemd'\nunits = ['shop.service']\n"
                             "[[network]]\nkind = 'address'\naddress = '192.0.2.10/24'\ninterface = 'eth0'\n";
    auto scenario = parse_scenario(text, "shop.toml", [](const std::string& name) -> Result<std::string> { return Error{ErrorCode::not_found, name}; });
    REQUIRE(scenario);
    return std::move(*scenario);
}

}  // namespace

TEST_CASE("plan: nothing changed is nothing to do") {
    const auto plan = plan_change(shop(), shop());
    REQUIRE(plan);
    CHECK(plan->empty());
}

TEST_CASE("plan: every part of a scenario has an effect of its own") {
    const struct {
        const char* part;
        void (*change)(Scenario&);
        Effect effect;
        const char* says;
    } changes[] = {
        {"host", [](Scenario& s) { s.hosts[1] = "delta"; }, Effect::copies, "delta becomes a host"},
        {"master", [](Scenario& s) { s.master = "beta"; }, Effect::later, "who serves now does not change"},
        {"witness", [](Scenario& s) { s.witness.clear(); }, Effect::unnoticed, "none instead of gamma"},
        {"fence", [](Scenario& s) { s.fence = "/off"; }, Effect::later, "/off"},
        {"lease", [](Scenario& s) { s.lease_ns = 20'000'000'000; }, Effect::unnoticed, "20 s"},
        {"starts_backward", [](Scenario& s) { s.starts_backward = false; }, Effect::later, "nothing is replicated back"},
        {"volume", [](Scenario& s) { s.volumes.push_back(s.volumes[0]); s.volumes[1].directory = "/srv/more"; }, Effect::stops, "\"/srv/more\" is protected"},
        {"volume's directory", [](Scenario& s) { s.volumes[0].directory = "/srv/else"; }, Effect::stops, "\"/srv/shop\" is protected no more"},
        {"standby's store", [](Scenario& s) { s.volumes[0].store.set("beta", "/big"); }, Effect::copies, "on beta is \"/big\""},
        {"master's store", [](Scenario& s) { s.volumes[0].store.set("alpha", "/big"); }, Effect::stops, "mounted anew"},
        {"durability", [](Scenario& s) { s.volumes[0].durability.mode = journal::DurabilityMode::sync; }, Effect::unnoticed, "fsync"},
        {"application", [](Scenario& s) { s.application.units.push_back("more.service"); }, Effect::later, "not restarted"},
        {"a new identity", [](Scenario& s) { s.identities.push_back(s.identities[0]); s.identities[1].address = "192.0.2.11/24"; }, Effect::unnoticed, "192.0.2.11/24 is acquired"},
        {"no identity", [](Scenario& s) { s.identities.clear(); }, Effect::noticed, "is released"},
        {"another interface", [](Scenario& s) { s.identities[0].interface.set("alpha", "eth1"); }, Effect::noticed, "released, and acquired"},
        {"monitor", [](Scenario& s) { s.alive.interval_ns = 10'000'000'000; }, Effect::later, "begins anew"},
        {"on_master_lost", [](Scenario& s) { s.on_master_lost = OnMasterLost::failover; }, Effect::later, "failover"},
        {"loss", [](Scenario& s) { s.loss_ns_max = 1; }, Effect::later, "may lose"},
        {"limits", [](Scenario& s) { s.limits[Step::reach_barrier] = 1; }, Effect::later, "limits"},
        {"acknowledge", [](Scenario& s) { s.acknowledged.push_back({"clock-service", "so"}); }, Effect::later, "acknowledged"},
    };
    for (const auto& [part, change, effect, says] : changes) {
        INFO(part);
        Scenario wanted = shop();
        change(wanted);
        const auto plan = plan_change(shop(), wanted);
        REQUIRE(plan);
        REQUIRE_FALSE(plan->empty());
        const auto found = std::find_if(plan->begin(), plan->end(), [&, &text = says](const PlannedChange& one) { return one.sentence.find(text) != std::string::npos; });
        REQUIRE(found != plan->end());
        CHECK(found->effect == effect);
    }
}

TEST_CASE("plan: another scenario, or two other hosts at once, are refused") {
    Scenario other = shop();
    other.name = "store";
    CHECK(plan_change(shop(), other).error().code == ErrorCode::invalid_argument);
    Scenario moved = shop();
    moved.hosts = {"delta", "epsilon"};
    CHECK(plan_change(shop(), moved).error().message.find("exchange one") != std::string::npos);
}

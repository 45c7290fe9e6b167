#include "ha/scenario/plan.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::ha {

namespace {

using Plan = std::vector<PlannedChange>;

std::string or_none(const std::string& text) { return text.empty() ? "none" : text; }

void plan_hosts(const Scenario& now, const Scenario& wanted, Plan& plan) {
    for (const std::string& host : wanted.hosts)
        if (std::find(now.hosts.begin(), now.hosts.end(), host) == now.hosts.end()) plan.push_back({Effect::copies, host + " becomes a host of the scenario: everything is copied to it, and nobody can take over until it is there"});
    for (const std::string& host : now.hosts)
        if (std::find(wanted.hosts.begin(), wanted.hosts.end(), host) == wanted.hosts.end()) plan.push_back({Effect::unnoticed, host + " is left out: it gets nothing more, and keeps what it has. It must not be the one that serves"});
    if (now.master != wanted.master) plan.push_back({Effect::later, "the master at first is " + wanted.master + ": who serves now does not change by it"});
    if (now.witness != wanted.witness) plan.push_back({Effect::unnoticed, "the witness is " + or_none(wanted.witness) + " instead of " + or_none(now.witness) + ": both hosts must be connected, and agree, before the old one is dropped"});
    if (now.fence != wanted.fence) plan.push_back({Effect::later, "the fence is " + or_none(wanted.fence)});
    if (now.lease_ns != wanted.lease_ns) plan.push_back({Effect::unnoticed, "votes bind for " + std::to_string(wanted.lease_ns / 1'000'000'000) + " s: voters go by the longer of both until they have all been told"});
    if (now.starts_backward != wanted.starts_backward) plan.push_back({Effect::later, wanted.starts_backward ? "after a switchover the new master is replicated to the old one" : "after a switchover nothing is replicated back by itself"});
}

const ScenarioVolume* volume_at(const Scenario& scenario, const std::string& directory) {
    const auto found = std::find_if(scenario.volumes.begin(), scenario.volumes.end(), [&](const ScenarioVolume& volume) { return volume.directory == directory; });
    return found == scenario.volumes.end() ? nullptr : &*found;
}

void plan_volume(const Scenario& now, const ScenarioVolume& before, const ScenarioVolume& after, Plan& plan) {
    for (const auto& [host, store] : after.store.values()) {
        const auto old = before.store.values().find(host);
        if (old == before.store.values().end() || old->second == store) continue;
        const bool is_active = host == now.master;
        plan.push_back({is_active ? Effect::stops : Effect::copies, "the store of " + quoted(after.directory) + " on " + host + " is " + quoted(store) + " instead of " + quoted(old->second) +
                                                                       (is_active ? ": the directory is mounted anew for it" : ": an empty one is filled, one that was moved is compared")});
    }
    if (before.durability != after.durability) plan.push_back({Effect::unnoticed, "fsync in " + quoted(after.directory) + " is " + journal::to_string(after.durability.mode) + ", " + journal::when_alone_text(after.durability)});
}

void plan_volumes(const Scenario& now, const Scenario& wanted, Plan& plan) {
    for (const ScenarioVolume& volume : wanted.volumes) {
        const ScenarioVolume* before = volume_at(now, volume.directory);
        if (before == nullptr) plan.push_back({Effect::stops, quoted(volume.directory) + " is protected: it is mounted over, for which nobody may have it open, and copied"});
        if (before != nullptr) plan_volume(now, *before, volume, plan);
    }
    for (const ScenarioVolume& volume : now.volumes)
        if (volume_at(wanted, volume.directory) == nullptr) plan.push_back({Effect::stops, quoted(volume.directory) + " is protected no more: it is unmounted, for which nobody may have it open; its history is kept"});
}

void plan_identities(const Scenario& now, const Scenario& wanted, Plan& plan) {
    const auto shown = [](const Identity& identity) { return std::string(to_string(identity.kind)) + " " + (identity.address.empty() ? identity.program : identity.address); };
    const auto has = [&](const Scenario& scenario, const Identity& wanted_one) {
        return std::any_of(scenario.identities.begin(), scenario.identities.end(), [&](const Identity& identity) { return shown(identity) == shown(wanted_one); });
    };
    for (const Identity& identity : now.identities)
        if (!has(wanted, identity)) plan.push_back({Effect::noticed, shown(identity) + " is released on the host that serves, and moves no more"});
    for (const Identity& identity : wanted.identities) {
        if (!has(now, identity)) plan.push_back({Effect::unnoticed, shown(identity) + " is acquired on the host that serves, and moves with it"});
        else if (std::find(now.identities.begin(), now.identities.end(), identity) == now.identities.end()) plan.push_back({Effect::noticed, shown(identity) + " is released, and acquired as it is written now"});
    }
}

void plan_rest(const Scenario& now, const Scenario& wanted, Plan& plan) {
    if (now.application != wanted.application) plan.push_back({Effect::later, "the application is stopped, started and asked as it is written now; it is not restarted for it"});
    if (now.alive != wanted.alive || now.ping != wanted.ping || now.alive_script != wanted.alive_script) plan.push_back({Effect::later, "the monitor begins anew, with the new rules: a timeout that was running is forgotten"});
    if (now.on_master_lost != wanted.on_master_lost) plan.push_back({Effect::later, std::string("when the master is lost: ") + to_string(wanted.on_master_lost)});
    if (now.loss_ns_max != wanted.loss_ns_max || now.loss_bytes_max != wanted.loss_bytes_max) plan.push_back({Effect::later, "what an automatic takeover may lose is changed"});
    if (now.limits != wanted.limits) plan.push_back({Effect::later, "steps have other limits"});
    if (now.acknowledged != wanted.acknowledged) plan.push_back({Effect::later, "other warnings are acknowledged: the next verification goes by them"});
}

}  // namespace

const char* to_string(Effect effect) {
    switch (effect) {
        case Effect::later: return "later";
        case Effect::unnoticed: return "unnoticed";
        case Effect::noticed: return "noticed";
        case Effect::copies: return "copies";
        case Effect::stops: return "stops";
    }
    return "?";
}

Result<std::vector<PlannedChange>> plan_change(const Scenario& now, const Scenario& wanted) {
    if (now.name != wanted.name) return Error{ErrorCode::invalid_argument, quoted(wanted.name) + " is another scenario than " + quoted(now.name) + "; a scenario keeps its name"};
    const bool shares_a_host = std::any_of(wanted.hosts.begin(), wanted.hosts.end(), [&](const std::string& host) { return std::find(now.hosts.begin(), now.hosts.end(), host) != now.hosts.end(); });
    if (!shares_a_host) return Error{ErrorCode::invalid_argument, "both hosts are others; exchange one, wait until it has everything, and then the other"};
    Plan plan;
    plan_hosts(now, wanted, plan);
    plan_volumes(now, wanted, plan);
    plan_identities(now, wanted, plan);
    plan_rest(now, wanted, plan);
    return plan;
}

}  // namespace holdfast::ha

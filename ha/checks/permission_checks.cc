// Checks of what a switchover will do, without doing it: whether the engines may, and whether what they need for it is there.
#include <algorithm>

#include "base/text.h"
#include "ha/checks/tables.h"

namespace holdfast::ha {

namespace {

constexpr auto consistency = CheckFamily::consistency;
constexpr auto permission = CheckFamily::permission;
constexpr auto error = Severity::error, warning = Severity::warning;

bool moves(const Scenario& scenario, IdentityKind kind) {
    return std::any_of(scenario.identities.begin(), scenario.identities.end(), [&](const Identity& identity) { return identity.kind == kind; });
}

void has_capability(Look& look, const std::string& name, const char* for_what) {
    for (const HostFacts& host : look.hosts()) {
        const auto all = host.facts.texts({"capabilities"});
        if (!all) look.does_not_know(host, {"capabilities"});
        if (all && std::find(all->begin(), all->end(), name) == all->end()) look.finds("the engine on " + host.name + " lacks the capability " + name + ", for " + for_what);
    }
}

void has_program(Look& look, const char* name) {
    for (const HostFacts& host : look.hosts()) {
        const FactPath path{"programs", name};
        const auto is_there = host.facts.flag(path);
        if (!is_there) look.does_not_know(host, path);
        if (is_there && !*is_there) look.finds("there is no program " + std::string(name) + " on " + host.name);
    }
}

template <typename What>
void each_key(Look& look, const What& what) {
    for (const Identity& identity : look.scenario().identities)
        if (identity.kind == IdentityKind::dns) what(identity.key);
}

// One version next to another one works; further apart they refuse each other.
void versions_fit(Look& look) {
    const auto here = look.active().facts.number({"holdfast", "protocol"}), there = look.standby().facts.number({"holdfast", "protocol"});
    if (here && there && std::max(*here, *there) - std::min(*here, *there) > 1)
        look.finds(look.active().name + " speaks version " + std::to_string(*here) + ", " + look.standby().name + " version " + std::to_string(*there));
}

constexpr Check checks[] = {
    {"engine-version", consistency, error, "the engines understand each other", "upgrade the older one: one version apart at most", versions_fit},
    {"engine-equal-version", consistency, warning, "both engines are of one version", "upgrade the older one", [](Look& look) { look.must_be_equal({"holdfast", "version"}, "the version"); }},
    {"engine-maintenance", consistency, warning, "no host is in maintenance", "holdfast maintenance done", [](Look& look) { look.must_be({"holdfast", "in_maintenance"}, false, "the engine is in maintenance"); }},
    {"engine-service", permission, warning, "the engine is started with its host", "systemctl enable holdfastd", [](Look& look) { look.must_be({"holdfast", "is_enabled"}, true, "holdfastd is not started with the host"); }},
    {"capability-mount", permission, error, "the engine may mount", "start holdfastd by its unit, or as root", [](Look& look) { has_capability(look, "sys_admin", "mounting"); }},
    {"capability-network", permission, error, "the engine may move addresses", "start holdfastd by its unit, or as root", [](Look& look) { if (moves(look.scenario(), IdentityKind::address)) has_capability(look, "net_admin", "moving addresses"); }},
    {"capability-raw", permission, warning, "the engine may tell neighbours of an address that moved", "start holdfastd by its unit, or as root", [](Look& look) { if (moves(look.scenario(), IdentityKind::address)) has_capability(look, "net_raw", "telling neighbours"); }},
    {"capability-owner", permission, error, "the engine may give files their owners", "start holdfastd by its unit, or as root", [](Look& look) { has_capability(look, "chown", "giving files their owners"); }},
    {"capability-read", permission, error, "the engine may read every file", "start holdfastd by its unit, or as root", [](Look& look) { has_capability(look, "dac_read_search", "reading every file"); }},
    {"ping-allowed", permission, error, "the engine may ping", "sysctl net.ipv4.ping_group_range, or the capability net_raw", [](Look& look) { if (look.scenario().alive.asks_for(AliveLevel::ping)) look.must_be({"network", "may_ping"}, true, "the engine may not send echo requests"); }},
    {"fuse-device", permission, error, "there is a FUSE device", "modprobe fuse", [](Look& look) { look.must_be({"devices", "fuse"}, true, "there is no /dev/fuse"); }},
    {"systemd-runs", permission, error, "systemd runs the host's services", "run the application by scripts instead", [](Look& look) { if (!look.scenario().application.units.empty()) look.must_be({"systemd", "is_running"}, true, "systemd does not run"); }},
    {"program-systemctl", permission, error, "systemctl is there", "apt install systemd", [](Look& look) { if (!look.scenario().application.units.empty()) has_program(look, "systemctl"); }},
    {"program-nsupdate", permission, error, "nsupdate is there", "apt install bind9-dnsutils", [](Look& look) { if (moves(look.scenario(), IdentityKind::dns)) has_program(look, "nsupdate"); }},
    {"key-exists", permission, error, "keys for changing names are there", "copy the key to both hosts", [](Look& look) { each_key(look, [&](const std::string& key) { look.must_be({"keys", key, "exists"}, true, quoted(key) + " does not exist"); }); }},
    {"key-private", permission, error, "keys for changing names are root's alone", "chown root; chmod 0600", [](Look& look) { each_key(look, [&](const std::string& key) { look.must_be({"keys", key, "is_private"}, true, quoted(key) + " can be read by others than root"); }); }},
    {"key-equal", consistency, warning, "keys for changing names are the same", "copy the key", [](Look& look) { each_key(look, [&](const std::string& key) { look.must_be_equal({"keys", key, "digest"}, "the digest of " + quoted(key)); }); }},
    {"security-lockdown", permission, warning, "the kernel is not locked down beyond what mounts need", "boot with lockdown=integrity or none", [](Look& look) { look.must_be({"security", "is_confidential_lockdown"}, false, "the kernel is locked down to confidentiality"); }},
    {"hostname-changeable", permission, error, "the host's name can be changed", "start holdfastd by its unit, or as root", [](Look& look) { if (moves(look.scenario(), IdentityKind::hostname)) has_capability(look, "sys_admin", "changing the host's name"); }},
};

}  // namespace

std::span<const Check> permission_checks() { return checks; }

}  // namespace holdfast::ha

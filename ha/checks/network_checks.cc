// Checks of how clients find the application, and of the way between the hosts and to the witness.
#include <algorithm>

#include "base/text.h"
#include "ha/checks/tables.h"

namespace holdfast::ha {

namespace {

constexpr auto consistency = CheckFamily::consistency;
constexpr auto error = Severity::error, warning = Severity::warning;

constexpr uint64_t ttl_s_max = 300;

std::string without_prefix(const std::string& address) { return address.substr(0, address.find('/')); }

bool holds(const HostFacts& host, const std::string& address) {
    const auto held = host.facts.texts({"network", "addresses"});
    return held && std::any_of(held->begin(), held->end(), [&](const std::string& one) { return without_prefix(one) == without_prefix(address); });
}

template <typename What>
void each(Look& look, IdentityKind kind, const What& what) {
    for (const Identity& identity : look.scenario().identities)
        if (identity.kind == kind) what(identity);
}

void address_is_active(Look& look) {
    each(look, IdentityKind::address, [&](const Identity& identity) {
        if (!holds(look.active(), identity.address)) look.finds(identity.address + " is not held by " + look.active().name + ", which is to serve");
    });
}

void address_is_held_once(Look& look) {
    each(look, IdentityKind::address, [&](const Identity& identity) {
        if (holds(look.standby(), identity.address)) look.finds(identity.address + " is held by " + look.standby().name + ", which is the standby");
    });
}

void interface_flag(Look& look, const char* fact, bool is, const char* otherwise) {
    each(look, IdentityKind::address, [&](const Identity& identity) {
        for (const HostFacts& host : look.hosts()) {
            const std::string& name = identity.interface.of(host.name);
            const auto value = host.facts.flag({"network", "interfaces", name, fact});
            const bool exists = !host.facts.names({"network", "interfaces", name}).empty();
            if (exists && value && *value != is) look.finds("the interface " + quoted(name) + " " + otherwise + " on " + host.name);
        }
    });
}

void interface_exists(Look& look) {
    each(look, IdentityKind::address, [&](const Identity& identity) {
        for (const HostFacts& host : look.hosts())
            if (host.facts.names({"network", "interfaces", identity.interface.of(host.name)}).empty()) look.finds("there is no interface " + quoted(identity.interface.of(host.name)) + " on " + host.name);
    });
}

void interfaces_have_one_mtu(Look& look) {
    each(look, IdentityKind::address, [&](const Identity& identity) {
        const auto mtu = [&](const HostFacts& host) { return host.facts.number({"network", "interfaces", identity.interface.of(host.name), "mtu"}); };
        const auto here = mtu(look.active()), there = mtu(look.standby());
        if (here && there && *here != *there) look.finds("packets of " + identity.address + " have up to " + std::to_string(*here) + " bytes on " + look.active().name + " and " + std::to_string(*there) + " on " + look.standby().name);
    });
}

// An address moves within one subnet.
void address_is_on_the_link(Look& look) {
    each(look, IdentityKind::address, [&](const Identity& identity) {
        for (const HostFacts& host : look.hosts()) {
            const auto links = host.facts.texts({"network", "interfaces", identity.interface.of(host.name), "subnets"});
            const auto own = host.facts.text({"subnets", identity.address});
            if (links && own && std::find(links->begin(), links->end(), *own) == links->end())
                look.finds(identity.address + " is of the subnet " + *own + ", in which the interface " + quoted(identity.interface.of(host.name)) + " on " + host.name + " has no address");
        }
    });
}

void address_is_not_configured(Look& look) {
    each(look, IdentityKind::address, [&](const Identity& identity) {
        for (const HostFacts& host : look.hosts()) {
            const auto files = host.facts.texts({"network", "configured_in", without_prefix(identity.address)});
            if (files && !files->empty()) look.finds(identity.address + " stands in " + quoted(files->front()) + " on " + host.name + ", so the host takes it when it is booted");
        }
    });
}

void name_points_to_active(Look& look) {
    each(look, IdentityKind::dns, [&](const Identity& identity) {
        const std::string& wanted = identity.points_to.of(look.active().name);
        for (const HostFacts& host : look.hosts()) {
            const auto found = host.facts.texts({"network", "resolves", identity.address});
            if (!found) look.does_not_know(host, {"network", "resolves", identity.address});
            if (found && (found->size() != 1 || found->front() != wanted))
                look.finds(identity.address + " leads to " + (found->empty() ? "nothing" : found->front()) + " as " + host.name + " sees it, and should lead to " + wanted);
        }
    });
}

void name_is_forgotten_soon(Look& look) {
    each(look, IdentityKind::dns, [&](const Identity& identity) {
        if (identity.ttl_s > ttl_s_max) look.finds("clients may remember " + identity.address + " for " + std::to_string(identity.ttl_s) + " s");
    });
}

void hosts_hold_what_names_point_to(Look& look) {
    each(look, IdentityKind::dns, [&](const Identity& identity) {
        for (const HostFacts& host : look.hosts()) {
            const auto held = host.facts.texts({"network", "addresses"});
            if (held && !holds(host, identity.points_to.of(host.name))) look.finds(host.name + " does not hold " + identity.points_to.of(host.name) + ", to which " + identity.address + " would lead");
        }
    });
}

void peers_are_paired(Look& look) {
    for (const HostFacts& host : look.hosts()) {
        const auto peers = host.facts.texts({"holdfast", "peers"});
        if (!peers) look.does_not_know(host, {"holdfast", "peers"});
        const std::string& other = look.scenario().other(host.name);
        if (peers && std::find(peers->begin(), peers->end(), other) == peers->end()) look.finds(host.name + " does not know " + other);
    }
}

void peers_know_the_witness(Look& look) {
    if (look.scenario().witness.empty()) return;
    for (const HostFacts& host : look.hosts()) {
        const auto peers = host.facts.texts({"holdfast", "peers"});
        if (peers && std::find(peers->begin(), peers->end(), look.scenario().witness) == peers->end()) look.finds(host.name + " does not know the witness " + look.scenario().witness);
    }
}

void reaches(Look& look, const std::string& whom) {
    for (const HostFacts& host : look.hosts()) {
        if (host.name == whom) continue;
        const auto value = host.facts.flag({"holdfast", "reaches", whom});
        if (!value) look.does_not_know(host, {"holdfast", "reaches", whom});
        if (value && !*value) look.finds(host.name + " does not reach " + whom);
    }
}

void has_a_judge(Look& look) {
    if (look.scenario().witness.empty() && look.scenario().fence.empty())
        look.finds("there is neither a witness nor a fence, so nobody takes over from a host that does not answer but by a person's word");
}

void failover_has_a_judge(Look& look) {
    if (look.scenario().witness.empty() && look.scenario().fence.empty() && look.scenario().on_master_lost == OnMasterLost::failover)
        look.finds("an automatic takeover is wanted, and nothing can tell a dead master from one that is cut off");
}

void clients_find_it(Look& look) {
    if (look.scenario().identities.empty()) look.finds("nothing moves with the application: clients must find it themselves");
}

constexpr Check checks[] = {
    {"address-active", consistency, error, "the active host holds the application's addresses", "ip address add ADDRESS dev INTERFACE on it", address_is_active},
    {"address-once", consistency, error, "nobody else holds the application's addresses", "ip address del ADDRESS dev INTERFACE on the standby", address_is_held_once},
    {"address-interface", consistency, error, "the interfaces are there", "name the right interface for each host", interface_exists},
    {"address-interface-up", consistency, error, "the interfaces are up", "ip link set INTERFACE up", [](Look& look) { interface_flag(look, "is_up", true, "is down"); }},
    {"address-carrier", consistency, error, "the interfaces have a link", "look at cable and switch", [](Look& look) { interface_flag(look, "has_carrier", true, "has no link"); }},
    {"address-loopback", consistency, error, "addresses are not put on the loopback interface", "name an interface that clients reach", [](Look& look) { interface_flag(look, "is_loopback", false, "is the loopback interface"); }},
    {"address-mtu", consistency, warning, "both interfaces take packets of one size", "ip link set INTERFACE mtu NUMBER", interfaces_have_one_mtu},
    {"address-subnet", consistency, error, "an address that moves is of a subnet that both hosts are in", "across subnets use dns or a script", address_is_on_the_link},
    {"address-not-configured", consistency, error, "no host takes the address by itself when it is booted", "remove it from the host's network configuration", address_is_not_configured},
    {"dns-active", consistency, error, "names lead to the active host", "nsupdate the record, or say that the other host is the master", name_points_to_active},
    {"dns-ttl", consistency, warning, "clients forget a name within five minutes", "a smaller ttl", name_is_forgotten_soon},
    {"dns-addresses", consistency, error, "each host holds the address to which names would lead", "correct points_to", hosts_hold_what_names_point_to},
    {"peer-paired", consistency, error, "the engines know each other", "holdfast pair", peers_are_paired},
    {"peer-reached", consistency, error, "the engines reach each other", "look at listen, address and firewalls", [](Look& look) { for (const std::string& host : look.scenario().hosts) reaches(look, host); }},
    {"witness-paired", consistency, error, "both hosts know the witness", "holdfast pair", peers_know_the_witness},
    {"witness-reached", consistency, error, "both hosts reach the witness", "look at firewalls, and whether it runs", [](Look& look) { if (!look.scenario().witness.empty()) reaches(look, look.scenario().witness); }},
    {"witness-or-fence", consistency, warning, "there is a witness or a fence", "a third host with an engine: witness = \"NAME\"", has_a_judge},
    {"failover-judge", consistency, error, "an automatic takeover has a witness or a fence", "a witness, a fence, or on_master_lost = \"notify\"", failover_has_a_judge},
    {"network-identity", consistency, warning, "something leads clients to whoever serves", "a [[network]]", clients_find_it},
};

}  // namespace

std::span<const Check> network_checks() { return checks; }

}  // namespace holdfast::ha

// The catalogue of checks against two hosts on which everything is well, and for each check one thing that is not.
#include "ha/checks/check.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <set>

using namespace holdfast;
using namespace holdfast::ha;

namespace {

Scenario shop() {
    const std::string text = R"(
name = "shop"
hosts = ["alpha", "beta"]
witness = "gamma"
fence = "/usr/local/sbin/power-off"
[[volume]]
directory = "/srv/shop"
store = { alpha = "/var/lib/shop", beta = "/big/shop" }
[application]
kind = "systemd"
units = ["shop.service"]
scripts = { verify = "/usr/local/bin/is-good" }
[[network]]
kind = "address"
address = "192.0.2.10/24"
interface = { alpha = "eth0", beta = "ens3" }
[[network]]
kind = "dns"
name = "shop.example.org"
points_to = { alpha = "192.0.2.1", beta = "192.0.2.2" }
server = "192.0.2.53"
key = "/etc/holdfast/shop.key"
[[network]]
kind = "hostname"
name = "shop"
[[network]]
kind = "script"
program = "/usr/local/bin/route"
)";
    auto scenario = parse_scenario(text, "shop.toml", [](const std::string& name) -> Result<std::string> { return Error{ErrorCode::not_found, name}; });
    INFO((scenario ? "" : scenario.error().message));
    REQUIRE(scenario);
    return std::move(*scenario);
}

Json script() {
    return {{"exists", true}, {"is_executable", true}, {"digest", "5d41"}, {"is_roots", true}, {"is_writable_by_others", false}};
}

// A host on which everything is well.
Json good(const std::string& name, bool is_active) {
    const std::string other = name == "alpha" ? "beta" : "alpha", store = is_active ? "/var/lib/shop" : "/big/shop", interface = is_active ? "eth0" : "ens3";
    Json facts;
    facts["host"] = {{"machine_id", name + "-machine"}, {"boot_id", name + "-boot"}, {"architecture", "x86_64"}, {"page_bytes", 4096u}, {"kernel", "6.1.0-18-amd64"}, {"distribution", "debian 12"}, {"libc", "2.36"},
                     {"locale", "C.UTF-8"}, {"memory_bytes", 16ULL << 30}, {"processors", 8u}, {"has_swap", true}};
    facts["clock"] = {{"realtime_ns", 1'700'000'000'000'000'000u}, {"zone", "UTC"}, {"is_synchronized", true}};
    for (const char* key : {"vm.overcommit_memory", "vm.nr_hugepages", "kernel.shmmax", "kernel.sem", "fs.file-max", "crypto.fips_enabled", "kernel.msgmax", "vm.max_map_count", "net.core.somaxconn",
                            "net.ipv4.ip_local_port_range", "kernel.pid_max"})
        facts["sysctl"][key] = "0";
    facts["security"] = {{"module", "apparmor"}, {"is_confidential_lockdown", false}};
    facts["directories"]["/srv/shop"] = {{"exists", true}, {"is_directory", true}, {"is_real_path", true}, {"file_system", is_active ? "fuse.holdfast" : "ext4"}, {"backing", "ext4"}, {"is_remote", false}, {"block_bytes", 4096u},
                                         {"options", {"relatime", "rw"}}, {"owner_and_mode", "0:0 0755"}, {"is_read_only", false}, {"keeps_user_xattrs", true}, {"keeps_acls", true}, {"is_casefolded", false}, {"is_encrypted", false},
                                         {"tree_bytes", 1u << 20}, {"bytes_total", 1u << 30}, {"bytes_free", 1u << 29}, {"inodes_total", 1'000'000u}, {"inodes_free", 900'000u}, {"mounts_inside", Json::array()}, {"is_protected", is_active}};
    facts["stores"][store] = {{"exists", true}, {"is_replica", !is_active}, {"volume", "1f0c"}, {"is_on_disk_of_directory", false}, {"file_system", "ext4"}, {"keeps_trusted_xattrs", true}, {"is_read_only", false}, {"is_private", true},
                              {"bytes_total", 1u << 30}, {"bytes_free", 1u << 29}, {"has_failed", false}};
    facts["units"]["shop.service"] = {{"load", "loaded"}, {"enabled", "disabled"}, {"active", is_active ? "active" : "inactive"}, {"digest", "77"}, {"needs_daemon_reload", false}, {"user", "shop"}, {"has_program", true}, {"has_trigger", false}};
    facts["packages"] = {{"shop", "1.2-3"}};
    facts["users"]["shop"] = {{"uid", 990u}, {"gid", 990u}, {"home", "/nonexistent"}};
    facts["groups"]["shop"] = {{"gid", 990u}};
    facts["configuration"]["/etc/shop.conf"] = {{"digest", "aa"}};
    for (const char* path : {"/usr/local/sbin/power-off", "/usr/local/bin/is-good", "/usr/local/bin/route"}) facts["scripts"][path] = script();
    facts["network"]["addresses"] = is_active ? Json{"192.0.2.1/24", "192.0.2.10/24"} : Json{"192.0.2.2/24"};
    facts["network"]["interfaces"][interface] = {{"is_up", true}, {"has_carrier", true}, {"is_loopback", false}, {"mtu", 1500u}, {"subnets", {"192.0.2.0/24"}}};
    facts["network"]["configured_in"]["192.0.2.10"] = Json::array();
    facts["network"]["resolves"]["shop.example.org"] = {"192.0.2.1"};
    facts["network"]["may_ping"] = true;
    facts["subnets"]["192.0.2.10/24"] = "192.0.2.0/24";
    facts["holdfast"] = {{"name", name}, {"version", "0.1.0"}, {"protocol", 4u}, {"peers", {other, "gamma"}}, {"in_maintenance", false}, {"is_enabled", true}};
    facts["holdfast"]["reaches"] = {{other, true}, {"gamma", true}};
    facts["capabilities"] = {"sys_admin", "net_admin", "net_raw", "chown", "dac_read_search"};
    facts["programs"] = {{"systemctl", true}, {"nsupdate", true}};
    facts["devices"] = {{"fuse", true}};
    facts["systemd"] = {{"is_running", true}};
    facts["keys"]["/etc/holdfast/shop.key"] = {{"exists", true}, {"is_private", true}, {"digest", "k"}};
    return facts;
}

struct Pair {
    Scenario scenario = shop();
    Json alpha = good("alpha", true), beta = good("beta", false);

    Verification verified() const {
        const Facts active(alpha), standby(beta);
        return verify(scenario, {"alpha", active}, {"beta", standby});
    }
};

Json& directory(Json& host) { return host["directories"]["/srv/shop"]; }
Json& unit(Json& host) { return host["units"]["shop.service"]; }
Json& script(Json& host) { return host["scripts"]["/usr/local/bin/is-good"]; }
Json& key(Json& host) { return host["keys"]["/etc/holdfast/shop.key"]; }
Json& store(Pair& pair) { return pair.beta["stores"]["/big/shop"]; }
Json& interface(Pair& pair) { return pair.beta["network"]["interfaces"]["ens3"]; }

void drop_capability(Json& host, const std::string& name) {
    Json kept = Json::array();
    for (const Json& one : host["capabilities"])
        if (one != name) kept.push_back(one);
    host["capabilities"] = kept;
}

// What makes each check fail.
const std::map<std::string, std::function<void(Pair&)>>& breaks() {
    static const std::map<std::string, std::function<void(Pair&)>> all = {
        {"host-name", [](Pair& p) { p.beta["holdfast"]["name"] = "bravo"; }},
        {"host-distinct", [](Pair& p) { p.beta["host"]["machine_id"] = "alpha-machine"; }},
        {"host-boot", [](Pair& p) { p.beta["host"]["boot_id"] = "alpha-boot"; }},
        {"host-architecture", [](Pair& p) { p.beta["host"]["architecture"] = "aarch64"; }},
        {"host-page-size", [](Pair& p) { p.beta["host"]["page_bytes"] = 65536u; }},
        {"host-kernel-series", [](Pair& p) { p.beta["host"]["kernel"] = "6.12.4"; }},
        {"host-distribution", [](Pair& p) { p.beta["host"]["distribution"] = "debian 11"; }},
        {"host-libc", [](Pair& p) { p.beta["host"]["libc"] = "2.31"; }},
        {"host-time-zone", [](Pair& p) { p.beta["clock"]["zone"] = "Europe/Berlin"; }},
        {"host-locale", [](Pair& p) { p.beta["host"]["locale"] = "de_DE.UTF-8"; }},
        {"clock-skew", [](Pair& p) { p.beta["clock"]["realtime_ns"] = 1'700'000'002'000'000'000u; }},
        {"clock-service", [](Pair& p) { p.alpha["clock"]["is_synchronized"] = false; }},
        {"host-memory", [](Pair& p) { p.beta["host"]["memory_bytes"] = 8ULL << 30; }},
        {"host-processors", [](Pair& p) { p.beta["host"]["processors"] = 2u; }},
        {"host-swap", [](Pair& p) { p.beta["host"]["has_swap"] = false; }},
        {"host-overcommit", [](Pair& p) { p.beta["sysctl"]["vm.overcommit_memory"] = "2"; }},
        {"host-huge-pages", [](Pair& p) { p.beta["sysctl"]["vm.nr_hugepages"] = "512"; }},
        {"host-shared-memory", [](Pair& p) { p.beta["sysctl"]["kernel.shmmax"] = "1"; }},
        {"host-semaphores", [](Pair& p) { p.beta["sysctl"]["kernel.sem"] = "1"; }},
        {"host-open-files", [](Pair& p) { p.beta["sysctl"]["fs.file-max"] = "1"; }},
        {"host-security-module", [](Pair& p) { p.beta["security"]["module"] = "selinux enforcing"; }},
        {"host-fips", [](Pair& p) { p.beta["sysctl"]["crypto.fips_enabled"] = "1"; }},
        {"host-sysvipc-messages", [](Pair& p) { p.beta["sysctl"]["kernel.msgmax"] = "1"; }},
        {"host-map-count", [](Pair& p) { p.beta["sysctl"]["vm.max_map_count"] = "1"; }},
        {"host-backlog", [](Pair& p) { p.beta["sysctl"]["net.core.somaxconn"] = "1"; }},
        {"host-ports", [](Pair& p) { p.beta["sysctl"]["net.ipv4.ip_local_port_range"] = "1 2"; }},
        {"host-pids", [](Pair& p) { p.beta["sysctl"]["kernel.pid_max"] = "1"; }},
        {"directory-exists", [](Pair& p) { directory(p.beta)["exists"] = false; }},
        {"directory-is-one", [](Pair& p) { directory(p.beta)["is_directory"] = false; }},
        {"directory-no-link", [](Pair& p) { directory(p.beta)["is_real_path"] = false; }},
        {"directory-file-system", [](Pair& p) { directory(p.beta)["file_system"] = "vfat"; }},
        {"directory-local", [](Pair& p) { directory(p.beta)["is_remote"] = true; }},
        {"directory-equal-file-system", [](Pair& p) { directory(p.beta)["backing"] = "xfs"; }},
        {"directory-equal-blocks", [](Pair& p) { directory(p.beta)["block_bytes"] = 1024u; }},
        {"directory-equal-options", [](Pair& p) { directory(p.beta)["options"] = {"noexec", "rw"}; }},
        {"directory-equal-owner", [](Pair& p) { directory(p.beta)["owner_and_mode"] = "0:0 0700"; }},
        {"directory-writable", [](Pair& p) { directory(p.beta)["is_read_only"] = true; }},
        {"directory-attributes", [](Pair& p) { directory(p.beta)["keeps_user_xattrs"] = false; }},
        {"directory-acls", [](Pair& p) { directory(p.beta)["keeps_acls"] = false; }},
        {"directory-case", [](Pair& p) { directory(p.beta)["is_casefolded"] = true; }},
        {"directory-encrypted", [](Pair& p) { directory(p.beta)["is_encrypted"] = true; }},
        {"directory-room", [](Pair& p) { directory(p.alpha)["tree_bytes"] = 2ULL << 30; }},
        {"directory-nearly-full", [](Pair& p) { directory(p.beta)["bytes_free"] = 1u << 20; }},
        {"directory-inodes", [](Pair& p) { directory(p.beta)["inodes_free"] = 5u; }},
        {"directory-mounts-inside", [](Pair& p) { directory(p.alpha)["mounts_inside"] = {"/srv/shop/tmp"}; }},
        {"directory-apart", [](Pair& p) { p.scenario.volumes.push_back(p.scenario.volumes[0]); p.scenario.volumes[1].directory = "/srv/shop/inner"; }},
        {"directory-protected", [](Pair& p) { directory(p.alpha)["is_protected"] = false; }},
        {"directory-free", [](Pair& p) { directory(p.beta)["is_protected"] = true; }},
        {"store-exists", [](Pair& p) { store(p)["exists"] = false; }},
        {"store-replica", [](Pair& p) { store(p)["is_replica"] = false; }},
        {"store-same-volume", [](Pair& p) { store(p)["volume"] = "2e1d"; }},
        {"store-outside", [](Pair& p) { p.scenario.volumes[0].store.set("beta", "/srv/shop/store"); }},
        {"store-own-disk", [](Pair& p) { store(p)["is_on_disk_of_directory"] = true; }},
        {"store-attributes", [](Pair& p) { store(p)["keeps_trusted_xattrs"] = false; }},
        {"store-writable", [](Pair& p) { store(p)["is_read_only"] = true; }},
        {"store-private", [](Pair& p) { store(p)["is_private"] = false; }},
        {"store-room", [](Pair& p) { store(p)["bytes_free"] = 1u; }},
        {"store-same-limits", [](Pair& p) { store(p)["file_system"] = "xfs"; }},
        {"store-healthy", [](Pair& p) { store(p)["has_failed"] = true; }},
        {"unit-exists", [](Pair& p) { unit(p.beta)["load"] = "not-found"; }},
        {"unit-masked", [](Pair& p) { unit(p.beta)["load"] = "masked"; }},
        {"unit-not-enabled", [](Pair& p) { unit(p.alpha)["enabled"] = "enabled"; }},
        {"unit-not-failed", [](Pair& p) { unit(p.beta)["active"] = "failed"; }},
        {"unit-runs", [](Pair& p) { unit(p.alpha)["active"] = "inactive"; }},
        {"unit-runs-once", [](Pair& p) { unit(p.beta)["active"] = "active"; }},
        {"unit-equal", [](Pair& p) { unit(p.beta)["digest"] = "78"; }},
        {"unit-reloaded", [](Pair& p) { unit(p.beta)["needs_daemon_reload"] = true; }},
        {"unit-user", [](Pair& p) { unit(p.beta)["user"] = "root"; }},
        {"unit-program", [](Pair& p) { unit(p.beta)["has_program"] = false; }},
        {"unit-no-restart", [](Pair& p) { unit(p.beta)["has_trigger"] = true; }},
        {"package-equal", [](Pair& p) { p.beta["packages"].erase("shop"); }},
        {"user-equal", [](Pair& p) { p.beta["users"]["shop"]["uid"] = 991u; }},
        {"user-group", [](Pair& p) { p.beta["users"]["shop"]["gid"] = 991u; }},
        {"user-home", [](Pair& p) { p.beta["users"]["shop"]["home"] = "/home/shop"; }},
        {"group-equal", [](Pair& p) { p.beta["groups"]["shop"]["gid"] = 991u; }},
        {"configuration-equal", [](Pair& p) { p.beta["configuration"]["/etc/shop.conf"]["digest"] = "bb"; }},
        {"script-exists", [](Pair& p) { script(p.beta)["exists"] = false; }},
        {"script-runs", [](Pair& p) { script(p.beta)["is_executable"] = false; }},
        {"script-equal", [](Pair& p) { script(p.beta)["digest"] = "0"; }},
        {"script-owner", [](Pair& p) { script(p.beta)["is_roots"] = false; }},
        {"script-safe", [](Pair& p) { script(p.beta)["is_writable_by_others"] = true; }},
        {"script-outside", [](Pair& p) { p.scenario.fence = "/srv/shop/fence"; p.alpha["scripts"]["/srv/shop/fence"] = p.beta["scripts"]["/srv/shop/fence"] = ::script(); }},
        {"address-active", [](Pair& p) { p.alpha["network"]["addresses"] = {"192.0.2.1/24"}; }},
        {"address-once", [](Pair& p) { p.beta["network"]["addresses"].push_back("192.0.2.10/24"); }},
        {"address-interface", [](Pair& p) { p.beta["network"]["interfaces"].erase("ens3"); }},
        {"address-interface-up", [](Pair& p) { interface(p)["is_up"] = false; }},
        {"address-carrier", [](Pair& p) { interface(p)["has_carrier"] = false; }},
        {"address-loopback", [](Pair& p) { interface(p)["is_loopback"] = true; }},
        {"address-mtu", [](Pair& p) { interface(p)["mtu"] = 9000u; }},
        {"address-subnet", [](Pair& p) { interface(p)["subnets"] = {"198.51.100.0/24"}; }},
        {"address-not-configured", [](Pair& p) { p.beta["network"]["configured_in"]["192.0.2.10"] = {"/etc/network/interfaces"}; }},
        {"dns-active", [](Pair& p) { p.beta["network"]["resolves"]["shop.example.org"] = {"192.0.2.2"}; }},
        {"dns-ttl", [](Pair& p) { p.scenario.identities[1].ttl_s = 86400; }},
        {"dns-addresses", [](Pair& p) { p.scenario.identities[1].points_to.set("beta", "203.0.113.1"); }},
        {"peer-paired", [](Pair& p) { p.beta["holdfast"]["peers"] = {"gamma"}; }},
        {"peer-reached", [](Pair& p) { p.beta["holdfast"]["reaches"]["alpha"] = false; }},
        {"witness-paired", [](Pair& p) { p.beta["holdfast"]["peers"] = {"alpha"}; }},
        {"witness-reached", [](Pair& p) { p.beta["holdfast"]["reaches"]["gamma"] = false; }},
        {"witness-or-fence", [](Pair& p) { p.scenario.witness.clear(), p.scenario.fence.clear(); }},
        {"failover-judge", [](Pair& p) { p.scenario.witness.clear(), p.scenario.fence.clear(), p.scenario.on_master_lost = OnMasterLost::failover; }},
        {"network-identity", [](Pair& p) { p.scenario.identities.clear(); }},
        {"engine-version", [](Pair& p) { p.beta["holdfast"]["protocol"] = 2u; }},
        {"engine-equal-version", [](Pair& p) { p.beta["holdfast"]["version"] = "0.2.0"; }},
        {"engine-maintenance", [](Pair& p) { p.beta["holdfast"]["in_maintenance"] = true; }},
        {"engine-service", [](Pair& p) { p.beta["holdfast"]["is_enabled"] = false; }},
        {"capability-mount", [](Pair& p) { drop_capability(p.beta, "sys_admin"); }},
        {"capability-network", [](Pair& p) { drop_capability(p.beta, "net_admin"); }},
        {"capability-raw", [](Pair& p) { drop_capability(p.beta, "net_raw"); }},
        {"capability-owner", [](Pair& p) { drop_capability(p.beta, "chown"); }},
        {"capability-read", [](Pair& p) { drop_capability(p.beta, "dac_read_search"); }},
        {"ping-allowed", [](Pair& p) { p.beta["network"]["may_ping"] = false; }},
        {"fuse-device", [](Pair& p) { p.beta["devices"]["fuse"] = false; }},
        {"systemd-runs", [](Pair& p) { p.beta["systemd"]["is_running"] = false; }},
        {"program-systemctl", [](Pair& p) { p.beta["programs"]["systemctl"] = false; }},
        {"program-nsupdate", [](Pair& p) { p.beta["programs"]["nsupdate"] = false; }},
        {"key-exists", [](Pair& p) { key(p.beta)["exists"] = false; }},
        {"key-private", [](Pair& p) { key(p.beta)["is_private"] = false; }},
        {"key-equal", [](Pair& p) { key(p.beta)["digest"] = "j"; }},
        {"security-lockdown", [](Pair& p) { p.beta["security"]["is_confidential_lockdown"] = true; }},
        {"hostname-changeable", [](Pair& p) { drop_capability(p.beta, "sys_admin"); }},
    };
    return all;
}

std::set<std::string> ids_of(const Verification& verification) {
    std::set<std::string> ids;
    for (const Finding& finding : verification.findings) ids.insert(finding.check.id);
    return ids;
}

}  // namespace

TEST_CASE("checks: two hosts on which everything is well are found to be, and everything is known of them") {
    const Verification verification = Pair().verified();
    for (const Finding& finding : verification.findings) FAIL_CHECK(finding.check.id << ": " << finding.evidence);
    for (const std::string& unknown : verification.unknown) FAIL_CHECK("not known: " << unknown);
    CHECK(verification.allows_start());
}

TEST_CASE("checks: each one fails for the thing that it is there for, with evidence that names it") {
    for (const Check& check : catalogue()) {
        INFO(check.id);
        const auto broken = breaks().find(check.id);
        REQUIRE(broken != breaks().end());
        Pair pair;
        broken->second(pair);
        const Verification verification = pair.verified();
        const auto found = std::find_if(verification.findings.begin(), verification.findings.end(), [&](const Finding& finding) { return finding.check.id == std::string(check.id); });
        REQUIRE(found != verification.findings.end());
        CHECK(found->evidence.size() > 20);
        CHECK_FALSE(verification.allows_start());
        // Other checks may see it as well, but it is no reason for most of them.
        CHECK(ids_of(verification).size() <= 4);
    }
    for (const auto& [id, broken] : breaks()) {
        const auto all = catalogue();
        INFO(id);
        CHECK(std::any_of(all.begin(), all.end(), [&, &name = id](const Check& check) { return check.id == name; }));
    }
}

TEST_CASE("checks: ids are used once, and every check says what to do") {
    std::set<std::string> ids;
    std::map<CheckFamily, int> families;
    for (const Check& check : catalogue()) {
        CHECK(ids.insert(check.id).second);
        CHECK(std::string(check.title).size() > 10);
        CHECK(std::string(check.remedy).size() > 5);
        ++families[check.family];
    }
    CHECK(families.size() == 3);
    CHECK(ids.size() >= 120);
}

TEST_CASE("checks: a warning can be acknowledged, an error cannot") {
    Pair pair;
    pair.beta["host"]["locale"] = "de_DE.UTF-8";
    CHECK_FALSE(pair.verified().allows_start());
    pair.scenario.acknowledged = {{"host-locale", "on purpose"}};
    CHECK(pair.verified().allows_start());
    pair.beta["host"]["architecture"] = "aarch64";
    pair.scenario.acknowledged.push_back({"host-architecture", "on purpose"});
    const Verification verification = pair.verified();
    CHECK_FALSE(verification.allows_start());
    // Errors come first.
    CHECK(verification.findings[0].check.severity == Severity::error);
}

TEST_CASE("checks: facts that are missing or of another kind are not known, whoever sends them") {
    for (const Json& nothing : {Json::object(), Json{{"host", 1}, {"directories", "x"}, {"network", {{"addresses", {1, 2, nullptr}}}}, {"users", {1, 2}}, {"holdfast", {{"peers", {{"a", 1}}}}}}}) {
        const Facts facts(nothing);
        const Scenario scenario = shop();
        const Verification verification = verify(scenario, {"alpha", facts}, {"beta", facts});
        CHECK(verification.unknown.size() > 20);
    }
    CHECK_FALSE(Facts::parse("[]"));
    CHECK_FALSE(Facts::parse("{"));
    CHECK_FALSE(Facts::parse(std::string(facts_bytes_max + 1, ' ')));
    CHECK(Facts::parse("{}"));
}

TEST_CASE("checks: findings have a bound, and what is left out keeps the scenario from being started") {
    Pair pair;
    for (int i = 0; i < 2000; ++i) pair.alpha["packages"]["p" + std::to_string(i)] = "1";
    const Verification verification = pair.verified();
    CHECK(verification.findings.size() == findings_max);
    CHECK(verification.left_out == 1000);
    CHECK_FALSE(verification.allows_start());
}

TEST_CASE("checks: the page lists the catalogue as it is") {
    std::ifstream page(std::string(HOLDFAST_SOURCE_DIR) + "/docs/checks.md");
    const std::string text{std::istreambuf_iterator<char>(page), {}};
    size_t rows = 0;
    for (size_t at = text.find("\n| `"); at != std::string::npos && at < text.find("## Facts"); at = text.find("\n| `", at + 1)) ++rows;
    CHECK(rows == catalogue().size());
    for (const Check& check : catalogue()) {
        const std::string row = "| `" + std::string(check.id) + "` | " + to_string(check.family) + " | " + to_string(check.severity) + " | " + check.title + " | " + check.remedy + " |";
        INFO(row);
        CHECK(text.find(row) != std::string::npos);
    }
}

#include "ha/scenario/scenario.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/text.h"
#include "base/toml_table.h"
#include "ha/scenario/ip_address.h"

namespace holdfast::ha {

namespace {

using Table = TomlTable;

constexpr size_t host_name_bytes_max = 64;
constexpr uint64_t limit_ns_min = 1'000'000'000, limit_ns_max = 24ULL * 3600 * 1'000'000'000;
constexpr uint64_t lease_ns_min = 2'000'000'000, lease_ns_max = 300'000'000'000;
constexpr std::string_view script_roles[] = {"check", "quiesce", "release", "stop", "start", "verify"};

template <typename Kind>
struct KindName { Kind kind; const char* name; };
constexpr KindName<ApplicationKind> application_kinds[] = {
    {ApplicationKind::systemd, "systemd"}, {ApplicationKind::scripts, "scripts"}, {ApplicationKind::postgresql, "postgresql"}, {ApplicationKind::mariadb, "mariadb"}, {ApplicationKind::redis, "redis"},
    {ApplicationKind::nginx, "nginx"},     {ApplicationKind::samba, "samba"},     {ApplicationKind::nfs, "nfs"},               {ApplicationKind::mail, "mail"}};
constexpr KindName<IdentityKind> identity_kinds[] = {{IdentityKind::address, "address"}, {IdentityKind::dns, "dns"}, {IdentityKind::hostname, "hostname"}, {IdentityKind::script, "script"}};
constexpr KindName<OnMasterLost> lost_kinds[] = {{OnMasterLost::notify, "notify"}, {OnMasterLost::failover, "failover"}};

template <typename Names, typename Kind>
const char* name_in(const Names& names, Kind kind) {
    for (const auto& entry : names)
        if (entry.kind == kind) return entry.name;
    return "?";
}

// One of NAMES by its name, written at KEY.
template <typename Kind, size_t count>
Result<Kind> kind_in(const Table& table, const char* key, const KindName<Kind> (&names)[count], const char* fallback = nullptr) {
    const std::string text = HF_TRY(table.text(key, fallback));
    std::string known;
    for (const auto& entry : names) {
        if (text == entry.name) return entry.kind;
        known += (known.empty() ? "" : ", ") + std::string(entry.name);
    }
    return table.wrong(quoted(text) + " is nothing that `" + key + "` can be; there are " + known);
}

Status check_host_name(const Table& table, const std::string& name) {
    const auto is_good = [](unsigned char c) { return std::isalnum(c) || c == '.' || c == '_' || c == '-'; };
    const bool fits = !name.empty() && name.size() <= host_name_bytes_max && name[0] != '.' && name[0] != '-' && std::all_of(name.begin(), name.end(), is_good);
    if (fits) return ok();
    return table.wrong(quoted(name) + " is no name; it has up to 64 letters, digits, `.`, `_` and `-`, and begins with none of the last two");
}

Result<std::string> path_in(const Table& table, const char* key) {
    const std::string path = HF_TRY(table.text(key));
    if (!path.starts_with('/')) return table.wrong("`" + std::string(key) + "` must be an absolute path");
    return path;
}

// A limit that somebody meant: neither nothing nor for ever.
Result<uint64_t> limit_in(const Table& table, const char* key, uint64_t fallback) {
    const uint64_t limit = HF_TRY(table.duration_ns(key, fallback));
    if (limit < limit_ns_min || limit > limit_ns_max) return table.wrong("`" + std::string(key) + "` must be from 1s to 1d");
    return limit;
}

Result<PerHost> per_host(const Table& table, const char* key, const Scenario& scenario, bool is_path) {
    PerHost values;
    const auto check = [&](const Table& at, const std::string& value) {
        return is_path && !value.starts_with('/') ? Status(at.wrong("`" + std::string(key) + "` must be an absolute path")) : ok();
    };
    if (!table.is_table(key)) {
        const std::string value = HF_TRY(table.text(key));
        HF_TRY(check(table, value));
        for (const std::string& host : scenario.hosts) values.set(host, value);
        return values;
    }
    const Table each = HF_TRY(table.table(key));
    HF_TRY(each.knows_only({scenario.hosts[0], scenario.hosts[1]}));
    for (const std::string& host : scenario.hosts) {
        const std::string value = HF_TRY(each.text(host.c_str()));
        HF_TRY(check(each, value));
        values.set(host, value);
    }
    return values;
}

Result<ScenarioVolume> volume_in(const Table& table, const Scenario& scenario) {
    HF_TRY(table.knows_only({"directory", "store", "durability", "when_alone"}));
    ScenarioVolume volume;
    volume.directory = HF_TRY(path_in(table, "directory"));
    volume.store = HF_TRY(per_host(table, "store", scenario, true));
    const auto mode = journal::parse_durability_mode(HF_TRY(table.text("durability", "async")));
    if (!mode) return table.wrong(mode.error().message);
    volume.durability.mode = *mode;
    if (!table.has("when_alone")) return volume;
    const auto alone = journal::parse_when_alone(HF_TRY(table.text("when_alone")));
    if (!alone) return table.wrong(alone.error().message);
    volume.durability.degrade_after_ns = *alone;
    return volume;
}

Status scripts_in(const Table& table, Application& application) {
    for (const std::string& role : table.keys()) {
        if (std::find(std::begin(script_roles), std::end(script_roles), role) == std::end(script_roles))
            return table.wrong("nothing is done by a script called " + quoted(role) + "; there are check, quiesce, release, stop, start, verify");
        application.scripts[role] = HF_TRY(path_in(table, role.c_str()));
    }
    return ok();
}

Result<Application> application_in(const Table& table) {
    HF_TRY(table.knows_only({"kind", "units", "scripts", "settings", "stop_limit", "start_limit"}));
    Application application;
    application.kind = HF_TRY(kind_in(table, "kind", application_kinds));
    if (table.has("units")) application.units = HF_TRY(table.texts("units"));
    if (table.has("scripts")) {
        const Table scripts = HF_TRY(table.table("scripts"));
        HF_TRY(scripts_in(scripts, application));
    }
    if (table.has("settings")) {
        const Table settings = HF_TRY(table.table("settings"));
        for (const std::string& key : settings.keys()) application.settings[key] = HF_TRY(settings.text(key.c_str()));
    }
    application.stop_limit_ns = HF_TRY(limit_in(table, "stop_limit", application.stop_limit_ns));
    application.start_limit_ns = HF_TRY(limit_in(table, "start_limit", application.start_limit_ns));
    const bool is_scripts = application.kind == ApplicationKind::scripts;
    if (is_scripts && (!application.scripts.count("stop") || !application.scripts.count("start") || !application.scripts.count("check")))
        return table.wrong("an application of scripts has at least `check`, `stop` and `start`");
    if (application.kind == ApplicationKind::systemd && application.units.empty()) return table.wrong("`units` is missing: what systemd is to start and stop");
    return application;
}

Result<Identity> identity_in(const Table& table, const Scenario& scenario) {
    Identity identity;
    identity.kind = HF_TRY(kind_in(table, "kind", identity_kinds));
    switch (identity.kind) {
        case IdentityKind::address: {
            HF_TRY(table.knows_only({"kind", "address", "interface"}));
            const std::string text = HF_TRY(table.text("address"));
            const auto address = parse_ip_address(text);
            if (!address) return table.wrong(quoted(text) + " is no address with its prefix; write 192.0.2.10/24 or 2001:db8::10/64");
            identity.address = address->text();
            identity.interface = HF_TRY(per_host(table, "interface", scenario, false));
            return identity;
        }
        case IdentityKind::dns: {
            HF_TRY(table.knows_only({"kind", "name", "points_to", "server", "key", "ttl"}));
            identity.address = HF_TRY(table.text("name"));
            identity.points_to = HF_TRY(per_host(table, "points_to", scenario, false));
            for (const std::string& host : scenario.hosts) {
                const auto address = parse_ip_address(identity.points_to.of(host) + "/0");
                if (!address) return table.wrong(quoted(identity.points_to.of(host)) + " is no address; write 192.0.2.1 or 2001:db8::1");
                identity.points_to.set(host, address->text_without_prefix());
            }
            identity.server = HF_TRY(table.text("server"));
            identity.key = HF_TRY(path_in(table, "key"));
            const uint64_t ttl_ns = HF_TRY(table.duration_ns("ttl", identity.ttl_s * 1'000'000'000));
            identity.ttl_s = ttl_ns / 1'000'000'000;
            return identity;
        }
        case IdentityKind::hostname:
            HF_TRY(table.knows_only({"kind", "name"}));
            identity.address = HF_TRY(table.text("name"));
            return identity;
        case IdentityKind::script:
            HF_TRY(table.knows_only({"kind", "program"}));
            identity.program = HF_TRY(path_in(table, "program"));
            return identity;
    }
    return identity;
}

Status monitor_in(const Table& table, Scenario& scenario) {
    HF_TRY(table.knows_only({"profile", "interval", "timeout", "ping", "ping_wait", "levels", "script", "on_master_lost", "loss_time_max", "loss_bytes_max"}));
    const std::string profile = HF_TRY(table.text("profile", "default"));
    if (profile != "default" && profile != "fail-fast") return table.wrong(quoted(profile) + " is no profile; there are default and fail-fast");
    AliveRules& alive = scenario.alive;
    if (profile == "fail-fast") alive = fail_fast_rules;
    alive.interval_ns = HF_TRY(table.duration_ns("interval", alive.interval_ns));
    alive.timeout_ns = HF_TRY(table.duration_ns("timeout", alive.timeout_ns));
    alive.ping_wait_ns = HF_TRY(table.duration_ns("ping_wait", alive.ping_wait_ns));
    if (table.has("ping")) scenario.ping = HF_TRY(table.text("ping"));
    if (table.has("script")) {
        scenario.alive_script = HF_TRY(path_in(table, "script"));
        alive.asks[static_cast<size_t>(AliveLevel::custom)] = true;
    }
    if (table.has("levels")) {
        alive.asks = {};
        for (const std::string& name : HF_TRY(table.texts("levels"))) {
            const auto level = std::find_if(alive_levels.begin(), alive_levels.end(), [&](AliveLevel one) { return name == to_string(one); });
            if (level == alive_levels.end()) return table.wrong(quoted(name) + " is no level; there are ping, application, custom");
            alive.asks[static_cast<size_t>(*level)] = true;
        }
    }
    if (alive.asks_for(AliveLevel::custom) && scenario.alive_script.empty()) return table.wrong("the level `custom` is asked of a `script`, which is missing");
    if (Status fits = check_alive_rules(alive); !fits) return table.wrong(fits.error().message);
    scenario.on_master_lost = HF_TRY(kind_in(table, "on_master_lost", lost_kinds, "notify"));
    scenario.loss_ns_max = HF_TRY(table.duration_ns("loss_time_max", 0));
    if (!table.has("loss_bytes_max")) return ok();
    const auto bytes = parse_bytes(HF_TRY(table.text("loss_bytes_max")));
    if (!bytes) return table.wrong("`loss_bytes_max` is bytes, as 500K or 10M");
    scenario.loss_bytes_max = *bytes;
    return ok();
}

std::string names_of_steps() {
    std::string all;
    for (const Procedure procedure : {Procedure::give, Procedure::rescue})
        for (const StepRule& rule : rules_of(procedure)) all += (all.empty() ? "" : ", ") + std::string(name_of(rule.step));
    return all;
}

Status limits_in(const Table& table, Scenario& scenario) {
    for (const std::string& key : table.keys()) {
        const auto step = parse_step(key);
        if (!step) return table.wrong("no step is called " + quoted(key) + "; there are " + names_of_steps());
        scenario.limits[*step] = HF_TRY(limit_in(table, key.c_str(), 0));
    }
    return ok();
}

Status hosts_in(const Table& top, Scenario& scenario) {
    const std::vector<std::string> hosts = HF_TRY(top.texts("hosts"));
    if (hosts.size() != 2 || hosts[0] == hosts[1]) return top.wrong("`hosts` are two, by the names by which engines know each other");
    for (size_t at = 0; at < 2; ++at) {
        HF_TRY(check_host_name(top, hosts[at]));
        scenario.hosts[at] = hosts[at];
    }
    scenario.master = HF_TRY(top.text("master", hosts[0].c_str()));
    if (scenario.master != hosts[0] && scenario.master != hosts[1]) return top.wrong("`master` is one of the two hosts");
    if (!top.has("witness")) return ok();
    scenario.witness = HF_TRY(top.text("witness"));
    HF_TRY(check_host_name(top, scenario.witness));
    if (scenario.witness == hosts[0] || scenario.witness == hosts[1]) return top.wrong("the witness is a third host");
    return ok();
}

// Directories of one scenario lie apart, and so do stores.
Status check_volumes(const Table& top, const Scenario& scenario) {
    if (scenario.volumes.empty()) return top.wrong("there is no [[volume]]: what is to be protected");
    std::set<std::string> directories, stores;
    for (const ScenarioVolume& volume : scenario.volumes) {
        if (!directories.insert(volume.directory).second) return top.wrong("the directory " + quoted(volume.directory) + " is there twice");
        for (const auto& [host, store] : volume.store.values())
            if (!stores.insert(host + ":" + store).second) return top.wrong("the store " + quoted(store) + " is there twice");
    }
    return ok();
}

Status rows_in(const Table& top, Scenario& scenario) {
    for (const Table& table : HF_TRY(top.rows("volume", volumes_max))) scenario.volumes.push_back(HF_TRY(volume_in(table, scenario)));
    for (const Table& table : HF_TRY(top.rows("network", identities_max))) scenario.identities.push_back(HF_TRY(identity_in(table, scenario)));
    for (const Table& table : HF_TRY(top.rows("acknowledge", acknowledgements_max))) {
        HF_TRY(table.knows_only({"check", "reason"}));
        Acknowledgement one;
        one.check = HF_TRY(table.text("check"));
        one.reason = HF_TRY(table.text("reason"));
        scenario.acknowledged.push_back(std::move(one));
    }
    return check_volumes(top, scenario);
}

Result<Scenario> scenario_of(const Table& top) {
    HF_TRY(top.knows_only({"name", "extends", "hosts", "master", "witness", "fence", "lease", "starts_backward", "volume", "application", "network", "monitor", "limits", "acknowledge"}));
    Scenario scenario;
    scenario.name = HF_TRY(top.text("name"));
    HF_TRY(check_host_name(top, scenario.name));
    HF_TRY(hosts_in(top, scenario));
    if (top.has("fence")) scenario.fence = HF_TRY(path_in(top, "fence"));
    scenario.lease_ns = HF_TRY(top.duration_ns("lease", scenario.lease_ns));
    if (scenario.lease_ns < lease_ns_min || scenario.lease_ns > lease_ns_max) return top.wrong("`lease` must be from 2s to 5m");
    if (top.has("starts_backward")) scenario.starts_backward = HF_TRY(top.flag("starts_backward"));
    HF_TRY(rows_in(top, scenario));
    const Table application = HF_TRY(top.table("application"));
    scenario.application = HF_TRY(application_in(application));
    if (top.has("monitor")) {
        const Table monitor = HF_TRY(top.table("monitor"));
        HF_TRY(monitor_in(monitor, scenario));
    }
    if (top.has("limits")) {
        const Table limits = HF_TRY(top.table("limits"));
        HF_TRY(limits_in(limits, scenario));
    }
    return scenario;
}

// TEXT with everything that its templates say.
Result<TomlText> read_whole(std::string_view text, const std::string& where, const ReadTemplate& read) {
    TomlText whole = HF_TRY(TomlText::parse(text, where));
    std::string base = whole.top().has("extends") ? HF_TRY(whole.top().text("extends")) : std::string();
    for (size_t depth = 0; !base.empty(); ++depth) {
        if (depth == templates_deep_max) return whole.top().wrong("templates that extend templates more than " + std::to_string(templates_deep_max) + " deep");
        const std::string template_text = HF_TRY(read(base));
        TomlText inherited = HF_TRY(TomlText::parse(template_text, base));
        const Table top = inherited.top();
        for (const char* key : {"name", "hosts", "master", "witness"})
            if (top.has(key)) return top.wrong("a template says nothing of `" + std::string(key) + "`, which is a scenario's own");
        base = top.has("extends") ? HF_TRY(top.text("extends")) : std::string();
        whole.inherit(std::move(inherited));
    }
    return whole;
}

}  // namespace

const std::string& PerHost::of(const std::string& host) const {
    const auto found = values_.find(host);
    HF_CHECK(found != values_.end());
    return found->second;
}

uint64_t Scenario::limit_of(const StepRule& rule) const {
    if (rule.step == Step::stop_application) return application.stop_limit_ns;
    if (rule.step == Step::start_application) return application.start_limit_ns;
    const auto own = limits.find(rule.step);
    return own == limits.end() ? rule.limit_ns : own->second;
}

std::set<std::string> Scenario::programs() const {
    std::set<std::string> paths{fence, alive_script};
    for (const auto& [role, path] : application.scripts) paths.insert(path);
    for (const Identity& identity : identities) paths.insert(identity.program);
    paths.erase("");
    return paths;
}

const char* to_string(ApplicationKind kind) { return name_in(application_kinds, kind); }
const char* to_string(IdentityKind kind) { return name_in(identity_kinds, kind); }
const char* to_string(OnMasterLost what) { return name_in(lost_kinds, what); }

Result<Scenario> parse_scenario(std::string_view text, const std::string& where, const ReadTemplate& read) {
    if (text.size() > scenario_bytes_max) return Error{ErrorCode::invalid_argument, where + ": a scenario has at most " + human_bytes(scenario_bytes_max)};
    const TomlText whole = HF_TRY(read_whole(text, where, read));
    return scenario_of(whole.top());
}

}  // namespace holdfast::ha

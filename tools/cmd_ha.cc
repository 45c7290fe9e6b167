// High availability by hand: whether a scenario makes sense, and whether two hosts are ready for it. Nothing here changes anything.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/program_output.h"
#include "base/small_file.h"
#include "base/text.h"
#include "ha/checks/check.h"
#include "ha/facts/gather.h"
#include "ha/scenario/plan.h"
#include "tools/cli/engine.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;

const Parameter scenario_parameter = {"SCENARIO", Parameter::Kind::required, "", "the scenario's TOML file (docs/scenario.md)"};

Result<std::string> text_of_file(const std::string& path, size_t bytes_max) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return errno_error(errno, "open " + quoted(path));
    auto text = read_text(fd.get(), bytes_max + 1);
    if (!text) return std::move(text).error().within(quoted(path));
    if (text->size() > bytes_max) return Error{ErrorCode::invalid_argument, quoted(path) + " has more than " + human_bytes(bytes_max)};
    return text;
}

Result<ha::Scenario> load_scenario(const std::string& path) {
    const std::string text = HF_TRY(text_of_file(path, ha::scenario_bytes_max));
    const auto beside = std::filesystem::path(path).parent_path();
    return ha::parse_scenario(text, path, [&](const std::string& name) { return text_of_file((beside / name).string(), ha::scenario_bytes_max); });
}

std::string judge_of(const ha::Scenario& scenario) {
    if (!scenario.witness.empty()) return "witness " + scenario.witness;
    return scenario.fence.empty() ? "no witness: nobody takes over from a host that does not answer, but by your word" : "no witness; fence " + scenario.fence;
}

Result<Report> check(const Arguments& arguments) {
    const ha::Scenario scenario = HF_TRY(load_scenario(arguments.text("SCENARIO")));
    Report report;
    report.json = {{"name", scenario.name}, {"hosts", scenario.hosts}, {"master", scenario.master}, {"witness", scenario.witness}, {"application", to_string(scenario.application.kind)},
                   {"on_master_lost", to_string(scenario.on_master_lost)}, {"interval_ns", scenario.alive.interval_ns}, {"timeout_ns", scenario.alive.timeout_ns}};
    for (const ha::ScenarioVolume& volume : scenario.volumes) report.json["directories"].push_back(volume.directory);
    report.text = "scenario " + scenario.name + ": " + scenario.hosts[0] + " and " + scenario.hosts[1] + ", " + scenario.master + " serves at first; " + judge_of(scenario) + "\n";
    for (const ha::ScenarioVolume& volume : scenario.volumes)
        report.text += "  " + printable(volume.directory) + ", kept in " + printable(volume.store.of(scenario.hosts[0])) + " on " + scenario.hosts[0] + " and in " + printable(volume.store.of(scenario.hosts[1])) + " on " + scenario.hosts[1] + "\n";
    report.text += "  application: " + std::string(to_string(scenario.application.kind));
    for (const std::string& unit : scenario.application.units) report.text += " " + printable(unit);
    report.text += "\n";
    for (const ha::Identity& identity : scenario.identities)
        report.text += "  clients find it by " + std::string(to_string(identity.kind)) + " " + printable(identity.address.empty() ? identity.program : identity.address) + "\n";
    report.text += "  lost when every round of " + cli::human_duration(scenario.alive.interval_ns) + " has failed for " + cli::human_duration(scenario.alive.timeout_ns) + "; then: " + to_string(scenario.on_master_lost) + "\n";
    return report;
}

// What the host's engine knows; what it does not say is not known.
void add_engine_facts(const ha::Scenario& scenario, const std::string& host, Json& facts) {
    const auto status = cli::engine_get("/v1/status");
    if (!status) return;
    Json& known = facts["holdfast"];
    known["name"] = status->value("name", "");
    if (status->contains("maintenance")) known["in_maintenance"] = (*status)["maintenance"].value("state", "") != "none";
    const auto peers = cli::engine_get("/v1/peers");
    if (!peers || !peers->contains("peers")) return;
    known["peers"] = Json::array();
    for (const Json& peer : (*peers)["peers"]) known["peers"].push_back(peer.value("name", ""));
    std::vector<std::string> others{scenario.other(host)};
    if (!scenario.witness.empty()) others.push_back(scenario.witness);
    for (const std::string& other : others) {
        // One that answers that this host may not ask is reached.
        const auto answer = cli::engine_get("/v1/status", other);
        known["reaches"][other] = answer || answer.error().code == ErrorCode::permission;
    }
}

void add_service_facts(Json& facts) {
    const std::string systemctl = program_in_path("systemctl");
    if (systemctl.empty() || !facts["systemd"].value("is_running", false)) return;
    const auto said = output_of(systemctl, {"is-enabled", "holdfastd.service"}, ha::gather_program_ms);
    if (said) facts["holdfast"]["is_enabled"] = said->text == "enabled\n";
}

Result<std::string> own_name(const Arguments& arguments, const ha::Scenario& scenario) {
    std::string name = arguments.text_or("--host", "");
    const auto status = name.empty() ? cli::engine_get("/v1/status") : Result<Json>(Json::object());
    if (name.empty() && status) name = status->value("name", "");
    char host[256] = {};
    if (name.empty() && ::gethostname(host, sizeof host - 1) == 0) name = host;
    if (name == scenario.hosts[0] || name == scenario.hosts[1]) return name;
    return Error{ErrorCode::invalid_argument, "this host is " + quoted(name) + ", and the scenario is about " + scenario.hosts[0] + " and " + scenario.hosts[1] + "; say --host NAME"};
}

Result<Report> facts(const Arguments& arguments) {
    const ha::Scenario scenario = HF_TRY(load_scenario(arguments.text("SCENARIO")));
    const std::string host = HF_TRY(own_name(arguments, scenario));
    Report report;
    report.json = ha::gather_facts(scenario, host);
    report.json["holdfast"]["version"] = HOLDFAST_VERSION;
    add_engine_facts(scenario, host, report.json);
    add_service_facts(report.json);
    report.text = cli::dump(report.json) + "\n";
    return report;
}

Result<Report> verify(const Arguments& arguments) {
    const ha::Scenario scenario = HF_TRY(load_scenario(arguments.text("SCENARIO")));
    const std::string active_name = arguments.text_or("--active", scenario.master);
    if (active_name != scenario.hosts[0] && active_name != scenario.hosts[1]) return Error{ErrorCode::invalid_argument, "--active is " + scenario.hosts[0] + " or " + scenario.hosts[1]};
    const std::string active_text = HF_TRY(text_of_file(arguments.text("ACTIVE"), ha::facts_bytes_max)), standby_text = HF_TRY(text_of_file(arguments.text("STANDBY"), ha::facts_bytes_max));
    const ha::Facts active = HF_TRY(ha::Facts::parse(active_text)), standby = HF_TRY(ha::Facts::parse(standby_text));
    const ha::Verification verification = ha::verify(scenario, {active_name, active}, {scenario.other(active_name), standby});
    Report report;
    report.json = {{"checks", verification.checks.size()}, {"catalogue_version", ha::catalogue_version}, {"allows_start", verification.allows_start()}, {"unknown", verification.unknown}, {"findings", Json::array()}};
    size_t errors = 0, warnings = 0;
    for (const ha::Finding& finding : verification.findings) {
        const bool is_error = finding.check.severity == ha::Severity::error;
        (is_error ? errors : warnings) += !finding.is_acknowledged;
        report.json["findings"].push_back({{"check", finding.check.id}, {"family", to_string(finding.check.family)}, {"severity", to_string(finding.check.severity)}, {"evidence", finding.evidence},
                                           {"remedy", finding.check.remedy}, {"acknowledged", finding.is_acknowledged}});
        report.text += std::string(finding.is_acknowledged ? "acknowledged" : to_string(finding.check.severity)) + " " + finding.check.id + ": " + printable(finding.evidence) + "\n    " + finding.check.remedy + "\n";
    }
    report.text += cli::counted(verification.checks.size(), "check", "checks") + ": " + cli::counted(errors, "error", "errors") + ", " + cli::counted(warnings, "warning", "warnings") + " that nobody has acknowledged, " +
                   cli::counted(verification.unknown.size(), "fact", "facts") + " that could not be had" + (verification.unknown.empty() ? "" : " (--json lists them)") + ".\n" +
                   (!verification.allows_start() ? "The scenario may not start.\n" : verification.unknown.empty() ? "The scenario may start.\n" : "Nothing that is known keeps the scenario from being started.\n");
    if (!verification.allows_start()) report.exit = cli::ExitCode::difference;
    return report;
}

Result<Report> plan(const Arguments& arguments) {
    const ha::Scenario now = HF_TRY(load_scenario(arguments.text("NOW"))), wanted = HF_TRY(load_scenario(arguments.text("WANTED")));
    Report report;
    report.json = {{"changes", Json::array()}};
    cli::Table table({"effect", "what"});
    for (const ha::PlannedChange& change : HF_TRY(ha::plan_change(now, wanted))) {
        table.add({to_string(change.effect), printable(change.sentence)});
        report.json["changes"].push_back({{"effect", to_string(change.effect)}, {"sentence", change.sentence}});
    }
    report.text = table.empty() ? "Nothing would change.\n" : table.text();
    return report;
}

Result<Report> checks(const Arguments&) {
    Report report;
    report.json = {{"catalogue_version", ha::catalogue_version}, {"checks", Json::array()}};
    cli::Table table({"check", "family", "severity", "what is so when it is well"});
    for (const ha::Check& check : ha::catalogue()) {
        table.add({check.id, to_string(check.family), to_string(check.severity), check.title});
        report.json["checks"].push_back({{"check", check.id}, {"family", to_string(check.family)}, {"severity", to_string(check.severity)}, {"title", check.title}, {"remedy", check.remedy}});
    }
    report.text = table.text();
    return report;
}

}  // namespace

const Command ha_check_command = {
    "ha check",
    "say whether a scenario makes sense, and what it means",
    "holdfast ha check shop.toml",
    {scenario_parameter},
    check};

const Command ha_plan_command = {
    "ha plan",
    "show what a changed scenario would do to a running one; nothing is changed",
    "holdfast ha plan shop.toml shop-new.toml",
    {{"NOW", Parameter::Kind::required, "", "the scenario as it is"}, {"WANTED", Parameter::Kind::required, "", "the scenario as it should be"}},
    plan};

const Command ha_facts_command = {
    "ha facts",
    "gather what this host knows about itself, as far as a scenario depends on it; nothing is changed",
    "holdfast ha facts shop.toml > alpha.json",
    {scenario_parameter, {"--host", Parameter::Kind::optional, "NAME", "this host's name in the scenario; by default its engine's"}},
    facts};

const Command ha_verify_command = {
    "ha verify",
    "look for whatever would keep a switchover from working; the exit code is 1 when the scenario may not start",
    "holdfast ha verify shop.toml alpha.json beta.json",
    {scenario_parameter,
     {"ACTIVE", Parameter::Kind::required, "", "facts of the host that serves"},
     {"STANDBY", Parameter::Kind::required, "", "facts of the other one"},
     {"--active", Parameter::Kind::optional, "NAME", "who serves; by default the scenario's master"}},
    verify};

const Command ha_checks_command = {
    "ha checks",
    "list the catalogue of checks",
    "holdfast ha checks",
    {},
    checks};

}  // namespace holdfast::tools

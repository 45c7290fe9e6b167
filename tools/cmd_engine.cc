// What a person asks of this host's engine, holdfastd: how replication is, whom it knows, pairing, its configuration.
#include "tools/cli/engine.h"
#include "tools/cli/programs.h"
#include "tools/command.h"

#include <chrono>
#include <cstdio>
#include <thread>

#include "base/text.h"

namespace holdfast::tools {

namespace {

using cli::engine_get;
using cli::engine_post;
using cli::printable;

constexpr cli::ProgramPlace engine_program{"HOLDFAST_ENGINE_BIN", "../sbin/holdfastd", "holdfastd", "../replicator/holdfastd"};
constexpr int check_timeout_ms = 30'000;
constexpr auto look_again = std::chrono::milliseconds(300);

// Whose engine is asked.
const Parameter on_parameter = {"--on", Parameter::Kind::optional, "PEER", "ask that host's engine, through this one's; its configuration says what it lets this host do"};
std::string on(const Arguments& arguments) {
    return arguments.given("--on") ? arguments.text("--on") : "";
}
std::string this_host(const Arguments& arguments) {
    return arguments.given("--on") ? "Host " + printable(on(arguments)) : "This host";
}

// "?" for what is not known.
std::string bytes_in(const Json& edge, const char* member) {
    return edge.contains(member) ? human_bytes(edge.at(member).get<uint64_t>()) : "?";
}
std::string duration_in(const Json& edge, const char* member) {
    return edge.contains(member) ? cli::human_duration(edge.at(member).get<uint64_t>()) : "?";
}

// "50 % at 1": what packing left, and the level of zstd.
std::string packing_in(const Json& edge) {
    if (!edge.contains("packing_permille")) return "";
    return std::to_string((edge.at("packing_permille").get<uint64_t>() + 5) / 10) + " % at " + std::to_string(edge.at("packing_level").get<uint64_t>());
}

Result<Report> engine_status(const Arguments& arguments) {
    Report report;
    report.json = HF_TRY(engine_get("/v1/status", on(arguments)));
    cli::Table table({"role", "volume", "peer", "state", ">behind", ">lag", ">packed", "why"});
    for (const Json& edge : report.json.at("edges"))
        table.add({edge.at("role"), printable(edge.at("volume").get<std::string>()), edge.at("peer"), edge.at("state"), bytes_in(edge, "behind_bytes"), duration_in(edge, "lag_ns"), packing_in(edge),
                   printable(edge.value("why", ""))});
    const std::string maintenance = report.json.at("maintenance").at("state");
    report.text = "engine of " + report.json.at("name").get<std::string>() + ", key " + report.json.at("key").get<std::string>() + "\n" +
                  (maintenance == "prepared" ? this_host(arguments) + " is in maintenance until `holdfast maintenance done`.\n" : maintenance == "none" ? "" : "Maintenance is being prepared.\n") +
                  (table.empty() ? "It sends nothing and keeps nothing; its configuration says what it should.\n" : table.text());
    return report;
}

Result<Report> events(const Arguments& arguments) {
    Report report;
    const uint64_t after = HF_TRY(arguments.number_or("--after", 0));
    report.json = HF_TRY(engine_get("/v1/events?after=" + std::to_string(after), on(arguments)));
    cli::Table table({">number", "time", "code", "severity", "what happened"});
    for (const Json& event : report.json.at("events"))
        table.add({std::to_string(event.at("number").get<uint64_t>()), cli::local_time(event.at("time_ns").get<uint64_t>()), event.at("code"), event.at("severity"),
                   printable(event.at("sentence").get<std::string>())});
    report.text = table.empty() ? "Nothing happened that is still kept.\n" : table.text();
    return report;
}

Result<Report> pair(const Arguments& arguments) {
    Report report;
    if (!arguments.given("ADDRESS")) {
        report.json = HF_TRY(engine_post("/v1/pair-offer"));
        report.text = "On the other host, within " + std::to_string(report.json.at("seconds").get<uint64_t>() / 60) + " minutes:\n\n  holdfast pair ADDRESS-OF-THIS-HOST:PORT --code " +
                      report.json.at("code").get<std::string>() + "\n\nThis host listens on " + report.json.at("listen").get<std::string>() + ". The code works once.\n";
        return report;
    }
    if (!arguments.given("--code"))
        return Error{ErrorCode::invalid_argument, "the code is missing: `holdfast pair` on the other host shows one; give it with --code"};
    report.json = HF_TRY(engine_post("/v1/pair", {{"address", arguments.text("ADDRESS")}, {"code", arguments.text("--code")}}));
    report.text = "Paired with " + printable(report.json.at("peer").get<std::string>()) + ", whose key is " + report.json.at("key").get<std::string>() + ".\n";
    return report;
}

std::string joined(const Json& texts, const char* separator) {
    std::string all;
    for (const Json& text : texts) all += (all.empty() ? "" : separator) + printable(text.get<std::string>());
    return all;
}

// A rotation that is under way.
std::string rotation_text(const Json& rotation) {
    const std::string waiting = joined(rotation.at("waiting_for"), ", ");
    return "The next key of this host is " + rotation.at("next_key").get<std::string>() + ". It is shown when all peers keep it, or from " +
           cli::local_time(rotation.at("until_ns").get<uint64_t>()) + " on.\n" + (waiting.empty() ? "" : "Not told yet: " + waiting + ".\n");
}

Result<Report> peer_list(const Arguments& arguments) {
    Report report;
    report.json = HF_TRY(engine_get("/v1/peers", on(arguments)));
    cli::Table table({"peer", "address", "key"});
    for (const Json& peer : report.json.at("peers"))
        for (const Json& key : peer.at("keys")) table.add({peer.at("name"), peer.at("address"), key});
    report.text = table.empty() ? this_host(arguments) + " knows no other; `holdfast pair` introduces one.\n" : table.text();
    if (report.json.contains("next_key")) report.text += rotation_text(report.json);
    return report;
}

Result<Report> key_rotate(const Arguments& arguments) {
    Json request = Json::object();
    (void)HF_TRY(arguments.duration_ns_or("--within", 0));
    if (arguments.given("--within")) request["within"] = arguments.text("--within");
    Report report;
    report.json = HF_TRY(engine_post("/v1/key-rotate", request));
    report.text = report.json.contains("next_key") ? rotation_text(report.json) : "This host shows a new key; there was no peer to tell.\n";
    return report;
}

// A request that has nothing to show but that it was done.
Result<Report> have_done(const char* path, const Json& request, std::string text, const std::string& on = "") {
    Report report;
    report.json = HF_TRY(engine_post(path, request, on));
    report.text = std::move(text);
    return report;
}

Result<Report> peer_revoke(const Arguments& arguments) {
    const std::string& peer = arguments.text("PEER");
    return have_done("/v1/revoke", {{"peer", peer}}, "Peer " + printable(peer) + " is not trusted any more, and its connections were ended.\n");
}

Json about_replica(const Arguments& arguments) {
    return {{"volume", arguments.text("DIR")}, {"peer", arguments.text("PEER")}};
}

Result<Report> replica_forget(const Arguments& arguments) {
    return have_done("/v1/forget", about_replica(arguments), "The journal keeps nothing for a replica on " + printable(arguments.text("PEER")) + " any more.\n", on(arguments));
}

Result<Report> replica_suspend(const Arguments& arguments) {
    return have_done("/v1/suspend", about_replica(arguments),
                     "Nothing is sent to " + printable(arguments.text("PEER")) + " until `holdfast replica resume`; the journal keeps it.\n", on(arguments));
}

Result<Report> replica_resume(const Arguments& arguments) {
    return have_done("/v1/resume", about_replica(arguments), "The replica on " + printable(arguments.text("PEER")) + " goes on where it was.\n", on(arguments));
}

Result<Report> replica_now(const Arguments& arguments) {
    return have_done("/v1/now", about_replica(arguments),
                     "What is published now is sent to " + printable(arguments.text("PEER")) + ", whatever its hours; `holdfast engine status` shows how far it is.\n", on(arguments));
}

Result<Report> replica_repair(const Arguments& arguments) {
    return have_done("/v1/repair", about_replica(arguments),
                     "The replica is compared with its source on " + printable(arguments.text("PEER")) + ", and what differs is repaired; `holdfast events` tells when that is done.\n", on(arguments));
}

Result<Report> maintenance_prepare(const Arguments& arguments) {
    Json request = Json::object();
    (void)HF_TRY(arguments.duration_ns_or("--timeout", 0));
    if (arguments.given("--timeout")) request["timeout"] = arguments.text("--timeout");
    Report report;
    report.json = HF_TRY(engine_post("/v1/maintenance-prepare", request, on(arguments)));
    // The engine's own timeout bounds this: it ends in `prepared` or in `none`.
    for (std::string shown; report.json.at("state") != "prepared";) {
        std::this_thread::sleep_for(look_again);
        const Json status = HF_TRY(engine_get("/v1/status", on(arguments)));
        report.json = status.at("maintenance");
        if (report.json.at("state") == "none")
            return Error{ErrorCode::unavailable, (arguments.given("--on") ? "host " + printable(on(arguments)) : "this host") + " is not in maintenance, and its streams go on: " + printable(report.json.value("why", "it was ended"))};
        const std::string waiting = joined(report.json.at("behind"), "; ");
        if (!waiting.empty() && std::exchange(shown, waiting) != waiting) std::fprintf(stderr, "waiting: %s\n", waiting.c_str());
    }
    report.text = this_host(arguments) + " is in maintenance: its replicas have everything that was published, and its streams are at rest. Reboot it, then `holdfast maintenance done`.\n";
    return report;
}

Result<Report> maintenance_done(const Arguments& arguments) {
    return have_done("/v1/maintenance-done", Json::object(), this_host(arguments) + " is not in maintenance any more, and its streams go on.\n", on(arguments));
}

Result<Report> config_check(const Arguments& arguments) {
    std::vector<std::string> words{HF_TRY(find_program(engine_program)), "--check"};
    if (arguments.given("--config")) words.insert(words.end(), {"--config", arguments.text("--config")});
    cli::Child child = HF_TRY(cli::Child::start(words, {}));
    if (!child.wait(check_timeout_ms)) return Error{ErrorCode::unavailable, "the check did not end in time"};
    if (child.exit_status() != 0) return Error{ErrorCode::invalid_argument, child.last_error_line()};
    Report report;
    report.text = "The configuration can be taken.\n";
    return report;
}

Result<Report> config_reload(const Arguments& arguments) {
    return have_done("/v1/reload", Json::object(), "The engine has taken the configuration.\n", on(arguments));
}

}  // namespace

const Command engine_status_command = {
    "engine status", "how replication to and from this host is", "holdfast engine status --on beta", {on_parameter}, engine_status};

const Command events_command = {
    "events",
    "what happened to the engine, with the codes of docs/events.md",
    "holdfast events --after 120",
    {{"--after", Parameter::Kind::optional, "NUMBER", "only what came after this one"}, on_parameter},
    events};

const Command pair_command = {
    "pair",
    "make two hosts known to each other: one shows a code, the other is given it",
    "holdfast pair beta.example.org:4848 --code 7KQ-2MX-9TD",
    {{"ADDRESS", Parameter::Kind::optional, "", "the host that shows the code, as host:port; without it this host shows one"},
     {"--code", Parameter::Kind::optional, "CODE", "what the other host shows"}},
    pair};

const Command peer_list_command = {"peer list", "the hosts that this one knows, and their keys", "holdfast peer list", {on_parameter}, peer_list};

const Command peer_revoke_command = {
    "peer revoke",
    "trust a host no more, and end its connections",
    "holdfast peer revoke beta",
    {{"PEER", Parameter::Kind::required, "", "its name, as `holdfast peer list` shows it"}},
    peer_revoke};

const Command key_rotate_command = {
    "key rotate",
    "give this host a new key, which its peers learn over the connections that there are",
    "holdfast key rotate --within 7d",
    {{"--within", Parameter::Kind::optional, "TIME", "how long a peer that is away may take to learn it; 7d by default"}},
    key_rotate};

const Command replica_forget_command = {
    "replica forget",
    "keep the journal no longer for a replica that will not come back",
    "holdfast replica forget /srv/data beta",
    {{"DIR", Parameter::Kind::required, "", "the directory, its store or its volume id"},
     {"PEER", Parameter::Kind::required, "", "the host that had the replica"}, on_parameter},
    replica_forget};

const Command replica_suspend_command = {
    "replica suspend",
    "send nothing to a replica for a while",
    "holdfast replica suspend /srv/data beta",
    {{"DIR", Parameter::Kind::required, "", "the volume, as the engine's configuration names it"},
     {"PEER", Parameter::Kind::required, "", "the host that has the replica"}, on_parameter},
    replica_suspend};

const Command replica_resume_command = {
    "replica resume",
    "send to a suspended replica again, from where it was",
    "holdfast replica resume /srv/data beta",
    {{"DIR", Parameter::Kind::required, "", "the volume, as the engine's configuration names it"},
     {"PEER", Parameter::Kind::required, "", "the host that has the replica"}, on_parameter},
    replica_resume};

const Command replica_now_command = {
    "replica now",
    "send to a replica once, outside of its hours, until it has what is published now",
    "holdfast replica now /srv/data beta",
    {{"DIR", Parameter::Kind::required, "", "the volume, as the engine's configuration names it"},
     {"PEER", Parameter::Kind::required, "", "the host that has the replica"}, on_parameter},
    replica_now};

const Command replica_repair_command = {
    "replica repair",
    "make a replica equal to its source where a comparison found differences",
    "holdfast replica repair /var/lib/holdfast/replicas/data alpha",
    {{"DIR", Parameter::Kind::required, "", "the replica's store or its volume id, on the host that keeps it"},
     {"PEER", Parameter::Kind::required, "", "the host that it comes from"}, on_parameter},
    replica_repair};

const Command maintenance_prepare_command = {
    "maintenance prepare",
    "bring this host's streams to rest before it is rebooted",
    "holdfast maintenance prepare --timeout 30m",
    {{"--timeout", Parameter::Kind::optional, "TIME", "how long replicas may take to get what is published; 10m by default"}, on_parameter},
    maintenance_prepare};

const Command maintenance_done_command = {
    "maintenance done", "let this host's streams go on after maintenance", "holdfast maintenance done", {on_parameter}, maintenance_done};

const Command config_check_command = {
    "config check",
    "say whether the engine can take a configuration",
    "holdfast config check --config ./holdfastd.toml",
    {{"--config", Parameter::Kind::optional, "FILE", "by default /etc/holdfast/holdfastd.toml"}},
    config_check};

const Command config_reload_command = {"config reload", "have the engine read its configuration again", "holdfast config reload", {on_parameter}, config_reload};

}  // namespace holdfast::tools

// Checks of the application: its units, packages, users and scripts, whatever its kind.
#include <set>

#include "base/text.h"
#include "ha/checks/tables.h"

namespace holdfast::ha {

namespace {

constexpr auto consistency = CheckFamily::consistency;
constexpr auto permission = CheckFamily::permission;
constexpr auto application = CheckFamily::application;
constexpr auto error = Severity::error, warning = Severity::warning;

template <typename What>
void each_unit(Look& look, const What& what) {
    for (const std::string& unit : look.scenario().application.units)
        for (const HostFacts& host : look.hosts()) what(unit, host);
}

void unit_must_not_be(Look& look, const char* fact, std::initializer_list<const char*> bad, const char* says) {
    each_unit(look, [&](const std::string& unit, const HostFacts& host) {
        const auto value = host.facts.text({"units", unit, fact});
        if (!value) look.does_not_know(host, {"units", unit, fact});
        for (const char* one : bad)
            if (value && *value == one) look.finds(quoted(unit) + " " + says + " on " + host.name + " (" + *value + ")");
    });
}

void units_equal(Look& look, const char* fact, const char* what) {
    for (const std::string& unit : look.scenario().application.units) look.must_be_equal({"units", unit, fact}, std::string(what) + " of " + quoted(unit));
}

void runs_on_the_active_host(Look& look) {
    for (const std::string& unit : look.scenario().application.units) {
        const auto state = look.active().facts.text({"units", unit, "active"});
        if (state && *state != "active") look.finds(quoted(unit) + " is " + *state + " on " + look.active().name + ", which is to serve");
    }
}

void runs_nowhere_else(Look& look) {
    for (const std::string& unit : look.scenario().application.units) {
        const auto state = look.standby().facts.text({"units", unit, "active"});
        if (state && *state != "inactive" && *state != "failed") look.finds(quoted(unit) + " is " + *state + " on " + look.standby().name + ", which is the standby");
    }
}

void unit_flag(Look& look, const char* fact, bool is, const char* otherwise) {
    each_unit(look, [&](const std::string& unit, const HostFacts& host) {
        const auto value = host.facts.flag({"units", unit, fact});
        if (value && *value != is) look.finds(quoted(unit) + " " + otherwise + " on " + host.name);
    });
}

// Of both hosts' names beneath TABLE what one has and the other has not, or otherwise.
void tables_equal(Look& look, const char* table, const char* fact, const char* what) {
    std::set<std::string> names;
    for (const HostFacts& host : look.hosts())
        for (const std::string& name : host.facts.names({table})) names.insert(name);
    for (const std::string& name : names) {
        const FactPath path = fact == nullptr ? FactPath{table, name} : FactPath{table, name, fact};
        const auto here = look.active().facts.shown(path), there = look.standby().facts.shown(path);
        if (here == there) continue;
        look.finds(std::string(what) + " " + quoted(name) + " is " + here.value_or("missing") + " on " + look.active().name + " and " + there.value_or("missing") + " on " + look.standby().name);
    }
}

void script_flag(Look& look, const char* fact, bool is, const char* otherwise) {
    for (const std::string& path : look.scenario().programs()) look.must_be({"scripts", path, fact}, is, quoted(path) + " " + otherwise);
}

void scripts_equal(Look& look) {
    for (const std::string& path : look.scenario().programs()) look.must_be_equal({"scripts", path, "digest"}, "the digest of " + quoted(path));
}

constexpr Check checks[] = {
    {"unit-exists", application, error, "systemd knows the application's units on both hosts", "install the application on both", [](Look& look) { unit_must_not_be(look, "load", {"not-found", "error", "bad-setting"}, "cannot be loaded"); }},
    {"unit-masked", application, error, "no unit of the application is masked", "systemctl unmask UNIT", [](Look& look) { unit_must_not_be(look, "load", {"masked"}, "is masked"); }},
    {"unit-not-enabled", consistency, error, "the application does not start by itself", "systemctl disable UNIT: who serves is decided here, and a host that is booted is not asked",
     [](Look& look) { unit_must_not_be(look, "enabled", {"enabled", "enabled-runtime"}, "is started with the host"); }},
    {"unit-not-failed", application, warning, "no unit of the application has failed", "systemctl status UNIT says why; systemctl reset-failed UNIT forgets it", [](Look& look) { unit_must_not_be(look, "active", {"failed"}, "has failed"); }},
    {"unit-runs", consistency, error, "the application runs on the active host", "start it, or say that the other host is the master", runs_on_the_active_host},
    {"unit-runs-once", consistency, error, "the application runs on the active host alone", "systemctl stop UNIT on the standby", runs_nowhere_else},
    {"unit-equal", consistency, warning, "both have the same unit files", "copy the file and its drop-ins", [](Look& look) { units_equal(look, "digest", "the unit file"); }},
    {"unit-reloaded", application, warning, "systemd has read the unit files as they are", "systemctl daemon-reload", [](Look& look) { unit_flag(look, "needs_daemon_reload", false, "was changed since systemd read it"); }},
    {"unit-user", consistency, warning, "units run as the same user", "change the unit on one of them", [](Look& look) { units_equal(look, "user", "the user"); }},
    {"unit-program", application, error, "what a unit starts is there", "install the program", [](Look& look) { unit_flag(look, "has_program", true, "starts a program that is not there"); }},
    {"unit-no-restart", application, warning, "a unit that is stopped stays stopped", "nothing may start it again by itself: look for timers, sockets and paths that do", [](Look& look) { unit_flag(look, "has_trigger", false, "is started by a timer, a socket or a path"); }},
    {"package-equal", consistency, warning, "both have the same packages of the application", "upgrade the older one", [](Look& look) { tables_equal(look, "packages", nullptr, "the package"); }},
    {"user-equal", consistency, error, "users of the application have one number on both hosts", "usermod -u and chown on one of them: files carry numbers", [](Look& look) { tables_equal(look, "users", "uid", "the number of user"); }},
    {"user-group", consistency, error, "users of the application have one main group on both hosts", "usermod -g on one of them", [](Look& look) { tables_equal(look, "users", "gid", "the main group of user"); }},
    {"user-home", consistency, warning, "users of the application have one home on both hosts", "usermod -d on one of them", [](Look& look) { tables_equal(look, "users", "home", "the home of user"); }},
    {"group-equal", consistency, error, "groups of the application have one number on both hosts", "groupmod -g and chgrp on one of them", [](Look& look) { tables_equal(look, "groups", "gid", "the number of group"); }},
    {"configuration-equal", consistency, warning, "configuration outside of the directories is the same", "copy it, or move it into a protected directory", [](Look& look) { tables_equal(look, "configuration", "digest", "the digest of"); }},
    {"script-exists", permission, error, "scripts are there on both hosts, at one path", "install them on both", [](Look& look) { script_flag(look, "exists", true, "does not exist"); }},
    {"script-runs", permission, error, "scripts can be executed", "chmod +x", [](Look& look) { script_flag(look, "is_executable", true, "cannot be executed"); }},
    {"script-equal", consistency, warning, "scripts are the same on both hosts", "copy them", scripts_equal},
    {"script-owner", permission, error, "scripts belong to root", "chown root: the engine runs them as root", [](Look& look) { script_flag(look, "is_roots", true, "belongs to somebody else than root"); }},
    {"script-safe", permission, error, "scripts can be changed by root alone", "chmod go-w, also of the directories above", [](Look& look) { script_flag(look, "is_writable_by_others", false, "can be changed by others than root"); }},
    {"script-outside", application, warning, "scripts do not lie in a protected directory", "move them: on a standby the directory may not be there when they are needed", [](Look& look) {
         for (const std::string& path : look.scenario().programs())
             for (const ScenarioVolume& volume : look.scenario().volumes)
                 if (path.starts_with(volume.directory + "/")) look.finds(quoted(path) + " lies in " + quoted(volume.directory));
     }},
};

}  // namespace

std::span<const Check> application_checks() { return checks; }

}  // namespace holdfast::ha

#include "ha/checks/check.h"

#include <algorithm>
#include <set>

#include "ha/checks/tables.h"

namespace holdfast::ha {

namespace {

std::string text_of(const FactPath& path) {
    std::string all;
    for (const std::string& name : path) all += (all.empty() ? "" : " / ") + name;
    return all;
}

}  // namespace

void Look::does_not_know(const HostFacts& host, const FactPath& path) {
    unknown_.push_back(host.name + ": " + text_of(path));
}

void Look::must_be_equal(const FactPath& path, const std::string& what) {
    const auto here = active().facts.shown(path), there = standby().facts.shown(path);
    for (const HostFacts& host : hosts_)
        if (!host.facts.shown(path)) does_not_know(host, path);
    if (here && there && *here != *there) finds(what + " is " + *here + " on " + active().name + " and " + *there + " on " + standby().name);
}

void Look::must_be(const FactPath& path, bool is, const std::string& what_it_is_otherwise) {
    for (const HostFacts& host : hosts_) {
        const auto flag = host.facts.flag(path);
        if (!flag) does_not_know(host, path);
        if (flag && *flag != is) finds(what_it_is_otherwise + " on " + host.name);
    }
}

std::vector<Check> catalogue() {
    std::vector<Check> all;
    for (const auto& table : {host_checks(), volume_checks(), application_checks(), network_checks(), permission_checks()}) all.insert(all.end(), table.begin(), table.end());
    return all;
}

bool Verification::allows_start() const {
    return left_out == 0 && std::all_of(findings.begin(), findings.end(), [](const Finding& finding) { return finding.is_acknowledged; });
}

Verification verify(const Scenario& scenario, const HostFacts& active, const HostFacts& standby) {
    Verification verification;
    verification.checks = catalogue();
    std::set<std::string> unknown;
    for (const Check& check : verification.checks) {
        Look look(scenario, active, standby);
        check.look(look);
        unknown.insert(look.unknown().begin(), look.unknown().end());
        const bool is_acknowledged = check.severity == Severity::warning && std::any_of(scenario.acknowledged.begin(), scenario.acknowledged.end(), [&](const Acknowledgement& one) { return one.check == check.id; });
        for (const std::string& evidence : look.evidence()) {
            if (verification.findings.size() < findings_max) verification.findings.push_back({check, evidence, is_acknowledged});
            else ++verification.left_out;
        }
    }
    std::stable_sort(verification.findings.begin(), verification.findings.end(), [](const Finding& a, const Finding& b) { return a.check.severity < b.check.severity; });
    verification.unknown.assign(unknown.begin(), unknown.end());
    return verification;
}

const char* to_string(CheckFamily family) {
    switch (family) {
        case CheckFamily::consistency: return "consistency";
        case CheckFamily::permission: return "permission";
        case CheckFamily::application: return "application";
    }
    return "?";
}

const char* to_string(Severity severity) {
    return severity == Severity::error ? "error" : "warning";
}

}  // namespace holdfast::ha

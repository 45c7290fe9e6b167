// The catalogue of checks that are made before a scenario starts and from time to time (S-12 to S-19): each a small unit that looks at the facts of both hosts, and changes nothing.
//
// A new check is one row in a table of the folder's files, and one row in test/ha/checks_test.cc that makes it fail; the test holds the two against each other. An id is never
// used for anything else again, because people acknowledge warnings by it. catalogue_version grows with every check that is added.
//
// Thread rule: pure functions.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "ha/facts/facts.h"
#include "ha/scenario/scenario.h"

namespace holdfast::ha {

inline constexpr uint32_t catalogue_version = 1;
inline constexpr size_t findings_max = 1000;

enum class CheckFamily : uint8_t { consistency, permission, application };
enum class Severity : uint8_t {
    error,    // blocks the start
    warning,  // must be acknowledged, by the check's id
};
const char* to_string(CheckFamily family);
const char* to_string(Severity severity);

struct HostFacts {
    std::string name;
    const Facts& facts;
};

// What a check sees, and says.
class Look {
public:
    Look(const Scenario& scenario, HostFacts active, HostFacts standby) : scenario_(scenario), hosts_{std::move(active), std::move(standby)} {}

    const Scenario& scenario() const { return scenario_; }
    const HostFacts& active() const { return hosts_[0]; }
    const HostFacts& standby() const { return hosts_[1]; }
    const std::array<HostFacts, 2>& hosts() const { return hosts_; }

    // EVIDENCE: a sentence with what was seen and where.
    void finds(std::string evidence) { evidence_.push_back(std::move(evidence)); }
    // A fact that a host does not know. It is no finding of its own for each check: it is collected, and told once.
    void does_not_know(const HostFacts& host, const FactPath& path);

    // Both must have the same at PATH, which is WHAT.
    void must_be_equal(const FactPath& path, const std::string& what);
    // Asks both; a finding where it is not IS.
    void must_be(const FactPath& path, bool is, const std::string& what_it_is_otherwise);

    const std::vector<std::string>& evidence() const { return evidence_; }
    const std::vector<std::string>& unknown() const { return unknown_; }

private:
    const Scenario& scenario_;
    const std::array<HostFacts, 2> hosts_;
    std::vector<std::string> evidence_, unknown_;
};

struct Check {
    const char* id;
    CheckFamily family;
    Severity severity;
    const char* title;   // what is so when it is well
    const char* remedy;  // what to do otherwise
    void (*look)(Look& look);
};

std::vector<Check> catalogue();

struct Finding {
    Check check;
    std::string evidence;
    bool is_acknowledged;
};

struct Verification {
    std::vector<Check> checks;
    std::vector<Finding> findings;       // errors first
    std::vector<std::string> unknown;    // facts that could not be had, each once
    size_t left_out = 0;                 // findings beyond findings_max
    // Nothing keeps the scenario from being started.
    bool allows_start() const;
};

// ACTIVE serves now, or is to serve first.
Verification verify(const Scenario& scenario, const HostFacts& active, const HostFacts& standby);

}  // namespace holdfast::ha

// Gathers the facts of this host for a scenario (facts.h). Nothing is changed: nothing is created, opened for writing, started or sent but questions.
//
// What cannot be found out is left out. Programs that are asked (systemctl, dpkg-query) have gather_program_ms each; a name server as long as the resolver is configured to wait.
//
// Thread rule: any thread; blocks for up to some seconds.
#pragma once

#include <string>

#include "base/json.h"
#include "ha/scenario/scenario.h"

namespace holdfast::ha {

inline constexpr int gather_program_ms = 5000;

// HOST: this host's name in the scenario.
Json gather_facts(const Scenario& scenario, const std::string& host);

// By area; each fills what it knows.
void gather_host(Json& facts);
void gather_places(const Scenario& scenario, const std::string& host, Json& facts);
void gather_application(const Scenario& scenario, Json& facts);
void gather_files(const Scenario& scenario, Json& facts);
void gather_network(const Scenario& scenario, Json& facts);

}  // namespace holdfast::ha

// The tables that make up the catalogue (check.h), one for each file of the folder.
#pragma once

#include <span>

#include "ha/checks/check.h"

namespace holdfast::ha {

std::span<const Check> host_checks();         // the two machines
std::span<const Check> volume_checks();       // directories and stores
std::span<const Check> application_checks();  // units, packages, users
std::span<const Check> network_checks();      // addresses, names, the way to each other
std::span<const Check> permission_checks();   // what the engine must be allowed to do

}  // namespace holdfast::ha

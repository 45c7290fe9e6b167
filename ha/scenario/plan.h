// What a changed scenario would do to a running one (`holdfast ha plan`): each difference with its effect. Live wherever it makes sense.
// Thread rule: pure.
#pragma once

#include <string>
#include <vector>

#include "ha/scenario/scenario.h"

namespace holdfast::ha {

enum class Effect : uint8_t {
    later,       // nothing happens now: it is what the next switchover, or the next round of the monitor, goes by
    unnoticed,   // something is done now that no client notices
    noticed,     // clients may notice it: an address or a name goes away or points elsewhere
    copies,      // data goes over the network, while everything runs
    stops,       // the application must be stopped for it
};
const char* to_string(Effect effect);

struct PlannedChange {
    Effect effect;
    std::string sentence;
};

// In the order of the file. Errors: invalid_argument: it is another scenario.
Result<std::vector<PlannedChange>> plan_change(const Scenario& now, const Scenario& wanted);

}  // namespace holdfast::ha

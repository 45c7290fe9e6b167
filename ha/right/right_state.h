// What a host has promised and held, on its disk: one small file for each scenario (ha/state/state_file.h).
//
// With each goes the run of the machine (boot id) in which it was made durable, because after a boot nothing of it is in use (claimant.h, voter.h).
// Thread rule: one writer.
#pragma once

#include <string>

#include "base/disk.h"
#include "base/json.h"
#include "ha/right/term.h"

namespace holdfast::ha {

inline constexpr size_t term_holder_bytes_max = 64;

struct RightState {
    Promise promise;
    std::string promised_in;  // the boot id then
    Term held;
    std::string held_in;
    bool operator==(const RightState&) const = default;
};

Json to_json(const RightState& state);
// Errors: corrupt.
Result<RightState> right_state_of(const Json& json);

// NAME of the file in DISK. No file: the default. Errors: corrupt: whoever reads this must not vote, because it does not know what it has promised; io.
Result<RightState> load_right_state(Disk& disk, std::string_view name);
// Durable on return: before a vote is sent, and before anybody acts on a term.
Status save_right_state(Disk& disk, std::string_view name, const RightState& state);

}  // namespace holdfast::ha

// Small files on which it depends who may write and what is done next: one JSON object with its digest, replaced whole, so that a single bit that rots is noticed.
// Thread rule: one writer for each name.
#pragma once

#include <optional>
#include <string_view>

#include "base/disk.h"
#include "base/json.h"

namespace holdfast::ha {

inline constexpr size_t state_bytes_max = 1 << 20;

// Durable on return; a crash leaves the old one or the new one.
Status save_state(Disk& disk, std::string_view name, const Json& body);
// Nothing: there is none. Errors: corrupt: damaged; io.
Result<std::optional<Json>> load_state(Disk& disk, std::string_view name);
// What TEXT, as save_state() writes it, holds. Errors: corrupt.
Result<Json> state_in(std::string_view text);

}  // namespace holdfast::ha

// STORE/volume.toml as text. Reading and writing the text are apart from the files that hold it (journal/volume.h).
//
//     format = 1
//     id = "01234567-89ab-4def-8123-456789abcdef"
//     role = "replica"                         only of a replica: without the key it is a source's
//     directory = "/srv/data"                  only of a source
//     journal_directory = "/fast/journal"      only of a source, and only when it is not STORE/journal
//     origin = 1
//     segment_bytes = 67108864
//     journal_bytes_max = 8589934592           or "8G"
//     full_policy = "degrade"
//     durability = "sync"                      only of a source, and only when it is not async
//     when_alone = "degrade:10s"               only beside durability
//     leave_out = ["cache", "var/tmp"]         only of a source, and only when something is left out
//     window_age_ns = 0                        or "7d"
//     window_bytes_max = 0                     or "50G"
//
// The store's own place is not in it, so that a store may be moved or its disk mounted elsewhere. A key that is not
// in this list is refused: an option that silently does nothing would be believed.
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "journal/volume.h"

namespace holdfast::journal {

inline constexpr int volume_format_version = 1;
inline constexpr size_t volume_text_bytes_max = 64 << 10;

std::string volume_to_text(const Volume& volume);
// STORE is where the text was found. Errors, each with what to do: foreign (another program's file), unsupported (a
// newer format), corrupt (damaged, or edited into something that makes no sense).
Result<Volume> volume_from_text(std::string_view text, const std::string& store);

}  // namespace holdfast::journal

#include "journal/cursor.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/check.h"
#include "base/small_file.h"
#include "base/text.h"
#include "journal/record.h"

namespace holdfast::journal {
namespace {

constexpr size_t cursor_bytes_max = 512;
// Counted, it would hold the journal until that is full: nobody moves it any more.
constexpr std::string_view retired_consumer = "seed";

// One line for people, with a checksum over all that stands before it:
//     holdfast-cursor 1 VOLUME POSITION CHECKSUM
std::string body_of(const VolumeId& volume, Lsn position) {
    return "holdfast-cursor 1 " + to_string(volume) + " " + std::to_string(position);
}

std::string line_of(const VolumeId& volume, Lsn position) {
    std::string body = body_of(volume, position);
    uint64_t checksum = xxh3_64(bytes_of(body));
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(checksum));
    return body + " " + digits + "\n";
}

// Position zero for anything but the very line that save_cursor() wrote, of this volume: that only keeps more.
Lsn position_in(std::string_view contents, const VolumeId& volume) {
    std::string prefix = body_of(volume, 0);
    prefix.pop_back();
    if (!contents.starts_with(prefix)) return 0;
    Lsn position = 0;
    std::string_view number = contents.substr(prefix.size());
    auto parsed = std::from_chars(number.data(), number.data() + number.size(), position);
    if (parsed.ec != std::errc()) return 0;
    return contents == line_of(volume, position) ? position : 0;
}

}  // namespace

Status save_cursor(Disk& disk, const VolumeId& volume, std::string_view consumer, Lsn position) {
    HF_CHECK(!consumer.empty() && !consumer.ends_with(small_file_suffix) && consumer != retired_consumer);
    return replace_small_file(disk, consumer, line_of(volume, position));
}

Result<std::vector<std::pair<std::string, Lsn>>> load_cursors(Disk& disk, const VolumeId& volume) {
    std::vector<std::pair<std::string, Lsn>> cursors;
    for (const std::string& name : HF_TRY(disk.list())) {
        if (name.ends_with(small_file_suffix)) continue;  // being replaced: its name without the suffix is there too
        if (name == retired_consumer) continue;
        auto contents = read_small_file(disk, name, cursor_bytes_max);
        if (contents) {
            cursors.emplace_back(name, position_in(*contents, volume));
        } else if (contents.error().code == ErrorCode::corrupt) {
            cursors.emplace_back(name, 0);
        } else if (contents.error().code != ErrorCode::not_found) {  // a consumer that was just removed
            // A disk that fails to read must not look like a consumer that needs nothing.
            return std::move(contents).error().within("read the cursor " + quoted(name));
        }
    }
    return cursors;
}

Result<std::optional<Lsn>> lowest_cursor(Disk& disk, const VolumeId& volume) {
    std::optional<Lsn> lowest;
    for (const auto& [name, position] : HF_TRY(load_cursors(disk, volume))) lowest = std::min(position, lowest.value_or(lsn_max));
    return lowest;
}

Result<std::vector<std::string>> cut_off_replicas(Disk& disk, const VolumeId& volume, uint64_t segment_bytes, Lsn below) {
    const auto cursors = HF_TRY(load_cursors(disk, volume));
    for (const auto& [consumer, position] : cursors)
        if (consumer == store_consumer) below = std::min(below, position - position % segment_bytes);
    std::vector<std::string> cut;
    for (const auto& [consumer, position] : cursors) {
        if (!consumer.starts_with(replica_consumer_prefix) || position >= below) continue;
        HF_TRY(disk.remove(consumer));
        cut.push_back(consumer);
    }
    if (!cut.empty()) HF_TRY(disk.sync_directory());
    return cut;
}

}  // namespace holdfast::journal

#include "rewind/position.h"

#include <charconv>
#include <sstream>

#include "base/log.h"
#include "base/small_file.h"
#include "base/text.h"

namespace holdfast::rewind {

namespace {

constexpr std::string_view file_name = "position", copy_name = "position.copy";
constexpr std::string_view first_line = "holdfast store position 1";
constexpr size_t file_bytes_max = 4096;

std::string checksum_of(std::string_view text) {
    const uint64_t checksum = journal::xxh3_64(bytes_of(text));
    return hex(&checksum, sizeof checksum);
}

std::string body_of(const journal::VolumeId& volume, const Position& position) {
    std::ostringstream body;
    body << first_line << "\nvolume " << journal::to_string(volume) << "\ncheckpoint " << position.checkpoint
         << "\nundo_end " << position.undo_end << "\nwindow_begin " << position.window_begin << "\nopen_gaps "
         << position.open_gaps << "\ndamaged_from " << position.damaged_from << "\n";
    return body.str();
}

Error damaged() {
    return {ErrorCode::corrupt, "the file \"position\" of the store is damaged, and so is its copy; restore it from a copy, or protect the "
                                "directory anew into an empty store"};
}

Result<std::optional<Position>> load_from(Disk& disk, std::string_view name, const journal::VolumeId& volume) {
    auto contents = read_small_file(disk, name, file_bytes_max);
    if (!contents && contents.error().code == ErrorCode::not_found) return std::optional<Position>();
    if (!contents && contents.error().code == ErrorCode::corrupt) return damaged();
    if (!contents) return std::move(contents).error();

    const size_t end_of_body = contents->rfind("checksum ");
    if (end_of_body == std::string::npos) return damaged();
    const std::string body = contents->substr(0, end_of_body);
    if (contents->substr(end_of_body) != "checksum " + checksum_of(body) + "\n") return damaged();
    if (!body.starts_with(std::string(first_line) + "\n"))
        return Error{ErrorCode::unsupported, "the store was written by a newer version of this program; use that one"};

    std::istringstream lines(body.substr(first_line.size()));
    std::string key, id;
    Position position;
    lines >> key >> id >> key >> position.checkpoint >> key >> position.undo_end >> key >> position.window_begin >> key >>
        position.open_gaps >> key >> position.damaged_from;
    if (!lines) return damaged();
    if (id != journal::to_string(volume))
        return Error{ErrorCode::foreign, "the store belongs to volume " + id + ", not to " + journal::to_string(volume)};
    return std::optional(position);
}

}  // namespace

Result<std::optional<Position>> load_position(Disk& disk, const journal::VolumeId& volume) {
    auto loaded = load_from(disk, file_name, volume);
    const bool is_lost = loaded ? !*loaded : loaded.error().code == ErrorCode::corrupt || loaded.error().code == ErrorCode::io;
    if (!is_lost) return loaded;
    auto copy = load_from(disk, copy_name, volume);
    if (!copy || !*copy) return loaded;
    log_warning("The file \"position\" of the store of volume " + journal::to_string(volume) + " is " + (loaded ? "gone" : "damaged") + "; its copy is used.");
    return copy;
}

// The copy first: it is never the older one. What a position says is true before it is saved, so after a crash in between either of them will do.
Status save_position(Disk& disk, const journal::VolumeId& volume, const Position& position) {
    const std::string body = body_of(volume, position);
    const std::string contents = body + "checksum " + checksum_of(body) + "\n";
    HF_TRY(replace_small_file(disk, copy_name, contents));
    return replace_small_file(disk, file_name, contents);
}

}  // namespace holdfast::rewind

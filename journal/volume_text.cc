#include "journal/volume_text.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "base/name_text.h"
#include "base/text.h"
#include "base/toml.h"
#include "journal/segment.h"
#include "journal/writer.h"

namespace holdfast::journal {
namespace {

std::string toml_quoted(std::string_view value) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string text = "\"";
    for (char c : name_to_text(value)) {
        auto byte = static_cast<unsigned char>(c);
        if (byte == '"' || byte == '\\') text += '\\';
        if (byte < 0x20 || byte == 0x7f) {
            text += std::string("\\u00") + digits[byte >> 4] + digits[byte & 15];
        } else {
            text += c;
        }
    }
    return text + "\"";
}

// One reading of one file: the table, and the sentence of the first thing that is wrong with it.
class Fields {
public:
    Fields(const toml::table& table, const std::string& store) : table_(table), store_(store) {}

    Error wrong(std::string_view what) const {
        return {ErrorCode::corrupt, quoted(store_ + "/volume.toml") + ": " + std::string(what) +
                                        "; correct the file by hand, the history beside it is not touched by that"};
    }

    Result<std::string> text(std::string_view key) const {
        auto value = table_[key].value_exact<std::string>();
        if (!value) return wrong("the key " + quoted(key) + " is missing or is not a text");
        return text_to_name(*value);
    }

    // An absolute path without "." and "..": the only kind that is ever written.
    Result<std::string> path(std::string_view key) const {
        std::string path = HF_TRY(text(key));
        bool valid = path.starts_with('/') && path.find('\0') == std::string::npos && path.size() < 4096;
        for (std::string_view odd : {"/./", "/../"}) valid = valid && (path + "/").find(odd) == std::string::npos;
        if (!valid) return wrong("the key " + quoted(key) + " is not an absolute path");
        return path;
    }

    // A number, or a text that PARSE understands, between LEAST and MOST.
    Result<uint64_t> amount(std::string_view key, Result<uint64_t> (*parse)(std::string_view), uint64_t least, uint64_t most) const {
        auto number = table_[key].value_exact<int64_t>();
        auto words = table_[key].value_exact<std::string>();
        if (!number && !words) return wrong("the key " + quoted(key) + " is missing or is not a number");
        if (number && *number < 0) return wrong("the key " + quoted(key) + " is negative");
        uint64_t value = 0;
        if (number) {
            value = static_cast<uint64_t>(*number);
        } else if (auto parsed = parse(*words)) {
            value = *parsed;
        } else {
            return wrong("the key " + quoted(key) + " cannot be understood: " + parsed.error().message);
        }
        if (value < least || value > most)
            return wrong("the key " + quoted(key) + " is " + std::to_string(value) + ", but must be from " +
                         std::to_string(least) + " to " + std::to_string(most));
        return value;
    }

private:
    const toml::table& table_;
    const std::string& store_;
};

// `journal_is_whole` was written by earlier versions and says nothing any more: it is ignored, and gone when the description is next written.
constexpr std::string_view known_keys[] = {"format",        "id",          "role",          "directory",        "journal_directory", "origin",
                                           "segment_bytes", "full_policy", "window_age_ns", "window_bytes_max", "journal_bytes_max", "journal_is_whole",
                                           "durability",    "when_alone",  "leave_out"};
constexpr uint64_t amount_max = std::numeric_limits<int64_t>::max();

Status check_format(const toml::table& table, const std::string& store) {
    auto format = table["format"].value_exact<int64_t>();
    if (!format || *format < 1 || !table.contains("id"))
        return Error{ErrorCode::foreign, quoted(store + "/volume.toml") + " was not written by Holdfast; choose another store directory"};
    if (*format > volume_format_version)
        return Error{ErrorCode::unsupported, quoted(store + "/volume.toml") + " has format " + std::to_string(*format) +
                                                 ", this program knows format 1; update Holdfast on this host"};
    return ok();
}

Status check_keys(const toml::table& table, const Fields& fields) {
    for (const auto& [key, value] : table) {
        if (std::find(std::begin(known_keys), std::end(known_keys), key.str()) == std::end(known_keys))
            return fields.wrong("the key " + quoted(key.str()) + " is unknown");
    }
    return ok();
}

// Role and places. A replica is told by its key; a description without it was written for a directory.
Status take_places(const toml::table& table, const Fields& fields, Volume& volume) {
    std::string role = to_string(VolumeRole::source);
    if (table.contains("role")) role = HF_TRY(fields.text("role"));
    if (role != to_string(VolumeRole::source) && role != to_string(VolumeRole::replica))
        return fields.wrong("the key \"role\" is " + quoted(role) + ", but must be source or replica");
    volume.role = role == to_string(VolumeRole::replica) ? VolumeRole::replica : VolumeRole::source;
    volume.journal_directory = volume.store + "/journal";
    if (!volume.is_replica()) {
        volume.directory = HF_TRY(fields.path("directory"));
        if (table.contains("journal_directory")) volume.journal_directory = HF_TRY(fields.path("journal_directory"));
        return ok();
    }
    if (table.contains("directory")) volume.directory = HF_TRY(fields.path("directory"));
    for (std::string_view key : {"journal_directory", "durability", "when_alone", "leave_out"}) {
        if (table.contains(key)) return fields.wrong("a replica has no key " + quoted(key) + ": its journal lies in the store, and no fsync belongs to it");
    }
    return ok();
}

Status take_durability(const toml::table& table, const Fields& fields, Durability& durability) {
    if (table.contains("durability")) {
        const auto mode = parse_durability_mode(HF_TRY(fields.text("durability")));
        if (!mode) return fields.wrong(mode.error().message);
        durability.mode = *mode;
    }
    if (table.contains("when_alone")) {
        const auto after_ns = parse_when_alone(HF_TRY(fields.text("when_alone")));
        if (!after_ns) return fields.wrong(after_ns.error().message);
        durability.degrade_after_ns = *after_ns;
    }
    return ok();
}

Result<LeftOut> left_out_of(const toml::table& table, const Fields& fields) {
    const toml::node* node = table.get("leave_out");
    if (!node) return LeftOut{};
    std::vector<std::string> paths;
    if (!node->is_array()) return fields.wrong("the key \"leave_out\" is no list of texts");
    for (const toml::node& item : *node->as_array()) {
        const auto path = item.value_exact<std::string>();
        if (!path) return fields.wrong("the key \"leave_out\" is no list of texts");
        paths.push_back(text_to_name(*path));
    }
    auto left_out = LeftOut::of(std::move(paths));
    if (!left_out) return fields.wrong(left_out.error().message);
    return left_out;
}

Result<Volume> volume_of(const toml::table& table, const Fields& fields, const std::string& store) {
    Volume volume;
    auto id = parse_volume_id(HF_TRY(fields.text("id")));
    if (!id) return fields.wrong(id.error().message);
    volume.id = *id;
    volume.store = store;
    HF_TRY(take_places(table, fields, volume));
    volume.origin = static_cast<uint32_t>(HF_TRY(fields.amount("origin", parse_bytes, 1, UINT32_MAX)));
    volume.segment_bytes = HF_TRY(fields.amount("segment_bytes", parse_bytes, HF_SEGMENT_BYTES_MIN, HF_SEGMENT_BYTES_MAX));
    if (!is_segment_size(volume.segment_bytes)) return fields.wrong("the key \"segment_bytes\" is not a power of two");
    volume.journal_bytes_max =
        HF_TRY(fields.amount("journal_bytes_max", parse_bytes, volume.segment_bytes * journal_segments_min, amount_max));
    auto policy = parse_full_policy(HF_TRY(fields.text("full_policy")));
    if (!policy) return fields.wrong(policy.error().message);
    volume.full_policy = *policy;
    HF_TRY(take_durability(table, fields, volume.durability));
    volume.left_out = HF_TRY(left_out_of(table, fields));
    volume.window_age_ns = HF_TRY(fields.amount("window_age_ns", parse_duration_ns, 0, amount_max));
    volume.window_bytes_max = HF_TRY(fields.amount("window_bytes_max", parse_bytes, 0, amount_max));
    return volume;
}

}  // namespace

std::string volume_to_text(const Volume& volume) {
    std::string text = "# What this store keeps the history of. Times are nanoseconds, sizes bytes; \"7d\" and \"50G\" are understood too.\n";
    auto add = [&text](std::string_view key, std::string value) { text.append(key).append(" = ").append(value).append("\n"); };
    add("format", std::to_string(volume_format_version));
    add("id", toml_quoted(to_string(volume.id)));
    if (volume.is_replica()) add("role", toml_quoted(to_string(volume.role)));
    if (!volume.directory.empty()) add("directory", toml_quoted(volume.directory));
    if (!volume.is_replica() && volume.journal_directory != volume.store + "/journal") add("journal_directory", toml_quoted(volume.journal_directory));
    add("origin", std::to_string(volume.origin));
    add("segment_bytes", std::to_string(volume.segment_bytes));
    add("journal_bytes_max", std::to_string(volume.journal_bytes_max));
    add("full_policy", toml_quoted(to_string(volume.full_policy)));
    if (volume.durability != Durability{}) {
        add("durability", toml_quoted(to_string(volume.durability.mode)));
        add("when_alone", toml_quoted(when_alone_text(volume.durability)));
    }
    if (!volume.left_out.empty()) {
        std::string list;
        for (const std::string& path : volume.left_out.paths()) list += (list.empty() ? "" : ", ") + toml_quoted(path);
        add("leave_out", "[" + list + "]");
    }
    add("window_age_ns", std::to_string(volume.window_age_ns));
    add("window_bytes_max", std::to_string(volume.window_bytes_max));
    return text;
}

Result<Volume> volume_from_text(std::string_view text, const std::string& store) {
    toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        std::string reason(parsed.error().description());
        return Error{ErrorCode::corrupt, quoted(store + "/volume.toml") + " cannot be read as TOML (line " +
                                             std::to_string(parsed.error().source().begin.line) + ": " + reason +
                                             "); correct that line by hand, the history beside it is not touched by that"};
    }
    HF_TRY(check_format(parsed.table(), store));
    Fields fields(parsed.table(), store);
    HF_TRY(check_keys(parsed.table(), fields));
    return volume_of(parsed.table(), fields, store);
}

}  // namespace holdfast::journal

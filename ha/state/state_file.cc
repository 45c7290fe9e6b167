#include "ha/state/state_file.h"

#include "base/small_file.h"
#include "base/text.h"
#include "ha/state/digest.h"

namespace holdfast::ha {

Status save_state(Disk& disk, std::string_view name, const Json& body) {
    const auto digest = digest_of_text(line_of(body));
    if (!digest) return Error{ErrorCode::io, "SHA-256 is not available in this process"};
    return replace_small_file(disk, name, line_of({{"body", body}, {"digest", *digest}}));
}

Result<std::optional<Json>> load_state(Disk& disk, std::string_view name) {
    auto text = read_small_file(disk, name, state_bytes_max);
    if (!text && text.error().code == ErrorCode::not_found) return std::optional<Json>();
    if (!text) return std::move(text).error();
    auto body = state_in(*text);
    if (!body) return std::move(body).error().within("the file " + quoted(name));
    return std::optional(std::move(*body));
}

Result<Json> state_in(std::string_view text) {
    const Error damaged{ErrorCode::corrupt, "it is damaged: what it says is not what was written"};
    // Bytes that say the same in another way are damage, too.
    const Json file = Json::parse(text, nullptr, false);
    if (!file.is_object() || line_of(file) != text || file.size() != 2 || !file.contains("body") || !file["body"].is_object() || !file.contains("digest")) return damaged;
    const auto digest = digest_of_text(line_of(file["body"]));
    if (!digest || !file["digest"].is_string() || file["digest"] != *digest) return damaged;
    return file["body"];
}

}  // namespace holdfast::ha

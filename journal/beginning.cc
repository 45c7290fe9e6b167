#include "journal/beginning.h"

#include "base/json.h"
#include "base/small_file.h"

namespace holdfast::journal {

namespace {

constexpr std::string_view beginning_file = "beginning";
constexpr size_t beginning_bytes_max = 1024;

Error damaged() {
    return {ErrorCode::corrupt, "the file `beginning` of the journal is damaged; it says what the hash chain is where the journal begins. Remove it and the journal's "
                                "segments, and the replica is compared with its source"};
}

}  // namespace

Result<std::optional<Beginning>> load_beginning(Disk& journal) {
    auto text = read_small_file(journal, beginning_file, beginning_bytes_max);
    if (!text && text.error().code == ErrorCode::not_found) return std::optional<Beginning>();
    if (!text && text.error().code == ErrorCode::corrupt) return damaged();
    const Json json = Json::parse(HF_TRY(std::move(text)), nullptr, false);
    const auto lsn = number_at(json, "lsn"), equal_at = number_at(json, "equal_at");
    if (!lsn || !equal_at || *equal_at < *lsn || !json.contains("chain") || !json["chain"].is_string()) return damaged();
    const auto chain = parse_chain(json["chain"].get<std::string>());
    if (!chain) return damaged();
    return std::optional(Beginning{.lsn = *lsn, .chain = *chain, .equal_at = *equal_at});
}

Status save_beginning(Disk& journal, const Beginning& beginning) {
    const Json json = {{"lsn", beginning.lsn}, {"chain", to_text(beginning.chain)}, {"equal_at", beginning.equal_at}};
    return replace_small_file(journal, beginning_file, json.dump() + "\n");
}

Status remove_beginning(Disk& journal) {
    return remove_small_file(journal, beginning_file);
}

}  // namespace holdfast::journal

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
    try {
        Beginning beginning{.lsn = json.at("lsn").get<Lsn>(), .equal_at = json.at("equal_at").get<Lsn>()};
        const auto chain = parse_chain(json.at("chain").get<std::string>());
        if (!chain || beginning.equal_at < beginning.lsn) return damaged();
        beginning.chain = *chain;
        return std::optional(beginning);
    } catch (const Json::exception&) {
        return damaged();
    }
}

Status save_beginning(Disk& journal, const Beginning& beginning) {
    const Json json = {{"lsn", beginning.lsn}, {"chain", to_text(beginning.chain)}, {"equal_at", beginning.equal_at}};
    return replace_small_file(journal, beginning_file, json.dump() + "\n");
}

Status remove_beginning(Disk& journal) {
    return remove_small_file(journal, beginning_file);
}

}  // namespace holdfast::journal

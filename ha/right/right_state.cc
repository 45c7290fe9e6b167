#include "ha/right/right_state.h"

#include "ha/state/state_file.h"

namespace holdfast::ha {

namespace {

constexpr uint64_t format = 1;

Error damaged(const std::string& what) {
    return {ErrorCode::corrupt, "what this host has promised about the right to write cannot be read (" + what + "); it does not vote until that is settled by hand, or another host might write beside it"};
}

Json to_json(const Term& term) {
    return {{"number", term.number}, {"holder", term.holder}};
}

Result<std::string> text_in(const Json& json, const char* key) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_string()) return damaged("`" + std::string(key) + "` is no text");
    return found->get<std::string>();
}

Result<Term> term_in(const Json& json, const char* key) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_object()) return damaged("`" + std::string(key) + "` is missing");
    const auto number = number_at(*found, "number");
    std::string holder = HF_TRY(text_in(*found, "holder"));
    if (!number || *number > term_number_max || holder.size() > term_holder_bytes_max) return damaged("`" + std::string(key) + "` is no term");
    return Term{*number, std::move(holder)};
}

}  // namespace

Json to_json(const RightState& state) {
    return {{"format", format}, {"promised", to_json(state.promise.term)}, {"others", state.promise.others}, {"promised_in", state.promised_in}, {"held", to_json(state.held)}, {"held_in", state.held_in}};
}

Result<RightState> right_state_of(const Json& json) {
    if (number_at(json, "format") != format) return damaged("it is of another format");
    const auto others = number_at(json, "others");
    if (!others || *others > term_number_max) return damaged("`others` is no number of a term");
    RightState state;
    state.promise.term = HF_TRY(term_in(json, "promised"));
    state.promise.others = *others;
    state.promised_in = HF_TRY(text_in(json, "promised_in"));
    state.held = HF_TRY(term_in(json, "held"));
    state.held_in = HF_TRY(text_in(json, "held_in"));
    return state;
}

Result<RightState> load_right_state(Disk& disk, std::string_view name) {
    auto body = load_state(disk, name);
    if (!body && body.error().code == ErrorCode::corrupt) return damaged(body.error().message);
    if (!body) return std::move(body).error();
    return *body ? right_state_of(**body) : RightState();
}

Status save_right_state(Disk& disk, std::string_view name, const RightState& state) {
    return save_state(disk, name, to_json(state));
}

}  // namespace holdfast::ha

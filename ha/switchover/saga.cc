#include "ha/switchover/saga.h"

#include <algorithm>

#include "base/check.h"
#include "base/text.h"

namespace holdfast::ha {

namespace {

using Undo = StepRule::Undo;

constexpr std::string_view verdict_names[] = {"done", "failed", "timed-out", "theirs"};

size_t position_of(Procedure procedure, Step step) {
    const auto rules = rules_of(procedure);
    const auto found = std::find_if(rules.begin(), rules.end(), [&](const StepRule& rule) { return rule.step == step; });
    HF_CHECK(found != rules.end());
    return static_cast<size_t>(found - rules.begin());
}

}  // namespace

Saga Saga::begin(Procedure procedure, std::string id, std::optional<Step> from) {
    Saga saga;
    saga.id_ = std::move(id);
    saga.procedure_ = procedure;
    saga.first_ = saga.position_ = from ? position_of(procedure, *from) : 0;
    saga.was_begun_.resize(rules_of(procedure).size());
    saga.was_begun_[saga.position_] = true;
    return saga;
}

const StepRule& Saga::rule() const {
    return rules_of(procedure_)[position_];
}

std::optional<Saga::Command> Saga::command() const {
    if (outcome_) return std::nullopt;
    const bool has_limit = !(is_taking_back_ && rule().undo == Undo::until_done);
    return Command{rule().step, is_taking_back_, has_limit ? rule().limit_ns : 0};
}

void Saga::was_restarted() {
    if (outcome_) return;
    const bool has_limit = command()->limit_ns != 0;
    if (++attempts_ > attempts_max && has_limit) done(Verdict::failed, "the engine was started anew " + std::to_string(attempts_max) + " times while this was done");
}

void Saga::done(Verdict verdict, std::string sentence) {
    HF_CHECK(!outcome_);
    note(verdict, std::move(sentence));
    attempts_ = 1;
    if (verdict == Verdict::theirs) {
        outcome_ = Outcome::handed_over;
        return;
    }
    if (!is_taking_back_) return follow(verdict == Verdict::done ? rule().on_success : rule().on_failure);
    if (verdict == Verdict::done) return take_back_before(position_);
    switch (rule().undo) {
        case Undo::until_done: return;
        case Undo::may_fail:
            lacks_something_ = true;
            return take_back_before(position_);
        case Undo::must:
        case Undo::nothing: outcome_ = Outcome::needs_operator;
    }
}

void Saga::follow(const Follow& follow) {
    if (follow.outcome) {
        outcome_ = follow.outcome;
    } else if (follow.step) {
        position_ = position_of(procedure_, *follow.step);
        was_begun_[position_] = true;
    } else {
        is_taking_back_ = true;
        take_back_before(position_ + 1);
    }
}

// The last step below POSITION that was begun and can be taken back is next.
void Saga::take_back_before(size_t position) {
    while (position-- > first_) {
        if (!was_begun_[position] || rules_of(procedure_)[position].undo == Undo::nothing) continue;
        position_ = position;
        return;
    }
    // After a rescue that came to nothing nobody serves.
    outcome_ = lacks_something_ || procedure_ == Procedure::rescue ? Outcome::needs_operator : Outcome::restored;
}

void Saga::note(Verdict verdict, std::string sentence) {
    sentence.resize(std::min(sentence.size(), verdict_text_bytes_max));
    Entry entry{rule().step, is_taking_back_, verdict, std::move(sentence)};
    const bool is_repeated = !entries_.empty() && entries_.back().step == entry.step && entries_.back().took_back == entry.took_back;
    if (is_repeated) entries_.back() = std::move(entry);
    else if (entries_.size() < verdicts_max) entries_.push_back(std::move(entry));
}

Json Saga::state() const {
    Json entries = Json::array();
    for (const Entry& entry : entries_)
        entries.push_back({{"step", name_of(entry.step)}, {"took_back", entry.took_back}, {"verdict", verdict_names[static_cast<size_t>(entry.verdict)]}, {"sentence", entry.sentence}});
    Json state{{"id", id_}, {"procedure", name_of(procedure_)}, {"first", name_of(rules_of(procedure_)[first_].step)}, {"step", name_of(rule().step)}, {"takes_back", is_taking_back_},
               {"lacks_something", lacks_something_}, {"attempts", attempts_}, {"begun", was_begun_}, {"entries", std::move(entries)}};
    if (outcome_) state["outcome"] = name_of(*outcome_);
    return state;
}

namespace {

Error senseless(const std::string& what) {
    return {ErrorCode::corrupt, "the state of a switchover makes no sense: " + what};
}

Result<std::string> text_in(const Json& state, const char* key) {
    const auto found = state.find(key);
    if (found == state.end() || !found->is_string()) return senseless("`" + std::string(key) + "` is no text");
    return found->get<std::string>();
}

Result<bool> flag_in(const Json& state, const char* key) {
    const auto found = state.find(key);
    if (found == state.end() || !found->is_boolean()) return senseless("`" + std::string(key) + "` is neither true nor false");
    return found->get<bool>();
}

Result<size_t> step_in(const Json& state, const char* key, Procedure procedure) {
    const std::string name = HF_TRY(text_in(state, key));
    const auto rules = rules_of(procedure);
    const auto found = std::find_if(rules.begin(), rules.end(), [&](const StepRule& rule) { return name_of(rule.step) == name; });
    if (found == rules.end()) return senseless(quoted(name) + " is no step of " + std::string(name_of(procedure)));
    return static_cast<size_t>(found - rules.begin());
}

Result<std::vector<bool>> begun_in(const Json& state, size_t count) {
    const auto found = state.find("begun");
    if (found == state.end() || !found->is_array() || found->size() != count) return senseless("`begun` is no list of the procedure's steps");
    std::vector<bool> begun;
    for (const Json& entry : *found) {
        if (!entry.is_boolean()) return senseless("`begun` is no list of true and false");
        begun.push_back(entry.get<bool>());
    }
    return begun;
}

Result<Saga::Entry> entry_of(const Json& json) {
    if (!json.is_object()) return senseless("an entry is no object");
    const auto step = parse_step(HF_TRY(text_in(json, "step")));
    const std::string verdict = HF_TRY(text_in(json, "verdict"));
    const auto found = std::find(std::begin(verdict_names), std::end(verdict_names), verdict);
    if (!step || found == std::end(verdict_names)) return senseless("an entry with an unknown step or verdict");
    const bool took_back = HF_TRY(flag_in(json, "took_back"));
    std::string sentence = HF_TRY(text_in(json, "sentence"));
    return Saga::Entry{*step, took_back, static_cast<Verdict>(found - std::begin(verdict_names)), std::move(sentence)};
}

}  // namespace

Result<Saga> Saga::load(const Json& state) {
    if (!state.is_object()) return senseless("it is no object");
    Saga saga;
    saga.id_ = HF_TRY(text_in(state, "id"));
    const auto procedure = parse_procedure(HF_TRY(text_in(state, "procedure")));
    if (!procedure) return senseless("its procedure is unknown");
    saga.procedure_ = *procedure;
    saga.first_ = HF_TRY(step_in(state, "first", *procedure));
    saga.position_ = HF_TRY(step_in(state, "step", *procedure));
    saga.is_taking_back_ = HF_TRY(flag_in(state, "takes_back"));
    saga.lacks_something_ = HF_TRY(flag_in(state, "lacks_something"));
    saga.was_begun_ = HF_TRY(begun_in(state, rules_of(*procedure).size()));
    const auto attempts = state.find("attempts");
    if (attempts == state.end() || !attempts->is_number_unsigned()) return senseless("`attempts` is no number");
    saga.attempts_ = static_cast<uint32_t>(std::min<uint64_t>(attempts->get<uint64_t>(), attempts_max));
    const auto entries = state.find("entries");
    if (entries == state.end() || !entries->is_array() || entries->size() > verdicts_max) return senseless("`entries` is no list");
    for (const Json& entry : *entries) saga.entries_.push_back(HF_TRY(entry_of(entry)));
    if (!saga.was_begun_[saga.position_]) return senseless("it is at a step that was not begun");
    if (!state.contains("outcome")) return saga;
    saga.outcome_ = parse_outcome(HF_TRY(text_in(state, "outcome")));
    if (!saga.outcome_) return senseless("its outcome is unknown");
    return saga;
}

}  // namespace holdfast::ha

#include "fusefs/recovery_evidence.h"

#include <algorithm>

#include "base/clock.h"
#include "base/log.h"
#include "base/small_file.h"
#include "base/text.h"
#include "fusefs/settle.h"

namespace holdfast::fusefs {
namespace {

using journal::Action;

constexpr size_t mark_bytes_max = 64;

// In the order of distrust; refuse stands apart and is never merged.
constexpr struct { Action action; const char* name; } actions[] = {
    {Action::resume, "resume"},
    {Action::settle_in_flight, "settle_in_flight"},
    {Action::start_fresh, "start_fresh"},
    {Action::compare_suspects, "compare_suspects"},
    {Action::compare_everything, "compare_everything"},
    {Action::refuse, "refuse"},
};

size_t rank(Action action) {
    return static_cast<size_t>(std::find_if(std::begin(actions), std::end(actions), [&](const auto& row) { return row.action == action; }) -
                               std::begin(actions));
}

}  // namespace

const char* to_string(Action action) { return actions[rank(action)].name; }

Result<Action> parse_action(std::string_view text) {
    for (const auto& row : actions)
        if (row.name == text) return row.action;
    return Error{ErrorCode::invalid_argument, quoted(text) + " is not an action of recovery"};
}

bool needs_comparison(Action action) { return action == Action::compare_suspects || action == Action::compare_everything; }

Action stronger(Action a, Action b) { return rank(a) < rank(b) ? b : a; }

Result<std::optional<Action>> pending_comparison(Disk& store) {
    auto text = read_small_file(store, comparison_pending_name, mark_bytes_max);
    if (!text && text.error().code == ErrorCode::not_found) return std::optional<Action>();
    if (!text && text.error().code != ErrorCode::corrupt) return std::move(text).error();
    if (text) {
        auto action = parse_action(*text);
        if (action && needs_comparison(*action)) return std::optional(*action);
    }
    return std::optional(Action::compare_everything);
}

Status mark_comparison_pending(Disk& store, Action action) {
    return replace_small_file(store, comparison_pending_name, to_string(action));
}

Status comparison_done(Disk& store) {
    auto removed = store.remove(comparison_pending_name);
    if (!removed && removed.error().code != ErrorCode::not_found) return removed;
    return store.sync_directory();
}

Result<RecoveredJournal> recover_journal(const journal::Volume& volume, Disk& store, Disk& journal, Disk& cursors,
                                         journal::InflightTable& table, int backing_fd) {
    const uint64_t started_ns = system_clock().monotonic_ns();
    const journal::SurveyHints hints = HF_TRY(journal::survey_hints(cursors, volume.id, table));
    const journal::Survey survey = HF_TRY(journal::survey(journal, volume.id, volume.segment_bytes, hints));
    const bool survived = table.survived();
    const journal::Decision decision = journal::decide(survey, survived, table.head().clean.load() == 1);
    if (decision.action == Action::refuse)
        return Error{ErrorCode::corrupt, "the journal in " + quoted(volume.journal_directory) + " is left as it is: " + decision.sentence};
    Action action = decision.action;
    if (auto owed = HF_TRY(pending_comparison(store))) action = stronger(action, *owed);
    if (needs_comparison(action)) HF_TRY(mark_comparison_pending(store, action));

    Json doubts = Json::array();
    const auto doubt = [&](const std::string& sentence) -> Status {
        doubts.push_back(sentence);
        if (action == Action::compare_everything) return ok();
        action = Action::compare_everything;
        return mark_comparison_pending(store, action);
    };
    const auto knows_birth = [&](const journal::ObjectId& object, journal::Lsn below) {
        return journal_knows_birth(journal, volume.segment_bytes, object, below);
    };
    Settler settler = HF_TRY(Settler::prepare(backing_fd, volume.origin, knows_birth, doubt));
    const journal::Settle settle = [&](journal::Slot& slot, const journal::Record& head) { return settler.settle(slot, head); };
    const journal::RepairReport report = HF_TRY(journal::repair(journal, volume.id, volume.segment_bytes, survey, table, settle, hints));

    RecoveredJournal recovered{action, report.stream_end, {}};
    recovered.evidence = {{"action", to_string(action)},
                          {"case", decision.name},
                          {"decision", decision.sentence},
                          {"survey", survey.sentence},
                          {"records", survey.records},
                          {"first_segment", survey.first_segment},
                          {"last_segment", survey.last_segment},
                          {"table_survived", survived},
                          {"settled_done", report.settled_done},
                          {"settled_void", report.settled_void},
                          {"holes_filled", report.holes_filled},
                          {"end", report.end},
                          {"doubts", std::move(doubts)},
                          {"microseconds", (system_clock().monotonic_ns() - started_ns) / 1000}};
    if (report.dropped_from != journal::lsn_max) recovered.evidence["dropped_from"] = report.dropped_from;
    return recovered;
}

Status save_evidence(Disk& store, Json evidence) {
    evidence["time"] = iso8601_utc(system_clock().realtime_ns());
    const std::string line = evidence.dump(-1, ' ', false, Json::error_handler_t::replace);
    log_info("recovery: " + line);
    return replace_small_file(store, last_recovery_name, line + "\n");
}

}  // namespace holdfast::fusefs

#include "ha/switchover/procedures.h"

#include <algorithm>
#include <iterator>

namespace holdfast::ha {

namespace {

using Undo = StepRule::Undo;

constexpr uint64_t seconds = 1'000'000'000;
constexpr Follow take_back{};
constexpr Follow then(Step step) { return {std::nullopt, step}; }
constexpr Follow ends(Outcome outcome) { return {outcome, std::nullopt}; }

// The right is asked for again until somebody says whose it is: giving up would leave nobody serving.
constexpr StepRule give_rules[] = {
    {Step::check_synchronized, 10 * seconds, then(Step::stop_application), ends(Outcome::aborted), Undo::nothing},
    {Step::stop_application, 120 * seconds, then(Step::reach_barrier), take_back, Undo::may_fail},
    {Step::reach_barrier, 300 * seconds, then(Step::release_network), take_back, Undo::nothing},
    {Step::release_network, 30 * seconds, then(Step::hand_over), take_back, Undo::may_fail},
    {Step::hand_over, 600 * seconds, ends(Outcome::switched), take_back, Undo::until_done},
};

// What is recorded must have ended before the right is given back, or two hosts might write. An address that cannot be removed does not keep the master from serving.
constexpr StepRule claim_right{Step::claim_right, 60 * seconds, then(Step::acquire_network), take_back, Undo::must};
constexpr StepRule acquire_network{Step::acquire_network, 30 * seconds, then(Step::begin_backward), take_back, Undo::may_fail};
constexpr StepRule begin_backward{Step::begin_backward, 60 * seconds, then(Step::start_application), take_back, Undo::must};
constexpr StepRule start_application{Step::start_application, 120 * seconds, ends(Outcome::switched), ends(Outcome::needs_operator), Undo::nothing};

constexpr StepRule take_rules[] = {claim_right, acquire_network, begin_backward, start_application};

constexpr StepRule rescue_rules[] = {
    {Step::contact_master, 10 * seconds, then(Step::cure_master), then(Step::weigh_loss), Undo::nothing},
    {Step::cure_master, 120 * seconds, ends(Outcome::cured), then(Step::ask_master), Undo::nothing},
    {Step::ask_master, 600 * seconds, then(Step::claim_right), then(Step::weigh_loss), Undo::nothing},
    {Step::weigh_loss, 10 * seconds, then(Step::fence_master), ends(Outcome::declined), Undo::nothing},
    // Without a fence the right may still be had: the witness knows when the master's has run out.
    {Step::fence_master, 60 * seconds, then(Step::claim_right), then(Step::claim_right), Undo::nothing},
    claim_right, acquire_network, begin_backward, start_application,
};

struct StepName { Step value; std::string_view name; };
constexpr StepName step_names[] = {
    {Step::check_synchronized, "check-synchronized"}, {Step::stop_application, "stop-application"}, {Step::reach_barrier, "reach-barrier"},
    {Step::release_network, "release-network"},       {Step::hand_over, "hand-over"},               {Step::contact_master, "contact-master"},
    {Step::cure_master, "cure-master"},               {Step::ask_master, "ask-master"},             {Step::weigh_loss, "weigh-loss"},
    {Step::fence_master, "fence-master"},             {Step::claim_right, "claim-right"},           {Step::acquire_network, "acquire-network"},
    {Step::begin_backward, "begin-backward"},         {Step::start_application, "start-application"},
};
struct ProcedureName { Procedure value; std::string_view name; };
constexpr ProcedureName procedure_names[] = {{Procedure::give, "give"}, {Procedure::take, "take"}, {Procedure::rescue, "rescue"}};
struct OutcomeName { Outcome value; std::string_view name; };
constexpr OutcomeName outcome_names[] = {
    {Outcome::switched, "switched"}, {Outcome::aborted, "aborted"},         {Outcome::restored, "restored"},             {Outcome::cured, "cured"},
    {Outcome::declined, "declined"}, {Outcome::handed_over, "handed-over"}, {Outcome::needs_operator, "needs-operator"},
};

template <typename Names, typename Value>
std::string_view find_name(const Names& names, Value value) {
    const auto found = std::find_if(std::begin(names), std::end(names), [&](const auto& entry) { return entry.value == value; });
    return found == std::end(names) ? "?" : found->name;
}

template <typename Value, typename Names>
std::optional<Value> find_value(const Names& names, std::string_view name) {
    const auto found = std::find_if(std::begin(names), std::end(names), [&](const auto& entry) { return entry.name == name; });
    return found == std::end(names) ? std::nullopt : std::optional<Value>(found->value);
}

}  // namespace

std::span<const StepRule> rules_of(Procedure procedure) {
    switch (procedure) {
        case Procedure::give: return give_rules;
        case Procedure::take: return take_rules;
        case Procedure::rescue: return rescue_rules;
    }
    return {};
}

std::string_view name_of(Step step) { return find_name(step_names, step); }
std::string_view name_of(Procedure procedure) { return find_name(procedure_names, procedure); }
std::string_view name_of(Outcome outcome) { return find_name(outcome_names, outcome); }
std::optional<Step> parse_step(std::string_view name) { return find_value<Step>(step_names, name); }
std::optional<Procedure> parse_procedure(std::string_view name) { return find_value<Procedure>(procedure_names, name); }
std::optional<Outcome> parse_outcome(std::string_view name) { return find_value<Outcome>(outcome_names, name); }

}  // namespace holdfast::ha

// The procedures by which service moves from one host to the other, as tables: which step follows which, how long it may take, and what takes it back.
//
//     give     on the master, by hand: it stops serving and hands over                      clean steps 1 to 4 (S-34 to S-38)
//     take     on the replica, asked by the master's hand_over                               clean steps 5 to 7 (S-39 to S-41)
//     rescue   on the replica, when the master is lost: cure it, have it give, or take over  emergency steps (S-44 to S-48)
//
// Whoever has the right to write drives: the master until hand_over, the replica from claim_right on. Both hosts have the same tables, and a switch back is a
// switchover with the names exchanged (S-33).
//
// Thread rule: constants.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace holdfast::ha {

enum class Step : uint8_t {
    check_synchronized,  // 1: no comparison or first copy is under way, and the replica follows
    stop_application,    // 2: it is stopped, or access to it is taken away, and no writer remains
    reach_barrier,       // 3: the replica has applied everything, and its digest equals
    release_network,     // 4: address, name or share are given up, and really gone
    hand_over,           //    the right to write is given back, the replica is asked to take; until it has taken, or says that it has not
    contact_master,      //    emergency 1: does its engine answer, on any path? One that is in a switchover of its own is left alone
    cure_master,         //    emergency 2a: its engine restarts the application, which then answers
    ask_master,          //    emergency 2b: its engine gives, without the check
    weigh_loss,          //    what a takeover would lose is within the policy, or somebody has approved it
    fence_master,        //    it is switched off, where there is something that does it
    claim_right,         //    the right to write is this host's
    acquire_network,     // 5
    begin_backward,      // 6: the directory is mounted and recorded, before anybody writes
    start_application,   // 7: it runs, and its own check passes
};
std::string_view name_of(Step step);
std::optional<Step> parse_step(std::string_view name);

enum class Procedure : uint8_t { give, take, rescue };
std::string_view name_of(Procedure procedure);
std::optional<Procedure> parse_procedure(std::string_view name);

// How a procedure ends.
enum class Outcome : uint8_t {
    switched,        // the replica serves
    aborted,         // nothing was changed
    restored,        // everything was taken back: what served before serves
    cured,           // the master serves again
    declined,        // a takeover would lose more than the policy allows; somebody must approve it
    handed_over,     // the other host has, or may have had, the right to write: it answers for what is to be done
    needs_operator,  // a step could not be taken back, or the application does not start: the verdicts say where everything stands
};
std::string_view name_of(Outcome outcome);
std::optional<Outcome> parse_outcome(std::string_view name);

// What follows a step. Where `outcome` is set the procedure ends with it, `step` is what is done next, and neither is to take back what was done.
struct Follow {
    std::optional<Outcome> outcome;
    std::optional<Step> step;
};

struct StepRule {
    Step step;
    uint64_t limit_ns;       // by default
    Follow on_success, on_failure;
    // What takes it back. A step that failed is taken back like one that succeeded, because it may have been done in part.
    enum class Undo : uint8_t { nothing, must, may_fail, until_done } undo;
};

// In the order in which they are done, and taken back from the end.
std::span<const StepRule> rules_of(Procedure procedure);

}  // namespace holdfast::ha

// One run of a procedure: what is to be done now, what it led to, and in the end the outcome. A pure state machine, which somebody else performs and keeps.
//
//     running step after step ──a step fails──> taking back, from that step to the first ──> finished
//            └──the table says so──> finished
//
// How it survives the death of its engine. state() is made durable after every change, before the next command is begun. So an engine that is started anew finds the command
// that was under way, and performs it once more: every step, and what takes it back, leads to the same end when it is done again or was done in part. A command
// that an engine died in attempts_max times has failed.
//
// A host that finds that the right to write is the other's stops where it is (Verdict::theirs): the other one took over, and answers for everything.
//
// What taking back can come to (StepRule::Undo): `must`: where it fails everything stays as it is, and a person is needed; `may_fail`: the rest is taken back all the
// same, and a person is needed; `until_done`: it is tried until it succeeds, or the right is found to be the other's.
//
// Thread rule: one thread. Limits: verdicts_max; of a command that is repeated the last one is kept.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "ha/switchover/procedures.h"

namespace holdfast::ha {

inline constexpr uint32_t attempts_max = 3;
inline constexpr size_t verdicts_max = 64;
inline constexpr size_t verdict_text_bytes_max = 4096;

enum class Verdict : uint8_t {
    done,
    failed,
    timed_out,
    theirs,  // the other host has the right to write, or may have had it: nothing more is this host's to do or to take back
};

class Saga {
public:
    // FROM: the first step; by default that of the table.
    static Saga begin(Procedure procedure, std::string id, std::optional<Step> from = {});
    // STATE as state() gave it. Errors: corrupt, with what makes no sense.
    static Result<Saga> load(const Json& state);
    Json state() const;

    struct Command {
        Step step;
        bool takes_back;
        uint64_t limit_ns;  // 0: none
    };
    // Nothing: it is finished.
    std::optional<Command> command() const;
    // A new engine performs the command that another one died in.
    void was_restarted();
    // What the command led to, in a sentence for a person. REQUIRES: it is not finished.
    void done(Verdict verdict, std::string sentence);

    std::optional<Outcome> outcome() const { return outcome_; }
    const std::string& id() const { return id_; }
    Procedure procedure() const { return procedure_; }

    struct Entry {
        Step step;
        bool took_back;
        Verdict verdict;
        std::string sentence;
    };
    const std::vector<Entry>& entries() const { return entries_; }

private:
    Saga() = default;
    const StepRule& rule() const;
    void note(Verdict verdict, std::string sentence);
    void follow(const Follow& follow);
    void take_back_before(size_t position);

    std::string id_;
    Procedure procedure_ = Procedure::give;
    size_t position_ = 0;  // in the table
    size_t first_ = 0;     // where it began
    bool is_taking_back_ = false;
    bool lacks_something_ = false;  // something could not be taken back
    uint32_t attempts_ = 1;         // at the command
    std::optional<Outcome> outcome_;
    std::vector<bool> was_begun_;   // by position
    std::vector<Entry> entries_;
};

}  // namespace holdfast::ha

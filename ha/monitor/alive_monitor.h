// Judges the other host from the rounds of questions that it was asked.
//
// Any answer that fails fails its round. The host is lost when no round was good for the whole timeout, which the last good one began. Time during which
// nobody looked is no evidence: after a pause of more than two intervals (this machine slept, its engine was restarted) the timeout begins anew as well.
//
// Whoever runs it asks what is_due(), and tells each answer; what is not answered in time counts as failed. While it is suspended nothing is asked and
// nothing is concluded; that ends by itself.
//
// Thread rule: one thread, a pure state machine; times are of a clock that never goes back. Limits: one round at a time.
#pragma once

#include <optional>
#include <string>

#include "ha/monitor/alive_rules.h"

namespace holdfast::ha {

class AliveMonitor {
public:
    explicit AliveMonitor(AliveRules rules) : rules_(rules) {}

    // A round is to begin: the caller asks every level that the rules name, after begin_round(). False while it is suspended or a round is under way.
    bool is_due(uint64_t now_ns);
    // By which answers of it are known.
    uint64_t begin_round(uint64_t now_ns);
    // WHY says what was found, good or bad.
    void take(uint64_t round, AliveLevel level, bool is_alive, std::string why, uint64_t now_ns);
    // Ends a round whose time is up. When to call again at the latest: wake_ns().
    void tick(uint64_t now_ns);
    uint64_t wake_ns() const;

    void suspend(uint64_t until_ns) { suspended_until_ns_ = until_ns; }
    void resume(uint64_t now_ns);
    bool is_suspended(uint64_t now_ns) const { return now_ns < suspended_until_ns_; }

    enum class Verdict { unknown, alive, failing, lost };
    struct State {
        Verdict verdict = Verdict::unknown;
        uint64_t rounds = 0, failed_rounds = 0;   // of the latter those in a row until now
        uint64_t failing_since_ns = 0;            // when the last good round began, or the first failed one where none was good; 0: it does not fail
        std::string why;                          // what failed last, or was found last
    };
    const State& state() const { return state_; }

private:
    struct Round {
        uint64_t id = 0, began_ns = 0;
        std::array<std::optional<bool>, alive_levels.size()> answers;
        std::string failure, found;
    };
    bool has_answers(const Round& round) const;
    void conclude(uint64_t now_ns);
    void begin_anew();

    const AliveRules rules_;
    State state_;
    std::optional<Round> round_;
    uint64_t last_id_ = 0;
    uint64_t last_began_ns_ = 0;  // of the newest round; 0: none yet
    uint64_t last_good_ns_ = 0;   // when the last good round began; 0: none since nobody looked
    uint64_t suspended_until_ns_ = 0;
    bool was_suspended_ = false;
};
const char* to_string(AliveMonitor::Verdict verdict);

}  // namespace holdfast::ha

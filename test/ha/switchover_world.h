// Two hosts, a witness and the link between them, as far as a switchover can tell: an application that runs or not, an address, a directory that is mounted and
// writable or not, the right to write, and what clients have been told is safe. Steps have their effects here, and whatever is to fail fails.
// Thread rule: one thread. Time goes by in ticks of a second.
#pragma once

#include <array>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ha/right/claimant.h"
#include "ha/right/voter.h"
#include "ha/switchover/saga.h"

namespace holdfast::test {

enum class FaultKind {
    fails_before, fails_after, times_out,                 // the verdict, without and with the effect
    engine_dies_before, engine_dies_after,                // and is started again
    engine_dies_always,                                   // whenever it performs this
    machine_dies_before, machine_dies_after, machine_is_gone,
    link_is_cut, host_is_cut_off,                         // for a while, after the effect
    link_stays_cut,
};
inline constexpr int fault_kinds = 12;

struct Fault {
    size_t host;
    ha::Step step;
    bool takes_back;
    FaultKind kind;
};
std::string describe(const Fault& fault);

class SwitchoverWorld {
public:
    SwitchoverWorld(bool has_witness, size_t master, std::vector<Fault> faults, uint64_t seed);

    void begin_give() { begin(master_, ha::Procedure::give, "by-hand"); }
    void break_application() { hosts_[master_].is_broken = true, hosts_[master_].app = false; }
    void lose_machine() { kill_machine(master_, true); }
    void isolate(int ticks) { hosts_[master_].cut_off_until = now_ + ticks; }
    void run(int ticks);

    // Set when something happened that must never happen.
    const std::string& violation() const { return violation_; }
    size_t serving() const;  // how many hosts serve
    bool serves(size_t host) const;
    bool wants_operator() const { return wants_operator_; }
    bool is_gone(size_t host) const { return hosts_[host].is_gone; }
    bool has_unfinished() const;
    std::optional<ha::Outcome> last_outcome(size_t host) const { return hosts_[host].last_outcome; }
    // Writes that clients were told of, and how many of them whoever serves has.
    uint64_t acknowledged() const { return acknowledged_; }
    uint64_t has(size_t host) const { return hosts_[host].data; }
    // A takeover may lose what was written since the last barrier; a handover may not.
    bool was_taken_over() const { return was_taken_over_; }
    std::string story() const;

private:
    struct Host {
        bool engine = true, is_gone = false;
        int engine_back = 0, machine_back = 0;  // the tick of its return
        int cut_off_until = 0;
        // on its disk
        ha::Promise promise;
        ha::Term held;
        uint64_t boot = 1, promised_boot = 0, held_boot = 0;
        std::optional<std::string> saga_on_disk;
        uint64_t data = 0;
        // in its engine
        std::optional<ha::Voter> voter;
        std::optional<ha::Claimant> claimant;
        std::optional<ha::Saga> saga;
        int command_began = 0;
        // outside of it
        bool app = false, address = false, mounted = false, is_broken = false;
        uint64_t acts_until_ns = 0;
        int quiet_since = -1;
        std::optional<ha::Outcome> last_outcome;
        int rescue_not_before = 0;
    };
    struct Performed {
        std::optional<ha::Verdict> verdict;  // nothing: it is still under way
        std::string why;
    };

    static std::string name(size_t host) { return host == 0 ? "alpha" : "beta"; }
    uint64_t now_ns() const { return static_cast<uint64_t>(now_ + 1000) * 1'000'000'000; }
    bool reaches(size_t host, size_t other) const;
    bool reaches_witness(size_t host) const;
    bool is_valid(size_t host) const { return hosts_[host].claimant && hosts_[host].claimant->is_valid(now_ns()); }
    bool may_write(size_t host) const { return hosts_[host].mounted && (is_valid(host) || now_ns() < hosts_[host].acts_until_ns); }

    void start_engine(size_t host, bool booted);
    void kill_engine(size_t host);
    void kill_machine(size_t host, bool for_ever);
    void begin(size_t host, ha::Procedure procedure, const std::string& id, std::optional<ha::Step> from = {});
    void keep(size_t host);
    void note_outcome(size_t host);
    void send(size_t host, const std::vector<ha::Claimant::Ask>& asks);
    void keep_right(size_t host);
    void give_right_back(size_t host);
    void claim(size_t host);

    void tick();
    void act(size_t host);
    void perform_command(size_t host);
    void look_after(size_t host);
    void watch(size_t host);
    Performed perform(size_t host, ha::Step step);
    Performed take_back(size_t host, ha::Step step);
    Performed hand_over(size_t host);
    Performed reclaim(size_t host);
    Performed claim_right(size_t host);
    bool has_another_switchover(size_t host) const;
    std::optional<Performed> lost_right(size_t host) const;
    std::optional<ha::Outcome> ask_to_take(size_t host, const std::string& id, bool begins_it);
    // True: the fault ended the engine.
    bool fault_before(size_t host, const ha::Saga::Command& command);
    bool fault_after(size_t host, const ha::Saga::Command& command, Performed& performed);
    std::optional<FaultKind> fault_at(size_t host, const ha::Saga::Command& command, bool before);
    void check();
    void tell(const std::string& what);

    const ha::RightRules rules_;
    const size_t voters_;
    const size_t master_;
    std::vector<Fault> faults_;
    std::mt19937_64 random_;
    std::array<Host, 2> hosts_;
    std::optional<ha::Voter> witness_;
    int now_ = 0;
    int link_back_ = 0;
    std::set<std::string> refused_;  // takes that were called off before they began
    uint64_t acknowledged_ = 0, next_id_ = 1;
    bool wants_operator_ = false, was_taken_over_ = false;
    std::string violation_;
    std::vector<std::string> story_;
};

}  // namespace holdfast::test

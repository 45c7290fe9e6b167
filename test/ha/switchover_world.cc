#include "test/ha/switchover_world.h"

#include <algorithm>

namespace holdfast::test {

using ha::Outcome;
using ha::Procedure;
using ha::Saga;
using ha::Step;
using ha::Verdict;

namespace {

constexpr uint64_t second = 1'000'000'000;
constexpr int engine_restart_ticks = 3, machine_restart_ticks = 40, cut_ticks = 45, lost_ticks = 25;
constexpr size_t story_lines_max = 400;

constexpr const char* kind_names[] = {"fails before", "fails after", "times out", "engine dies before", "engine dies after", "engine dies always", "machine dies before",
                                      "machine dies after", "machine is gone", "link is cut", "host is cut off", "link stays cut"};

}  // namespace

std::string describe(const Fault& fault) {
    return std::string(fault.host == 0 ? "alpha" : "beta") + (fault.takes_back ? " taking back " : " ") + std::string(name_of(fault.step)) + ": " + kind_names[static_cast<int>(fault.kind)];
}

SwitchoverWorld::SwitchoverWorld(bool has_witness, size_t master, std::vector<Fault> faults, uint64_t seed)
    : rules_{has_witness ? 10 * second : 0}, voters_(has_witness ? 3 : 2), master_(master), faults_(std::move(faults)), random_(seed) {
    if (has_witness) witness_.emplace(rules_, "witness", ha::Promise(), true, now_ns());
    for (size_t host = 0; host < 2; ++host) start_engine(host, true);
    claim(master_);
    Host& serving = hosts_[master_];
    serving.mounted = serving.address = serving.app = true;
}

void SwitchoverWorld::run(int ticks) {
    for (const int until = now_ + ticks; now_ < until && violation_.empty();) tick();
}

size_t SwitchoverWorld::serving() const {
    return static_cast<size_t>(serves(0)) + serves(1);
}

bool SwitchoverWorld::serves(size_t host) const {
    return hosts_[host].app && hosts_[host].address && may_write(host);
}

bool SwitchoverWorld::has_unfinished() const {
    return std::any_of(hosts_.begin(), hosts_.end(), [](const Host& host) { return host.saga && !host.saga->outcome(); });
}

std::string SwitchoverWorld::story() const {
    std::string all;
    for (const std::string& line : story_) all += line + "\n";
    return all;
}

void SwitchoverWorld::tell(const std::string& what) {
    if (story_.size() < story_lines_max) story_.push_back(std::to_string(now_) + " " + what);
}

bool SwitchoverWorld::reaches(size_t host, size_t other) const {
    const auto is_up = [&](size_t which) { return hosts_[which].engine && now_ >= hosts_[which].cut_off_until; };
    return is_up(host) && is_up(other) && now_ >= link_back_;
}

bool SwitchoverWorld::reaches_witness(size_t host) const {
    return witness_ && hosts_[host].engine && now_ >= hosts_[host].cut_off_until;
}

// ---- engines and machines

void SwitchoverWorld::start_engine(size_t host, bool booted) {
    Host& started = hosts_[host];
    started.engine = true;
    started.boot += booted;
    started.acts_until_ns = 0;  // the first thing that a new engine does
    started.voter.emplace(rules_, name(host), started.promise, started.promised_boot != started.boot, now_ns());
    started.claimant.emplace(rules_, name(host), voters_, started.promise, started.held, started.held_boot != started.boot, random_());
    started.saga.reset();
    if (started.saga_on_disk) {
        started.saga = *Saga::load(Json::parse(*started.saga_on_disk));
        if (!started.saga->outcome()) {
            started.saga->was_restarted();
            note_outcome(host);
        }
        started.command_began = now_;
    }
    // Whoever held the right last and has not given it back goes on.
    if (started.promise.term.holder == name(host) && started.held == started.promise.term) send(host, started.claimant->claim(ha::Claimant::Which::resume, now_ns()));
}

void SwitchoverWorld::kill_engine(size_t host) {
    Host& dead = hosts_[host];
    if (!dead.engine) return;
    tell(name(host) + "'s engine dies");
    dead.acts_until_ns = dead.claimant->valid_until_ns();
    dead.engine = false;
    dead.voter.reset();
    dead.claimant.reset();
    dead.saga.reset();
    dead.engine_back = now_ + engine_restart_ticks;
}

void SwitchoverWorld::kill_machine(size_t host, bool for_ever) {
    kill_engine(host);
    Host& dead = hosts_[host];
    tell(name(host) + (for_ever ? " is gone" : " is booted"));
    dead.app = dead.address = dead.mounted = false;
    dead.acts_until_ns = 0;
    dead.is_gone = for_ever;
    dead.engine_back = 0;
    dead.machine_back = for_ever ? 0 : now_ + machine_restart_ticks;
}

void SwitchoverWorld::begin(size_t host, Procedure procedure, const std::string& id, std::optional<Step> from) {
    hosts_[host].saga = Saga::begin(procedure, id, from);
    hosts_[host].command_began = now_;
    tell(name(host) + " begins to " + std::string(name_of(procedure)) + " " + id);
    keep(host);
}

void SwitchoverWorld::keep(size_t host) {
    hosts_[host].saga_on_disk = hosts_[host].saga->state().dump();
}

// ---- the right to write

void SwitchoverWorld::send(size_t host, const std::vector<ha::Claimant::Ask>& asks) {
    for (const auto& ask : asks) {
        const size_t to = ask.voter == 0 ? host : 1 - host;
        std::optional<ha::Voter::Answer> answer;
        if (ask.voter == 2 && reaches_witness(host)) answer = witness_->take(ask.claim, now_ns());
        if (ask.voter != 2 && (to == host || reaches(host, to))) {
            answer = hosts_[to].voter->take(ask.claim, now_ns());
            if (answer->is_new) hosts_[to].promise = hosts_[to].voter->promise();
            if (answer->is_new) hosts_[to].promised_boot = hosts_[to].boot;
        }
        if (answer && hosts_[host].claimant) send(host, hosts_[host].claimant->take(ask.voter, answer->vote, now_ns()));
    }
    keep_right(host);
}

void SwitchoverWorld::keep_right(size_t host) {
    Host& holder = hosts_[host];
    if (!is_valid(host) || holder.held == holder.claimant->term()) return;
    holder.held = holder.claimant->term();
    holder.held_boot = holder.boot;
    tell(name(host) + " has the right, term " + std::to_string(holder.held.number));
}

void SwitchoverWorld::give_right_back(size_t host) {
    send(host, hosts_[host].claimant->give_back(now_ns()));
}

void SwitchoverWorld::claim(size_t host) {
    if (!hosts_[host].claimant->is_claiming()) send(host, hosts_[host].claimant->claim(ha::Claimant::Which::next, now_ns()));
}

// ---- time

void SwitchoverWorld::tick() {
    ++now_;
    for (size_t host = 0; host < 2; ++host) {
        Host& one = hosts_[host];
        if (one.is_gone) continue;
        if (one.machine_back && now_ >= one.machine_back) {
            one.machine_back = 0;
            start_engine(host, true);
        } else if (one.engine_back && now_ >= one.engine_back) {
            one.engine_back = 0;
            start_engine(host, false);
        }
        if (one.engine) send(host, one.claimant->tick(now_ns()));
        if (one.engine) act(host);
        check();
    }
    for (size_t host = 0; host < 2; ++host)
        if (serves(host)) hosts_[host].data = ++acknowledged_;
}

void SwitchoverWorld::act(size_t host) {
    if (hosts_[host].saga && !hosts_[host].saga->outcome()) return perform_command(host);
    look_after(host);
    watch(host);
}

// Without a switchover: who has the right serves, who has it not does not.
void SwitchoverWorld::look_after(size_t host) {
    Host& one = hosts_[host];
    const bool waits_for_operator = one.last_outcome == Outcome::needs_operator;
    if (is_valid(host)) {
        if (waits_for_operator) return;
        one.mounted = one.address = true;
        one.app = !one.is_broken;
    } else {
        one.app = one.address = one.mounted = false;
        one.last_outcome.reset();
    }
}

// The standby looks whether the other one serves.
void SwitchoverWorld::watch(size_t host) {
    Host& one = hosts_[host];
    const bool is_well = is_valid(host) || (reaches(host, 1 - host) && (serves(1 - host) || hosts_[1 - host].saga_on_disk.has_value()) &&
                                            (serves(1 - host) || (hosts_[1 - host].saga && !hosts_[1 - host].saga->outcome())));
    if (is_well) one.quiet_since = -1;
    else if (one.quiet_since < 0) one.quiet_since = now_;
    if (one.quiet_since < 0 || now_ < one.quiet_since + lost_ticks || now_ < one.rescue_not_before) return;
    one.quiet_since = -1;
    one.rescue_not_before = now_ + 20 + static_cast<int>(random_() % 40);
    begin(host, Procedure::rescue, "rescue-" + std::to_string(next_id_++));
}

void SwitchoverWorld::perform_command(size_t host) {
    Host& one = hosts_[host];
    const Saga::Command command = *one.saga->command();
    if (fault_before(host, command)) return;
    Performed performed = command.takes_back ? take_back(host, command.step) : perform(host, command.step);
    const bool is_late = command.limit_ns != 0 && now_ - one.command_began > static_cast<int>(command.limit_ns / second);
    if (!performed.verdict && is_late) performed = {Verdict::timed_out, "it took too long"};
    if (!performed.verdict || !one.engine) return;
    if (fault_after(host, command, performed)) return;
    tell(name(host) + (command.takes_back ? " takes back " : " ") + std::string(name_of(command.step)) + ": " + performed.why + (performed.verdict == Verdict::done ? "" : " (not done)"));
    one.saga->done(*performed.verdict, performed.why);
    one.command_began = now_;
    note_outcome(host);
}

void SwitchoverWorld::note_outcome(size_t host) {
    Host& one = hosts_[host];
    keep(host);
    if (!one.saga->outcome()) return;
    one.last_outcome = one.saga->outcome();
    wants_operator_ |= one.last_outcome == Outcome::needs_operator || one.last_outcome == Outcome::declined;
    tell(name(host) + ": " + std::string(name_of(*one.last_outcome)));
}

// ---- faults

std::optional<FaultKind> SwitchoverWorld::fault_at(size_t host, const Saga::Command& command, bool before) {
    for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
        if (fault->host != host || fault->step != command.step || fault->takes_back != command.takes_back) continue;
        const FaultKind kind = fault->kind;
        const bool strikes_before = kind == FaultKind::fails_before || kind == FaultKind::engine_dies_before || kind == FaultKind::engine_dies_always || kind == FaultKind::machine_dies_before;
        if (strikes_before != before) continue;
        if (kind != FaultKind::engine_dies_always) faults_.erase(fault);
        return kind;
    }
    return std::nullopt;
}

bool SwitchoverWorld::fault_before(size_t host, const Saga::Command& command) {
    const auto kind = fault_at(host, command, true);
    if (!kind) return false;
    if (*kind == FaultKind::machine_dies_before) return kill_machine(host, false), true;
    if (*kind != FaultKind::fails_before) return kill_engine(host), true;
    tell(name(host) + " fails at once: " + std::string(name_of(command.step)));
    hosts_[host].saga->done(Verdict::failed, "it failed at once");
    hosts_[host].command_began = now_;
    note_outcome(host);
    return true;
}

bool SwitchoverWorld::fault_after(size_t host, const Saga::Command& command, Performed& performed) {
    const auto kind = fault_at(host, command, false);
    if (!kind) return false;
    switch (*kind) {
        case FaultKind::fails_after: performed = {Verdict::failed, "it was done, and failed"}; return false;
        case FaultKind::times_out: performed = {Verdict::timed_out, "it was done, too late"}; return false;
        case FaultKind::engine_dies_after: kill_engine(host); return true;
        case FaultKind::machine_dies_after: kill_machine(host, false); return true;
        case FaultKind::machine_is_gone: kill_machine(host, true); return true;
        case FaultKind::link_is_cut: link_back_ = now_ + cut_ticks; return false;
        case FaultKind::link_stays_cut: link_back_ = INT32_MAX; return false;
        case FaultKind::host_is_cut_off: hosts_[host].cut_off_until = now_ + cut_ticks; return false;
        default: return false;
    }
}

// ---- steps

SwitchoverWorld::Performed SwitchoverWorld::perform(size_t host, Step step) {
    Host& one = hosts_[host];
    Host& other = hosts_[1 - host];
    const bool has_link = reaches(host, 1 - host);
    if (one.saga->procedure() == Procedure::give && step != Step::hand_over)
        if (const auto lost = lost_right(host)) return *lost;
    switch (step) {
        case Step::check_synchronized:
            if (!has_link) return {Verdict::failed, "the replica does not answer"};
            return {Verdict::done, "the replica follows"};
        case Step::stop_application: one.app = false; return {Verdict::done, "stopped"};
        case Step::reach_barrier:
            if (!has_link) return {std::nullopt, {}};
            other.data = one.data;
            return {Verdict::done, "the replica has everything"};
        case Step::release_network: one.address = false; return {Verdict::done, "released"};
        case Step::hand_over: return hand_over(host);
        case Step::contact_master:
            if (has_link && has_another_switchover(host)) return {Verdict::theirs, "it is in a switchover"};
            return {has_link ? Verdict::done : Verdict::failed, has_link ? "its engine answers" : "nobody answers"};
        case Step::cure_master:
            if (has_link && has_another_switchover(host)) return {Verdict::theirs, "it is in a switchover"};
            if (!has_link || other.is_broken || !is_valid(1 - host)) return {Verdict::failed, "the application does not start"};
            other.app = true;
            return {Verdict::done, "it answers again"};
        case Step::ask_master: {
            // The master's hand_over says that this is done.
            if (!has_link) return {Verdict::failed, "nobody answers"};
            if (other.saga && other.saga->id() == one.saga->id() && other.saga->outcome()) return {Verdict::failed, "the master could not give"};
            if (has_another_switchover(host)) return {Verdict::theirs, "it is in a switchover"};
            const bool is_busy = other.saga && !other.saga->outcome();
            if (!is_busy && !is_valid(1 - host)) return {Verdict::failed, "the master has no right to give"};
            if (!is_busy) begin(1 - host, Procedure::give, one.saga->id(), Step::stop_application);
            return {std::nullopt, {}};
        }
        case Step::weigh_loss: return {Verdict::done, "within the policy"};
        case Step::fence_master: return {Verdict::failed, "there is no fence"};
        case Step::claim_right: return claim_right(host);
        case Step::acquire_network: one.address = true; return {Verdict::done, "acquired"};
        case Step::begin_backward:
            if (!is_valid(host)) return {Verdict::failed, "the right to write is lost"};
            one.mounted = true;
            if (one.saga->procedure() == Procedure::rescue && one.data < acknowledged_) was_taken_over_ = true;
            return {Verdict::done, "mounted"};
        case Step::start_application:
            if (!is_valid(host) || !one.mounted) return {Verdict::failed, "the right to write is lost"};
            one.app = true;
            one.is_broken = false;
            return {Verdict::done, "started"};
    }
    return {Verdict::failed, "unknown"};
}

SwitchoverWorld::Performed SwitchoverWorld::take_back(size_t host, Step step) {
    Host& one = hosts_[host];
    if (step == Step::stop_application || step == Step::release_network)
        if (const auto lost = lost_right(host)) return *lost;
    switch (step) {
        case Step::stop_application:
            one.mounted = true;
            one.app = !one.is_broken;
            return {one.is_broken ? Verdict::failed : Verdict::done, one.is_broken ? "it does not start" : "started again"};
        case Step::release_network:
            one.address = true;
            return {Verdict::done, "acquired again"};
        case Step::hand_over: return reclaim(host);
        case Step::claim_right: give_right_back(host); return {Verdict::done, "given back"};
        case Step::acquire_network: one.address = false; return {Verdict::done, "released again"};
        case Step::begin_backward: one.mounted = false; return {Verdict::done, "unmounted"};
        default: return {Verdict::failed, "nothing takes it back"};
    }
}

// Of a master that is giving: an engine that was started anew asks for the right that it had, and may learn that it is the other's.
std::optional<SwitchoverWorld::Performed> SwitchoverWorld::lost_right(size_t host) const {
    if (is_valid(host)) return std::nullopt;
    if (hosts_[host].claimant->is_claiming() || hosts_[host].claimant->valid_until_ns() != 0) return Performed{};
    return Performed{Verdict::theirs, "the right to write is not this host's any more"};
}

// The other host does something that is not this host's rescue: it answers for what comes of it, and must not be disturbed.
bool SwitchoverWorld::has_another_switchover(size_t host) const {
    const auto& theirs = hosts_[1 - host].saga;
    return theirs && !theirs->outcome() && theirs->id() != hosts_[host].saga->id();
}

SwitchoverWorld::Performed SwitchoverWorld::claim_right(size_t host) {
    if (is_valid(host)) return {Verdict::done, "the right is this host's"};
    claim(host);
    if (is_valid(host)) return {Verdict::done, "the right is this host's"};
    return {std::nullopt, {}};
}

// What the other host's run for ID has come to; nothing: it is under way.
std::optional<Outcome> SwitchoverWorld::ask_to_take(size_t host, const std::string& id, bool begins_it) {
    Host& other = hosts_[1 - host];
    if (refused_.count(id) != 0) return Outcome::restored;
    if (other.saga && other.saga->id() == id) {
        const auto command = other.saga->command();
        if (command && command->step == Step::ask_master && begins_it) {
            other.saga->done(Verdict::done, "the master gives");
            other.command_began = now_;
            keep(1 - host);
            return std::nullopt;
        }
        if (!begins_it && command && command->step == Step::ask_master) return Outcome::restored;
        return other.saga->outcome();
    }
    if (other.saga && !other.saga->outcome()) return std::nullopt;  // it does something else
    // It has had the right since the master gave it back: a rescue was quicker than the question.
    if (other.held.number > hosts_[host].held.number) return Outcome::handed_over;
    if (!begins_it) {
        refused_.insert(id);
        return Outcome::restored;
    }
    begin(1 - host, Procedure::take, id);
    return std::nullopt;
}

SwitchoverWorld::Performed SwitchoverWorld::hand_over(size_t host) {
    Host& one = hosts_[host];
    one.mounted = false;
    if (one.claimant->valid_until_ns() != 0 || one.claimant->is_claiming()) give_right_back(host);
    if (!reaches(host, 1 - host)) return {std::nullopt, {}};
    const auto outcome = ask_to_take(host, one.saga->id(), true);
    if (!outcome) return {std::nullopt, {}};
    if (*outcome == Outcome::switched) return {Verdict::done, "the replica serves"};
    if (*outcome == Outcome::handed_over) return {Verdict::theirs, "the replica has had the right since"};
    return {Verdict::failed, "the replica: " + std::string(name_of(*outcome))};
}

SwitchoverWorld::Performed SwitchoverWorld::reclaim(size_t host) {
    Host& one = hosts_[host];
    std::optional<Outcome> outcome;
    if (reaches(host, 1 - host)) {
        outcome = ask_to_take(host, one.saga->id(), false);
        // One that could not take everything back has given the right back all the same, or kept it.
        const bool keeps_it = outcome == Outcome::needs_operator && hosts_[1 - host].claimant->valid_until_ns() != 0;
        if (outcome == Outcome::switched || outcome == Outcome::handed_over || keeps_it) return {Verdict::theirs, "the replica has it"};
        if (!outcome) return {std::nullopt, {}};
    }
    const uint64_t own = one.held.number;
    if (!is_valid(host)) claim(host);
    if (!is_valid(host)) return {std::nullopt, {}};
    // Nobody says how far the replica came, and it may have had the right.
    if (!outcome && one.claimant->highest_of_others() > own) {
        give_right_back(host);
        return {Verdict::theirs, "the replica may have had it"};
    }
    one.mounted = true;
    return {Verdict::done, "the right is this host's again"};
}

// ---- what must never happen

void SwitchoverWorld::check() {
    if (!violation_.empty()) return;
    if (may_write(0) && may_write(1)) violation_ = "both hosts may write";
    if (is_valid(0) && is_valid(1)) violation_ = "both hosts have the right";
    if (serving() > 1) violation_ = "both hosts serve";
    for (size_t host = 0; host < 2; ++host)
        if (serves(host) && hosts_[host].data < acknowledged_ && !was_taken_over_) violation_ = name(host) + " serves without what clients were told is safe";
    if (!violation_.empty()) tell("VIOLATION: " + violation_);
}

}  // namespace holdfast::test

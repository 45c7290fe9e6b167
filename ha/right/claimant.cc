#include "ha/right/claimant.h"

#include <algorithm>
#include <cstddef>
#include <functional>

#include "base/check.h"

namespace holdfast::ha {

Claimant::Claimant(RightRules rules, std::string host, size_t voters, const Promise& promise, const Term& held, bool was_booted, uint64_t first_id)
    : rules_(rules), host_(std::move(host)), seats_(voters), next_id_(first_id | 1) {
    HF_CHECK(voters >= 2);
    hear_of(promise);
    for (Seat& seat : seats_) seat.was_heard = !was_booted;
    if (was_booted || rules_.expires() || seen_.holder != host_ || held != seen_) return;
    // Nobody can have been promised a later term without this host's own vote.
    for (Seat& seat : seats_) seat.granted = seen_.number, seat.trusted_until_ns = UINT64_MAX;
}

std::vector<Claimant::Ask> Claimant::claim(Which which, uint64_t now_ns) {
    const bool resumes = which == Which::resume && seen_.holder == host_;
    wanted_ = resumes ? seen_.number : seen_.number + 1;
    claimed_ns_ = asked_ns_ = now_ns;
    if (resumes && now_ns < until_of(wanted_)) {
        term_ = seen_;
        holds_ = true;
        wanted_ = 0;
    }
    return ask_from(0, now_ns);
}

std::vector<Claimant::Ask> Claimant::give_back(uint64_t now_ns) {
    std::vector<Ask> asks;
    for (size_t voter = 0; voter < seats_.size(); ++voter) {
        // One that was asked and has not answered may be bound as well.
        const uint64_t number = std::max(wanted_, seats_[voter].granted);
        if (number != 0) asks.push_back(ask(voter, number, true, now_ns));
        seats_[voter].granted = 0;
        seats_[voter].asked_id = 0;  // an answer that is still under way grants nothing any more
        seats_[voter].is_fenced = false;
    }
    holds_ = false;
    wanted_ = 0;
    return asks;
}

std::vector<Claimant::Ask> Claimant::tick(uint64_t now_ns) {
    if ((!holds_ && wanted_ == 0) || now_ns < asked_ns_ + rules_.renew_ns()) return {};
    if (!holds_ && now_ns > claimed_ns_ + claim_ns_max()) return give_back(now_ns);
    asked_ns_ = now_ns;
    return ask_from(0, now_ns);
}

std::vector<Claimant::Ask> Claimant::take(size_t voter, const Vote& vote, uint64_t now_ns) {
    Seat& seat = seats_.at(voter);
    hear_of(vote.promise);
    if (vote.claim_id != seat.asked_id) return give_back_unwanted(voter, vote, now_ns);
    seat.asked_id = 0;
    seat.was_heard = true;
    seat.is_fenced = false;  // it lives
    const bool was_heard_first = voter == 0 && wanted_ != 0 && seat.granted < wanted_;
    if (!vote.is_granted) return lose_to(vote.promise.term, now_ns);
    seat.granted = std::max(seat.granted, vote.promise.term.number);
    seat.trusted_until_ns = rules_.expires() ? std::max(seat.trusted_until_ns, seat.asked_ns + rules_.trusted_ns()) : UINT64_MAX;
    if (wanted_ != 0 && now_ns < until_of(wanted_)) {
        term_ = {wanted_, host_};
        holds_ = true;
        wanted_ = 0;
    }
    return was_heard_first && wanted_ != 0 ? ask_from(1, now_ns) : std::vector<Ask>();
}

// The answer to a question of an earlier life, or to one that came late: without a witness it would bind the voter until this host claims again.
std::vector<Claimant::Ask> Claimant::give_back_unwanted(size_t voter, const Vote& vote, uint64_t now_ns) {
    const bool is_wanted = holds_ || wanted_ != 0;
    if (!vote.is_granted || vote.promise.term.holder != host_ || is_wanted) return {};
    const Ask back = ask(voter, vote.promise.term.number, true, now_ns);
    seats_[voter].asked_id = 0;
    return {back};
}

// A voter has promised more to somebody else than this host holds or wants. Who holds nothing any more stops at once (I8).
std::vector<Claimant::Ask> Claimant::lose_to(const Term& other, uint64_t now_ns) {
    if (other.holder == host_ || other.number >= term_number_max || other.number < std::max(wanted_, holds_ ? term_.number : 0)) return {};
    if (!is_valid(now_ns)) return give_back(now_ns);
    wanted_ = other.number + 1;
    return {};
}

std::vector<Claimant::Ask> Claimant::is_fenced(size_t voter, uint64_t now_ns) {
    if (wanted_ == 0) return {};
    Seat& seat = seats_.at(voter);
    seat.is_fenced = seat.was_heard;
    // At once, while it is off: what it does when it is on again is no longer known.
    for (Seat& other : seats_) other.asked_id = 0;
    return ask_from(0, now_ns);
}

uint64_t Claimant::valid_until_ns() const {
    return holds_ ? until_of(term_.number) : 0;
}

// Until when most voters are bound to this host for NUMBER or one above it.
uint64_t Claimant::until_of(uint64_t number) const {
    std::vector<uint64_t> until;
    for (const Seat& seat : seats_) until.push_back(seat.is_fenced && !rules_.expires() ? UINT64_MAX : seat.granted >= number ? seat.trusted_until_ns : 0);
    std::nth_element(until.begin(), until.begin() + static_cast<ptrdiff_t>(majority() - 1), until.end(), std::greater<>());
    return until[majority() - 1];
}

Claimant::Ask Claimant::ask(size_t voter, uint64_t number, bool gives_back, uint64_t now_ns) {
    Seat& seat = seats_[voter];
    seat.asked_id = next_id_;
    next_id_ += 2;  // never 0, which means that nothing is asked
    seat.asked_ns = now_ns;
    return {voter, {{number, host_}, seat.asked_id, gives_back}};
}

std::vector<Claimant::Ask> Claimant::ask_from(size_t first, uint64_t now_ns) {
    const uint64_t number = wanted_ != 0 ? wanted_ : term_.number;
    std::vector<Ask> asks;
    for (size_t voter = first; voter < seats_.size(); ++voter) {
        if (voter > 0 && seats_[0].granted < number) break;
        // Over a slow link the answer to the last question may still come.
        if (seats_[voter].asked_id != 0 && now_ns < seats_[voter].asked_ns + patience_ns()) continue;
        asks.push_back(ask(voter, number, false, now_ns));
    }
    return asks;
}

void Claimant::hear_of(const Promise& promise) {
    const Term& term = promise.term;
    if (std::max(term.number, promise.others) > term_number_max) return;
    others_ = std::max({others_, promise.others, term.holder == host_ ? 0 : term.number});
    if (term.number > seen_.number) seen_ = term;
}

}  // namespace holdfast::ha

// A host's side of the right to write: it claims a term, keeps it as long as most voters are bound to it, and gives it back.
//
//     nothing ──claim()──> claiming ──most voters grant it──> holding ──give_back()──> nothing
//                             └──────give_back(), nobody needs to know─────────────────┘
//
// A claim that most do not grant in time, or that somebody else's higher term makes vain, is given back by itself; whoever wants the term claims once more.
//
// is_valid() is the only thing that anybody may act on: most voters have promised the term to this host, and each of them is bound for longer than now, by
// this host's clock and counted from when they were asked. While it holds a term and hears of a higher one that was promised to somebody else, who did not get
// it, it claims one above that; its own stays valid meanwhile.
//
// Without a witness votes do not expire, so the holder needs nobody to go on. A host that was booted since may have been fenced by being switched off, and the other may have
// had the right meanwhile: it needs the other's own vote once, and cannot have the other fenced before it has heard of it.
//
// Its own voter is voter 0, and is asked first: a host that is still bound to the other asks nobody else.
//
// What is durable when: term(), by whoever uses this, before anybody acts on it.
//
// Thread rule: one thread, a pure state machine. What it returns is to be sent; an answer that is lost is asked for again by tick(). Limits: as many questions under way
// as voters, the newest counts.
#pragma once

#include <string>
#include <vector>

#include "ha/right/term.h"

namespace holdfast::ha {

class Claimant {
public:
    struct Ask {
        size_t voter;
        Claim claim;
    };
    // REQUIRES: whatever acted on the word of an earlier life of this (an engine that died) has been stopped, because votes may be given back now.
    // PROMISE: of this host's own voter. HELD: its term() that was made durable last. WAS_BOOTED: the machine, since then. FIRST_ID: at
    // random, so that an answer to an earlier life of this host is taken for none.
    Claimant(RightRules rules, std::string host, size_t voters, const Promise& promise, const Term& held, bool was_booted, uint64_t first_id);

    // For a term that nobody has, or the one that this host was promised before, with RESUME and when it was.
    enum class Which { next, resume };
    std::vector<Ask> claim(Which which, uint64_t now_ns);
    // Stops holding and claiming at once.
    std::vector<Ask> give_back(uint64_t now_ns);
    // At least every renew_ns().
    std::vector<Ask> tick(uint64_t now_ns);
    std::vector<Ask> take(size_t voter, const Vote& vote, uint64_t now_ns);
    // The host of VOTER is certainly not active now, for the claim that is under way; this host's own voter has been told. Where votes do not expire its vote counts
    // as given. Where they do, the witness's is needed, because what was switched off may be switched on again and ask the witness.
    std::vector<Ask> is_fenced(size_t voter, uint64_t now_ns);

    bool is_valid(uint64_t now_ns) const { return now_ns < valid_until_ns(); }
    // UINT64_MAX: it does not end by itself. 0: it does not hold.
    uint64_t valid_until_ns() const;
    bool is_claiming() const { return wanted_ != 0; }
    // What it holds or held last.
    const Term& term() const { return term_; }
    // The highest that was promised to somebody else, or given back, as far as this host has heard. A host that was granted a term by most knows of every one that was
    // ever held before it; so it knows whether somebody else may have written since a term of its own.
    uint64_t highest_of_others() const { return others_; }

private:
    struct Seat {
        uint64_t granted = 0;           // the highest number that it promised to this host
        uint64_t trusted_until_ns = 0;
        uint64_t asked_id = 0, asked_ns = 0;  // the newest question
        bool was_heard = false;               // since the machine was booted
        bool is_fenced = false;
    };
    size_t majority() const { return seats_.size() / 2 + 1; }
    uint64_t until_of(uint64_t number) const;
    Ask ask(size_t voter, uint64_t number, bool gives_back, uint64_t now_ns);
    std::vector<Ask> ask_from(size_t first, uint64_t now_ns);
    void hear_of(const Promise& promise);
    std::vector<Ask> give_back_unwanted(size_t voter, const Vote& vote, uint64_t now_ns);
    std::vector<Ask> lose_to(const Term& other, uint64_t now_ns);
    // How long a question waits for its answer before it is asked again.
    uint64_t patience_ns() const { return 3 * rules_.renew_ns(); }
    // How long a host that holds nothing claims a term.
    uint64_t claim_ns_max() const { return 10 * rules_.renew_ns(); }

    const RightRules rules_;
    const std::string host_;
    std::vector<Seat> seats_;
    Term term_;
    Term seen_;  // the highest of which this host has heard
    uint64_t others_ = 0;
    bool holds_ = false;
    uint64_t wanted_ = 0;  // the number that is being claimed
    uint64_t next_id_;
    uint64_t asked_ns_ = 0;    // by tick()
    uint64_t claimed_ns_ = 0;  // when the claim began
};

}  // namespace holdfast::ha

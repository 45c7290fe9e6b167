// One of those who vote on the right to write: each of the two hosts, and the witness.
//
// A voter promises each term to one host and never goes back below what it has promised. While a vote of its own binds it (RightRules::lease_ns) it promises no
// higher term to another host, so a majority of voters is never bound to two hosts at once, however messages are lost, doubled or late. A term that was given
// back is nobody's from then on, and a claim to it that comes late is refused.
//
// What is durable when: the promise, and that it was given back, before the vote is sent: Answer::is_new says so. How long a vote still binds is remembered by
// nobody; a voter that was started anew takes it that it has just voted.
//
// Thread rule: one thread, a pure state machine. Limits: none; it holds one term.
#pragma once

#include "ha/right/term.h"

namespace holdfast::ha {

class Voter {
public:
    // PROMISE as it was made durable; the default where there is nothing yet. WAS_BOOTED: the machine, since that was promised; so what it was promised itself
    // is not in use.
    Voter(RightRules rules, std::string own_host, Promise promise, bool was_booted, uint64_t now_ns);

    struct Answer {
        Vote vote;
        bool is_new = false;  // promise() must be durable before VOTE is sent
    };
    Answer take(const Claim& claim, uint64_t now_ns);
    // HOST is certainly not active: a fencing device says so, or a person who answers for it. What it was promised binds nobody any more.
    void is_fenced(const std::string& host);

    const Promise& promise() const { return promise_; }
    // Whether it could promise a term to HOST now.
    bool is_free_for(const std::string& host, uint64_t now_ns) const;

private:
    const RightRules rules_;
    Promise promise_;
    bool is_bound_ = false;
    uint64_t bound_until_ns_ = 0;  // when votes expire
};

}  // namespace holdfast::ha

#include "ha/right/voter.h"

#include <algorithm>

namespace holdfast::ha {

Voter::Voter(RightRules rules, std::string own_host, Promise promise, bool was_booted, uint64_t now_ns)
    : rules_(rules), promise_(std::move(promise)), bound_until_ns_(now_ns + rules.lease_ns) {
    const std::string& holder = promise_.term.holder;
    is_bound_ = !holder.empty() && !(was_booted && holder == own_host);
}

bool Voter::is_free_for(const std::string& host, uint64_t now_ns) const {
    if (!is_bound_ || promise_.term.holder == host) return true;
    return rules_.expires() && now_ns >= bound_until_ns_;
}

Voter::Answer Voter::take(const Claim& claim, uint64_t now_ns) {
    Answer answer;
    const Term& now = promise_.term;
    const bool is_same = claim.term == now && now.number != 0 && !now.holder.empty();
    const bool is_higher = claim.term.number > now.number && claim.term.number <= term_number_max && !claim.term.holder.empty() && is_free_for(claim.term.holder, now_ns);
    answer.is_new = is_higher || (is_same && claim.gives_back);
    // A give-back that comes late takes nothing from who was promised a term since: it is neither the same nor higher.
    if (is_higher) promise_ = {claim.term, std::max(promise_.others, now.holder == claim.term.holder ? 0 : now.number)};
    if (answer.is_new && claim.gives_back) promise_ = {{claim.term.number, {}}, claim.term.number};
    if (is_same || is_higher) {
        is_bound_ = !claim.gives_back;
        bound_until_ns_ = now_ns + rules_.lease_ns;
        answer.vote.is_granted = !claim.gives_back;
    }
    answer.vote.claim_id = claim.id;
    answer.vote.promise = promise_;
    return answer;
}

void Voter::is_fenced(const std::string& host) {
    if (promise_.term.holder == host) is_bound_ = false;
}

}  // namespace holdfast::ha

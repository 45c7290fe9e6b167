// The words of the right to write (decision 0021): terms, claims and answers.
//
// A scenario has one right to write. It belongs to one host at a time, for a *term*, a number that only grows and belongs to one host for ever. Who votes on it
// are the two hosts themselves and a witness, if there is one.
// Thread rule: plain values. Times are nanoseconds of a clock of one's own that never goes back and runs on while the machine sleeps; none is ever sent.
#pragma once

#include <cstdint>
#include <string>

namespace holdfast::ha {

// Nobody comes near it by asking; a host that names a higher one is not listened to.
inline constexpr uint64_t term_number_max = 1ULL << 62;

struct Term {
    uint64_t number = 0;  // 0: none yet
    std::string holder;   // "": it was given back, and nobody has it any more
    bool operator==(const Term&) const = default;
};

struct RightRules {
    // How long a vote binds whoever gave it. 0: until it is given back, for a scenario without a witness.
    uint64_t lease_ns = 0;
    // The holder counts on less of it than the voter keeps: clocks may differ by a tenth in their speed.
    uint64_t trusted_ns() const { return lease_ns - lease_ns / 10; }
    // How often the holder asks for its votes again.
    uint64_t renew_ns() const { return lease_ns == 0 ? 1'000'000'000 : lease_ns / 10; }
    bool expires() const { return lease_ns != 0; }
};

// "HOST asks for your vote for TERM", the first time and every time that it renews it; or gives it back.
struct Claim {
    Term term;
    uint64_t id = 0;  // by which the claimant knows the answer again
    bool gives_back = false;
};

// What a voter is bound to.
struct Promise {
    Term term;
    uint64_t others = 0;  // the highest number that it promised to somebody else than the holder, or that was given back
    bool operator==(const Promise&) const = default;
};

struct Vote {
    uint64_t claim_id = 0;
    bool is_granted = false;
    Promise promise;
};

}  // namespace holdfast::ha

// The short code that one person reads on one host and types on the other, and how often and how long it may be tried.
// Thread rule: one thread. The code is wiped when it goes; show() makes the only copy that is meant for eyes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::replicator {

// 9 of 32 letters: 45 bits. Three guesses of 2^45 are right once in 10^13 times; nobody can try faster than he is let.
inline constexpr size_t pairing_code_letters = 9;
inline constexpr int pairing_guesses_max = 3;
inline constexpr uint64_t pairing_code_lifetime_ns = 600'000'000'000;

class PairingCode {
public:
    static Result<PairingCode> make();
    // What a person typed: either case, any spaces and dashes; O is 0, I and L are 1. Nothing: it cannot be a code, so it is
    // not worth a guess.
    static std::optional<PairingCode> parse(std::string_view typed);

    PairingCode(const PairingCode&) = default;
    PairingCode& operator=(const PairingCode&) = default;
    ~PairingCode();

    std::string show() const;  // "7KQ-2MX-9TD"
    std::string_view letters() const { return letters_; }  // the normal form; borrowed
    bool operator==(const PairingCode&) const = delete;    // compared only by proof

private:
    PairingCode() = default;
    std::string letters_;
};

// The code on the side that shows it. An attempt counts when it begins: one that is broken off was a guess too, because the
// one who broke it off may have seen enough to know that it was wrong.
// Time is any clock that never goes back; if it does, the offer is over.
class PairingOffer {
public:
    PairingOffer(PairingCode code, uint64_t now_ns) : code_(std::move(code)), made_ns_(now_ns) {}

    const PairingCode& code() const { return code_; }
    bool is_open(uint64_t now_ns) const { return objection(now_ns) == nullptr; }
    int guesses_left() const { return guesses_left_; }

    // Takes one guess. Error unavailable: used, expired or guessed too often.
    Status begin(uint64_t now_ns);
    // The attempt proved the code. It must still be fresh: another attempt may have used it up since this one began.
    Status complete(uint64_t now_ns);

private:
    const char* expiry(uint64_t now_ns) const;
    const char* objection(uint64_t now_ns) const;

    PairingCode code_;
    uint64_t made_ns_;
    int guesses_left_ = pairing_guesses_max;
    bool is_used_ = false;
};

}  // namespace holdfast::replicator

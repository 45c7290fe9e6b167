// The right to write among hosts whose messages are lost, doubled and late, whose clocks run at different speeds, and who die at any time: at no moment do two
// of them have it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <variant>

#include "ha/right/claimant.h"
#include "ha/right/voter.h"

using namespace holdfast;
using namespace holdfast::ha;

namespace {

constexpr uint64_t second = 1'000'000'000;

struct Message {
    size_t from, to;
    std::variant<Claim, Vote> body;
};

// Two hosts, 0 and 1, and perhaps a witness, 2. True time is nobody's clock.
class World {
public:
    World(uint64_t seed, bool has_witness) : random_(seed), rules_{has_witness ? 10 * second : 0}, count_(has_witness ? 3 : 2) {
        for (size_t node = 0; node < count_; ++node) {
            nodes_.emplace_back();
            nodes_[node].rate = 960 + 40 * chance(3);  // of 1000
            nodes_[node].offset = chance(1000) * second;
            start(node, false);
        }
    }

    void run(int steps) {
        for (int step = 0; step < steps; ++step) {
            now_ += chance(400'000'000);
            deliver_due();
            for (size_t host = 0; host < 2; ++host)
                if (nodes_[host].claimant) send(host, nodes_[host].claimant->tick(clock(host)));
            disturb();
            check();
        }
    }

    // Nothing is lost any more and everybody lives; then one host claims.
    void calm_and_claim() {
        lossy_ = false;
        cut_.clear();
        for (size_t node = 0; node < count_; ++node)
            if (!nodes_[node].voter) start(node, !nodes_[node].is_off);
        for (size_t host = 0; host < 2; ++host)
            if (!is_valid(host)) send(host, nodes_[host].claimant->give_back(clock(host)));
        settle(30 * second);
        if (is_valid(0) || is_valid(1)) return;
        // A term that nobody claims any more binds for a lease at most; without one, until its holder comes back to it.
        const size_t host = count_ == 3 || nodes_[0].promise.term.holder != "beta" ? 0 : 1;
        // One that was refused knows afterwards above which term it must ask.
        for (int attempt = 0; attempt < 3 && !is_valid(host); ++attempt) {
            const bool resumes = nodes_[host].promise.term.holder == name(host);
            send(host, nodes_[host].claimant->claim(resumes ? Claimant::Which::resume : Claimant::Which::next, clock(host)));
            settle(20 * second);
        }
        INFO("host " << host << ", promised " << nodes_[host].promise.term.number << " to '" << nodes_[host].promise.term.holder << "'");
        CHECK((is_valid(0) || is_valid(1)));
    }

    uint64_t changes() const { return changes_; }

private:
    struct Node {
        uint64_t rate = 1000, offset = 0;
        Promise promise;                // on its disk, and since which boot
        Term held;
        uint64_t promised_boot = 0, held_boot = 0, boot = 1;
        std::optional<Voter> voter;     // nothing: it is down
        std::optional<Claimant> claimant;
        uint64_t acted_until = 0;       // what was told to the volume's filter before the engine died, by the node's clock
        bool is_off = false;            // the machine, not only the engine
    };

    static std::string name(size_t host) { return host == 0 ? "alpha" : host == 1 ? "beta" : "witness"; }
    uint64_t chance(uint64_t below) { return std::uniform_int_distribution<uint64_t>(0, below - 1)(random_); }
    uint64_t clock(size_t node) const { return now_ / 1000 * nodes_[node].rate + nodes_[node].offset; }
    bool is_valid(size_t host) const { return nodes_[host].claimant && nodes_[host].claimant->is_valid(clock(host)); }
    // Each host counts itself first.
    size_t node_of(size_t host, size_t voter) const { return voter == 0 ? host : voter == 1 ? 1 - host : 2; }
    size_t voter_of(size_t host, size_t node) const { return node == host ? 0 : node == 2 ? 2 : 1; }

    void start(size_t node, bool same_boot) {
        Node& started = nodes_[node];
        started.is_off = false;
        started.boot += !same_boot;
        started.voter.emplace(rules_, name(node), started.promise, started.promised_boot != started.boot, clock(node));
        if (node == 2) return;
        started.acted_until = 0;  // the first thing that a new engine does
        started.claimant.emplace(rules_, name(node), count_, started.promise, started.held, started.held_boot != started.boot, random_());
        if (started.promise.term.holder == name(node)) send(node, started.claimant->claim(Claimant::Which::resume, clock(node)));
    }

    void send(size_t host, const std::vector<Claimant::Ask>& asks) {
        for (const auto& ask : asks) {
            const size_t to = node_of(host, ask.voter);
            // A host's own voter is asked in the same process.
            if (to == host) take({host, host, ask.claim});
            else post({host, to, ask.claim});
        }
    }

    void post(const Message& message) {
        const int copies = !lossy_ ? 1 : chance(5) == 0 ? 0 : chance(10) == 0 ? 2 : 1;
        for (int copy = 0; copy < copies; ++copy) flying_.emplace(now_ + (lossy_ && chance(20) == 0 ? chance(40 * second) : chance(second)), message);
    }

    void deliver_due() {
        while (!flying_.empty() && flying_.begin()->first <= now_) {
            const Message message = flying_.begin()->second;
            flying_.erase(flying_.begin());
            if (cut_.count({std::min(message.from, message.to), std::max(message.from, message.to)}) == 0) take(message);
        }
    }

    void take(const Message& message) {
        Node& node = nodes_[message.to];
        if (!node.voter) return;
        if (const auto* claim = std::get_if<Claim>(&message.body)) {
            const auto answer = node.voter->take(*claim, clock(message.to));
            if (answer.is_new) node.promise = node.voter->promise();
            if (answer.is_new) node.promised_boot = node.boot;
            if (message.from == message.to) take({message.to, message.to, answer.vote});
            else post({message.to, message.from, answer.vote});
            return;
        }
        if (!node.claimant) return;
        send(message.to, node.claimant->take(voter_of(message.to, message.from), std::get<Vote>(message.body), clock(message.to)));
    }

    void disturb() {
        const size_t node = chance(count_), host = chance(2);
        switch (chance(40)) {
            case 0: cut_.insert({std::min(node, host), std::max(node, host)}); break;
            case 1:
                for (size_t other = 0; other < count_; ++other) cut_.insert({std::min(node, other), std::max(node, other)});
                break;
            case 2: cut_.clear(); break;
            case 3: kill(node, false); break;
            case 4: kill(node, true); break;
            case 5:
            case 6:
            case 7:
                if (!nodes_[node].voter) start(node, !nodes_[node].is_off);
                break;
            case 8:
                if (is_valid(host)) send(host, nodes_[host].claimant->give_back(clock(host)));
                break;
            case 9: fence(host); break;
            case 10:
            case 11:
            case 12:
                if (nodes_[host].claimant && !is_valid(host)) send(host, nodes_[host].claimant->claim(chance(2) ? Claimant::Which::next : Claimant::Which::resume, clock(host)));
                break;
            default: break;
        }
    }

    // The engine, or with it the machine. What an engine has told the filter goes on without it.
    void kill(size_t node, bool whole_machine) {
        Node& dead = nodes_[node];
        if (dead.claimant && !whole_machine) dead.acted_until = std::max(dead.acted_until, dead.claimant->valid_until_ns());
        if (whole_machine) dead.acted_until = 0;
        dead.is_off |= whole_machine;
        dead.voter.reset();
        dead.claimant.reset();
    }

    // Of HOST the other one is switched off, which is seen.
    void fence(size_t host) {
        const size_t other = 1 - host;
        if (!nodes_[host].claimant) return;
        kill(other, true);
        nodes_[host].voter->is_fenced(name(other));
        send(host, nodes_[host].claimant->is_fenced(voter_of(host, other), clock(host)));
    }

    bool acts(size_t host) const { return is_valid(host) || clock(host) < nodes_[host].acted_until; }

    void check() {
        INFO("true time " << now_);
        REQUIRE_FALSE((acts(0) && acts(1)));
        for (size_t host = 0; host < 2; ++host) {
            if (!is_valid(host)) continue;
            nodes_[host].held = nodes_[host].claimant->term();
            nodes_[host].held_boot = nodes_[host].boot;
            const uint64_t term = nodes_[host].held.number;
            // A term is one host's for ever, and terms only grow.
            const auto [known, is_new] = holders_.emplace(term, host);
            REQUIRE(known->second == host);
            REQUIRE(term >= last_term_);
            if (is_new && last_holder_ == 1 - host) REQUIRE(nodes_[host].claimant->highest_of_others() >= last_term_);
            changes_ += is_new && term > last_term_ && last_holder_ != host;
            last_term_ = term;
            last_holder_ = host;
        }
    }

    void settle(uint64_t ns) {
        for (const uint64_t until = now_ + ns; now_ < until; now_ += second / 10) {
            deliver_due();
            for (size_t host = 0; host < 2; ++host)
                if (nodes_[host].claimant) send(host, nodes_[host].claimant->tick(clock(host)));
            check();
        }
    }

    std::mt19937_64 random_;
    const RightRules rules_;
    const size_t count_;
    uint64_t now_ = second;
    bool lossy_ = true;
    std::vector<Node> nodes_;
    std::multimap<uint64_t, Message> flying_;
    std::set<std::pair<size_t, size_t>> cut_;
    std::map<uint64_t, size_t> holders_;
    uint64_t last_term_ = 0, changes_ = 0;
    size_t last_holder_ = 2;
};

uint64_t runs_wanted() {
    const char* asked = std::getenv("HOLDFAST_RIGHT_RUNS");
    return asked ? std::strtoull(asked, nullptr, 10) : 1000;
}

void run_worlds(bool has_witness) {
    uint64_t changes = 0;
    for (uint64_t seed = 1; seed <= runs_wanted(); ++seed) {
        INFO("seed " << seed);
        World world(seed, has_witness);
        world.run(400);
        world.calm_and_claim();
        changes += world.changes();
    }
    // The right really moved in what was looked at.
    CHECK(changes > runs_wanted());
}

}  // namespace

TEST_CASE("right: with a witness two hosts never have it at once, whatever is lost, late, cut off or dies") {
    run_worlds(true);
}

TEST_CASE("right: without a witness two hosts never have it at once, and only fencing takes it from one that does not give it back") {
    run_worlds(false);
}

TEST_CASE("right: a holder counts its votes from when it asked for them, and trusts a tenth less of them than voters keep") {
    const RightRules rules{10 * second};
    Claimant claimant(rules, "alpha", 3, {}, {}, true, 1);
    Voter own(rules, "alpha", {}, true, 0), witness(rules, "witness", {}, true, 0);
    const uint64_t asked = 100 * second, answered = 104 * second;
    const auto first = claimant.claim(Claimant::Which::next, asked);
    REQUIRE(first.size() == 1);
    const auto others = claimant.take(0, own.take(first[0].claim, asked).vote, asked);
    REQUIRE(others.size() == 2);
    CHECK_FALSE(claimant.is_valid(asked));
    claimant.take(others[1].voter, witness.take(others[1].claim, answered).vote, answered);
    CHECK(claimant.is_valid(answered));
    CHECK(claimant.valid_until_ns() == asked + 9 * second);
    CHECK_FALSE(claimant.is_valid(asked + 9 * second));
    // The witness is bound from when it answered, and to nobody else before that has run out.
    CHECK_FALSE(witness.is_free_for("beta", answered + 10 * second - 1));
    CHECK(witness.is_free_for("beta", answered + 10 * second));
}

TEST_CASE("right: a holder hears of a term above its own and goes on above that; one that has lost its votes stops") {
    const RightRules rules{10 * second};
    Claimant claimant(rules, "alpha", 3, {}, {}, true, 1);
    const auto grant = [&](const Claimant::Ask& ask, uint64_t now) { return claimant.take(ask.voter, {ask.claim.id, true, {ask.claim.term}}, now); };
    const auto others = grant(claimant.claim(Claimant::Which::next, 0)[0], 0);
    grant(others[0], 0);
    REQUIRE(claimant.is_valid(0));
    claimant.take(others[1].voter, {others[1].claim.id, false, {{7, "beta"}}}, 0);
    CHECK(claimant.is_valid(0));
    const auto raised = claimant.tick(2 * second);
    REQUIRE(!raised.empty());
    CHECK(raised[0].claim.term == Term{8, "alpha"});

    // Its votes have run out, and somebody else has been promised more.
    const auto late = grant(claimant.tick(40 * second)[0], 40 * second);
    REQUIRE(!late.empty());
    CHECK_FALSE(claimant.is_valid(40 * second));
    const auto given_back = claimant.take(late[0].voter, {late[0].claim.id, false, {{9, "beta"}}}, 40 * second);
    CHECK_FALSE(given_back.empty());
    CHECK(std::all_of(given_back.begin(), given_back.end(), [](const Claimant::Ask& ask) { return ask.claim.gives_back; }));
    CHECK(claimant.tick(60 * second).empty());
}

TEST_CASE("right: a term that was given back is nobody's, whatever comes late") {
    Voter voter({0}, "beta", {}, true, 0);
    REQUIRE(voter.take({{3, "alpha"}, 1, false}, 0).vote.is_granted);
    CHECK_FALSE(voter.take({{4, "beta"}, 2, false}, 0).vote.is_granted);
    const auto back = voter.take({{3, "alpha"}, 3, true}, 0);
    CHECK(back.is_new);
    CHECK(voter.promise().term == Term{3, ""});
    CHECK_FALSE(voter.take({{3, "alpha"}, 1, false}, 0).vote.is_granted);
    CHECK(voter.take({{4, "beta"}, 4, false}, 0).vote.is_granted);
    // And takes nothing from who was promised a term since.
    CHECK_FALSE(voter.take({{3, "alpha"}, 3, true}, 0).is_new);
    CHECK(voter.promise().term == Term{4, "beta"});
}

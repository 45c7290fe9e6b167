// The saga by itself: what follows what, what takes back what, and what a new engine finds.
#include "ha/switchover/saga.h"

#include <catch2/catch.hpp>

using namespace holdfast;
using namespace holdfast::ha;
using Undo = StepRule::Undo;

namespace {

constexpr Procedure procedures[] = {Procedure::give, Procedure::take, Procedure::rescue};

// As a new engine would find it.
Saga reloaded(const Saga& saga) {
    auto loaded = Saga::load(Json::parse(saga.state().dump()));
    REQUIRE(loaded);
    CHECK(loaded->state() == saga.state());
    return std::move(*loaded);
}

// Every step succeeds up to FAILING, which fails; what takes back succeeds but for NOT_TAKEN_BACK. Steps that follow only a failure are reached by failing before.
struct Run {
    std::vector<Step> done, taken_back;
    std::optional<Outcome> outcome;
};
Run run(Procedure procedure, std::optional<Step> failing, std::optional<Step> not_taken_back = {}, bool prefers_failure = false) {
    Run run;
    Saga saga = Saga::begin(procedure, "one");
    while (const auto command = saga.command()) {
        REQUIRE(run.done.size() + run.taken_back.size() < 40);
        if (command->takes_back) {
            run.taken_back.push_back(command->step);
            saga.done(command->step == not_taken_back ? Verdict::failed : Verdict::done, "taken back");
        } else {
            run.done.push_back(command->step);
            const bool is_before_takeover = command->step < Step::claim_right && procedure == Procedure::rescue;
            const bool fails = command->step == failing || (prefers_failure && is_before_takeover && command->step != Step::weigh_loss);
            saga.done(fails ? Verdict::failed : Verdict::done, "it went so");
        }
        saga = reloaded(saga);
    }
    run.outcome = saga.outcome();
    return run;
}

}  // namespace

TEST_CASE("saga: without a failure the steps come in the order of the table") {
    const Run give = run(Procedure::give, {});
    CHECK(give.done == std::vector{Step::check_synchronized, Step::stop_application, Step::reach_barrier, Step::release_network, Step::hand_over});
    CHECK(give.outcome == Outcome::switched);
    const Run take = run(Procedure::take, {});
    // The backward journal captures before the application writes its first byte.
    CHECK(take.done == std::vector{Step::claim_right, Step::acquire_network, Step::begin_backward, Step::start_application});
    CHECK(take.outcome == Outcome::switched);
}

TEST_CASE("saga: a step that fails is taken back with all that was done before it, in reverse") {
    for (const Procedure procedure : {Procedure::give, Procedure::take}) {
        const auto rules = rules_of(procedure);
        for (size_t failing = 0; failing < rules.size(); ++failing) {
            const Run run = ::run(procedure, rules[failing].step);
            INFO(name_of(procedure) << " fails at " << name_of(rules[failing].step));
            CHECK(run.done.size() == failing + 1);
            std::vector<Step> expected;
            for (size_t position = failing + 1; position-- > 0;)
                if (rules[position].undo != Undo::nothing) expected.push_back(rules[position].step);
            if (rules[failing].step == Step::start_application) {
                // From here on nothing is taken back: it is said where everything stands.
                CHECK(run.taken_back.empty());
                CHECK(run.outcome == Outcome::needs_operator);
            } else if (rules[failing].step == Step::check_synchronized) {
                CHECK(run.taken_back.empty());
                CHECK(run.outcome == Outcome::aborted);
            } else {
                CHECK(run.taken_back == expected);
                CHECK(run.outcome == Outcome::restored);
            }
        }
    }
}

TEST_CASE("saga: what cannot be taken back") {
    // The rest is taken back all the same, and a person is asked.
    const Run network = run(Procedure::give, Step::hand_over, Step::release_network);
    CHECK(network.taken_back == std::vector{Step::hand_over, Step::release_network, Step::stop_application});
    CHECK(network.outcome == Outcome::needs_operator);
    // What is still mounted may be written to: the right stays where it is.
    const Run mounted = run(Procedure::take, Step::begin_backward, Step::begin_backward);
    CHECK(mounted.taken_back == std::vector{Step::begin_backward});
    CHECK(mounted.outcome == Outcome::needs_operator);
    // The right is asked for until somebody says whose it is.
    Saga saga = Saga::begin(Procedure::give, "one", Step::hand_over);
    saga.done(Verdict::timed_out, "no answer");
    for (int i = 0; i < 100; ++i) {
        REQUIRE(saga.command());
        CHECK(saga.command()->takes_back);
        CHECK(saga.command()->limit_ns == 0);
        saga.was_restarted();
        saga.done(Verdict::failed, "nobody answers");
    }
    CHECK(saga.entries().size() == 2);
    saga.done(Verdict::done, "it is ours");
    CHECK(saga.outcome() == Outcome::restored);
}

TEST_CASE("saga: a rescue cures, or has the master give, or takes over") {
    const Run cured = run(Procedure::rescue, {});
    CHECK(cured.done == std::vector{Step::contact_master, Step::cure_master});
    CHECK(cured.outcome == Outcome::cured);
    const Run given = run(Procedure::rescue, Step::cure_master);
    CHECK(given.done == std::vector{Step::contact_master, Step::cure_master, Step::ask_master, Step::claim_right, Step::acquire_network, Step::begin_backward, Step::start_application});
    CHECK(given.outcome == Outcome::switched);
    const Run taken = run(Procedure::rescue, Step::contact_master);
    CHECK(taken.done == std::vector{Step::contact_master, Step::weigh_loss, Step::fence_master, Step::claim_right, Step::acquire_network, Step::begin_backward, Step::start_application});
    CHECK(taken.outcome == Outcome::switched);
    // Without a fence the witness may know that the master's right has run out.
    CHECK(run(Procedure::rescue, Step::fence_master, {}, true).outcome == Outcome::switched);
    const Run declined = run(Procedure::rescue, Step::weigh_loss, {}, true);
    CHECK(declined.outcome == Outcome::declined);
    CHECK(declined.taken_back.empty());
    const Run failed = run(Procedure::rescue, Step::begin_backward, {}, true);
    CHECK(failed.taken_back == std::vector{Step::begin_backward, Step::acquire_network, Step::claim_right});
    CHECK(failed.outcome == Outcome::needs_operator);  // nobody serves
}

TEST_CASE("saga: a host that finds that the right is the other's leaves everything as it is") {
    for (const Procedure procedure : procedures)
        for (const StepRule& rule : rules_of(procedure)) {
            Saga saga = Saga::begin(procedure, "one", rule.step);
            saga.done(Verdict::theirs, "the other one took over");
            CHECK(saga.outcome() == Outcome::handed_over);
            CHECK_FALSE(saga.command());
        }
}

TEST_CASE("saga: what an engine died in is done again, and has failed after the third time") {
    Saga saga = Saga::begin(Procedure::give, "one");
    saga.done(Verdict::done, "it follows");
    for (uint32_t attempt = 1; attempt < attempts_max; ++attempt) {
        saga = reloaded(saga);
        saga.was_restarted();
        REQUIRE(saga.command()->step == Step::stop_application);
        CHECK_FALSE(saga.command()->takes_back);
    }
    saga = reloaded(saga);
    saga.was_restarted();
    CHECK(saga.command()->step == Step::stop_application);
    CHECK(saga.command()->takes_back);
    CHECK(saga.entries().back().verdict == Verdict::failed);
    // Each command has its own count.
    saga.was_restarted();
    CHECK(saga.command()->takes_back);
    saga.done(Verdict::done, "started");
    CHECK(saga.outcome() == Outcome::restored);
    saga = reloaded(saga);
    saga.was_restarted();
    CHECK(saga.outcome() == Outcome::restored);
}

TEST_CASE("saga: what begins later takes back nothing from before") {
    Saga saga = Saga::begin(Procedure::give, "one", Step::stop_application);
    saga.done(Verdict::failed, "it does not stop");
    CHECK(saga.command()->step == Step::stop_application);
    saga.done(Verdict::done, "it runs");
    CHECK(saga.outcome() == Outcome::restored);
}

TEST_CASE("saga: a state that makes no sense is refused with a sentence") {
    Saga saga = Saga::begin(Procedure::rescue, "one");
    saga.done(Verdict::failed, "nobody answers");
    const Json good = saga.state();
    REQUIRE(Saga::load(good));
    const auto refused = [&](const char* key, Json value) {
        Json bad = good;
        if (value.is_discarded()) bad.erase(key);
        else bad[key] = std::move(value);
        const auto loaded = Saga::load(bad);
        INFO(key << ": " << bad.dump());
        REQUIRE_FALSE(loaded);
        CHECK(loaded.error().code == ErrorCode::corrupt);
    };
    for (const char* key : {"id", "procedure", "first", "step", "takes_back", "lacks_something", "attempts", "begun", "entries"}) {
        refused(key, Json(Json::value_t::discarded));
        refused(key, nullptr);
        refused(key, 1.5);
        refused(key, Json::object());
    }
    refused("procedure", "steal");
    refused("step", "hand-over");         // of another procedure
    refused("step", "start-application");  // not begun
    refused("begun", Json::array({true}));
    refused("begun", Json(std::vector<int>(rules_of(Procedure::rescue).size(), 1)));
    refused("outcome", "won");
    refused("entries", Json::array({1}));
    refused("entries", Json::array({Json{{"step", "contact-master"}, {"took_back", false}, {"verdict", "maybe"}, {"sentence", ""}}}));
    CHECK_FALSE(Saga::load(Json::array()));
}

TEST_CASE("saga: names are read as they are written") {
    for (const Procedure procedure : procedures) {
        CHECK(parse_procedure(name_of(procedure)) == procedure);
        for (const StepRule& rule : rules_of(procedure)) CHECK(parse_step(name_of(rule.step)) == rule.step);
    }
    for (const Outcome outcome : {Outcome::switched, Outcome::aborted, Outcome::restored, Outcome::cured, Outcome::declined, Outcome::handed_over, Outcome::needs_operator})
        CHECK(parse_outcome(name_of(outcome)) == outcome);
    CHECK_FALSE(parse_step("dance"));
}

// Every step of a switchover, and whatever takes it back, fails in every way, in both directions, with a witness and without, while engines and machines are started anew:
// never do two hosts serve or write, nothing that clients were told is lost by a handover, and in the end somebody serves or a person is asked.
#include <catch2/catch.hpp>
#include <random>

#include "test/ha/switchover_world.h"

using namespace holdfast;
using namespace holdfast::ha;
using namespace holdfast::test;

namespace {

std::vector<Fault> all_faults() {
    std::vector<Fault> faults;
    for (size_t host = 0; host < 2; ++host)
        for (const Procedure procedure : {Procedure::give, Procedure::take, Procedure::rescue})
            for (const StepRule& rule : rules_of(procedure))
                for (int kind = 0; kind < fault_kinds; ++kind)
                    for (const bool takes_back : {false, true}) {
                        if (procedure == Procedure::rescue && takes_back) continue;
                        if (takes_back && rule.undo == StepRule::Undo::nothing) continue;
                        faults.push_back({host, rule.step, takes_back, static_cast<FaultKind>(kind)});
                    }
    return faults;
}

// What was begun is taken back, or goes on, without a person. What cannot be taken back is a person's, and so is an application that does not start.
bool is_made_good(const Fault& fault, bool is_alone) {
    switch (fault.kind) {
        case FaultKind::engine_dies_always:
            if (!is_alone) return false;  // with it the other way may be barred as well
            [[fallthrough]];
        case FaultKind::fails_before:
        case FaultKind::fails_after:
        case FaultKind::times_out: return !fault.takes_back && fault.step != Step::start_application;
        case FaultKind::engine_dies_before:
        case FaultKind::engine_dies_after:
        case FaultKind::link_is_cut:
        case FaultKind::host_is_cut_off: return true;
        default: return false;
    }
}

constexpr int ticks_max = 1500;  // longer than every limit and pause together

enum class Beginning { by_hand, application_broken, machine_lost, cut_off };

// What happened, when it is not as it must be.
std::string run(bool has_witness, size_t master, Beginning beginning, const std::vector<Fault>& faults, uint64_t seed) {
    SwitchoverWorld world(has_witness, master, faults, seed);
    world.run(5);
    if (beginning == Beginning::by_hand) world.begin_give();
    if (beginning == Beginning::application_broken) world.break_application();
    if (beginning == Beginning::machine_lost) world.lose_machine();
    if (beginning == Beginning::cut_off) world.isolate(200);
    // Two calm stretches are longer than any cut, restart or patience.
    for (int done = 0, calm = 0; done < ticks_max && calm < 2; done += 100) {
        world.run(100);
        calm = world.serving() == 1 && !world.has_unfinished() ? calm + 1 : 0;
    }
    if (!world.violation().empty()) return world.violation() + "\n" + world.story();
    if (world.serving() == 1) return {};
    const bool must_serve = beginning == Beginning::by_hand && std::all_of(faults.begin(), faults.end(), [&](const Fault& fault) { return is_made_good(fault, faults.size() == 1); });
    if (world.wants_operator() && !must_serve) return {};
    // Without a witness nobody takes over from a host that does not answer.
    const bool is_alone = !has_witness && (beginning != Beginning::by_hand || std::any_of(faults.begin(), faults.end(), [](const Fault& fault) {
                              return fault.kind == FaultKind::machine_is_gone || fault.kind == FaultKind::link_stays_cut || fault.kind == FaultKind::machine_dies_before ||
                                     fault.kind == FaultKind::machine_dies_after;
                          }));
    if (is_alone) return {};
    // The standby is gone, and the application of the other one is broken: nobody is there to look, or to take over.
    const bool nobody_is_left = world.is_gone(1 - master) && (world.is_gone(master) || beginning == Beginning::application_broken);
    return nobody_is_left ? "" : "nobody serves, and nobody was asked\n" + world.story();
}

constexpr Beginning beginnings[] = {Beginning::by_hand, Beginning::application_broken, Beginning::machine_lost, Beginning::cut_off};

}  // namespace

TEST_CASE("switchover: by hand, without a fault, the replica serves with everything, and back again") {
    for (const bool has_witness : {true, false})
        for (const size_t master : {0, 1}) {
            SwitchoverWorld world(has_witness, master, {}, 1);
            world.run(5);
            const uint64_t before = world.acknowledged();
            world.begin_give();
            world.run(60);
            INFO(world.story());
            CHECK(world.violation().empty());
            CHECK(world.serves(1 - master));
            CHECK_FALSE(world.serves(master));
            CHECK(world.last_outcome(1 - master) == Outcome::switched);
            CHECK(world.has(1 - master) > before);
        }
}

TEST_CASE("switchover: each step, and whatever takes it back, fails in each way") {
    uint64_t runs = 0;
    for (const Fault& fault : all_faults())
        for (const bool has_witness : {true, false})
            for (const size_t master : {0, 1})
                for (const Beginning beginning : beginnings) {
                    const std::string wrong = run(has_witness, master, beginning, {fault}, 1);
                    INFO(describe(fault) << ", witness " << has_witness << ", master " << master << ", beginning " << static_cast<int>(beginning) << "\n" << wrong);
                    REQUIRE(wrong.empty());
                    ++runs;
                }
    CHECK(runs > 5000);
}

TEST_CASE("switchover: a step fails, and then what takes it back fails in each way") {
    uint64_t runs = 0;
    const std::vector<Fault> faults = all_faults();
    for (const size_t master : {0, 1})
        for (const Procedure procedure : {Procedure::give, Procedure::take})
            for (const StepRule& rule : rules_of(procedure))
                for (const Fault& second : faults) {
                    if (!second.takes_back) continue;
                    const Fault first{procedure == Procedure::give ? master : 1 - master, rule.step, false, FaultKind::fails_after};
                    for (const bool has_witness : {true, false}) {
                        const std::string wrong = run(has_witness, master, Beginning::by_hand, {first, second}, 1);
                        INFO(describe(first) << "; " << describe(second) << ", witness " << has_witness << ", master " << master << "\n" << wrong);
                        REQUIRE(wrong.empty());
                        ++runs;
                    }
                }
    CHECK(runs > 4000);
}

TEST_CASE("switchover: several faults at once") {
    const std::vector<Fault> faults = all_faults();
    const char* asked = std::getenv("HOLDFAST_SWITCHOVER_RUNS");
    const uint64_t runs = asked ? std::strtoull(asked, nullptr, 10) : 3000;
    for (uint64_t seed = 1; seed <= runs; ++seed) {
        std::mt19937_64 random(seed);
        std::vector<Fault> chosen;
        for (uint64_t count = 2 + random() % 4; count > 0; --count) chosen.push_back(faults[random() % faults.size()]);
        const bool has_witness = random() % 2;
        const size_t master = random() % 2;
        const Beginning beginning = beginnings[random() % 4];
        const std::string wrong = run(has_witness, master, beginning, chosen, seed);
        std::string described;
        for (const Fault& fault : chosen) described += describe(fault) + "\n";
        INFO("seed " << seed << ", witness " << has_witness << ", master " << master << ", beginning " << static_cast<int>(beginning) << "\n" << described << wrong);
        REQUIRE(wrong.empty());
    }
}

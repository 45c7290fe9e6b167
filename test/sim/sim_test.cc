// The simulator's runs, by seed.
//
//   sim_test --runs 2000             from a seed of the clock, which is printed
//   sim_test --seed 17 --runs 1      one run again
//   sim_test --steps 300             how much goes wrong in each
//
// Ends at the first broken promise with the seed that leads there again. A case of the handshake that never came up in many
// runs is a failure as well: then the runs do not test what they claim.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>

#include "test/sim/simulation.h"

int main(int argc, char** argv) {
    uint64_t seed = std::random_device{}(), runs = 2000, steps = 150;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string option = argv[i];
        const uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
        if (option == "--seed") seed = value;
        else if (option == "--runs") runs = value;
        else if (option == "--steps") steps = value;
        else return std::fprintf(stderr, "sim_test: unknown option %s\n", option.c_str()), 2;
    }
    std::printf("seeds %lu to %lu, %lu steps each\n", seed, seed + runs - 1, steps);
    std::map<std::string, uint64_t> events;
    for (uint64_t run = 0; run < runs; ++run) {
        const auto report = holdfast::sim::simulate(seed + run, steps);
        for (const auto& [name, number] : report.events) events[name] += number;
        if (report.failure.empty()) continue;
        std::printf("FAILED: %s\nagain: sim_test --seed %lu --steps %lu --runs 1\n", report.failure.c_str(), seed + run, steps);
        return 1;
    }
    for (const auto& [name, number] : events) std::printf("%10lu  %s\n", number, name.c_str());
    // How many runs are enough to expect it: "ahead" comes up in one of a hundred and twenty.
    const std::pair<const char*, uint64_t> expected[] = {
        {"handshake: same", 200}, {"handshake: behind", 200}, {"handshake: forked", 200}, {"handshake: ahead", 3000},
        {"handshake: empty", 200}, {"handshake: unsound", 200}, {"handshake: nothing shared is kept", 200}, {"repairs", 200},
        {"segments compared that are full to the last byte", 200}};
    for (const auto& [name, enough] : expected) {
        if (runs < enough || events[name] > 0) continue;
        std::printf("FAILED: \"%s\" never came up\n", name);
        return 1;
    }
    std::printf("%lu runs, every promise kept\n", runs);
    return 0;
}

// Runs a fuzz target without libFuzzer: over its seeds, over the files named on the command line (inputs that once failed), and
// over random mutations of both, until so many or until the time is up.
//
//     record_fuzz_replay [--runs N] [--seconds S] [--seed X] [FILE...]

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "test/fuzz/target.h"

namespace {

using holdfast::fuzz::Input;

struct Options {
    uint64_t runs = UINT64_MAX;
    uint64_t seconds = 15;
    uint64_t seed = std::random_device{}();
    std::vector<std::string> files;
};

Options parse(int argc, char** argv) {
    Options options;
    for (int i = 1; i < argc; ++i) {
        const bool has_value = i + 1 < argc;
        if (has_value && !strcmp(argv[i], "--runs")) options.runs = strtoull(argv[++i], nullptr, 0);
        else if (has_value && !strcmp(argv[i], "--seconds")) options.seconds = strtoull(argv[++i], nullptr, 0);
        else if (has_value && !strcmp(argv[i], "--seed")) options.seed = strtoull(argv[++i], nullptr, 0);
        else options.files.push_back(argv[i]);
    }
    return options;
}

std::vector<Input> corpus_of(const std::vector<std::string>& files) {
    std::vector<Input> corpus{Input{}};
    for (Input& seed : holdfast::fuzz::seeds()) corpus.push_back(std::move(seed));
    for (const std::string& name : files) {
        std::ifstream file(name, std::ios::binary);
        corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    return corpus;
}

void mutate(Input& input, const std::vector<Input>& corpus, std::mt19937_64& random) {
    static constexpr uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff};
    for (uint64_t changes = random() % 6 + 1; changes > 0; --changes) {
        const size_t at = input.empty() ? 0 : random() % input.size();
        switch (random() % 6) {
            case 0: if (!input.empty()) input[at] ^= static_cast<uint8_t>(1u << random() % 8); break;
            case 1: if (!input.empty()) input[at] = static_cast<uint8_t>(random()); break;
            case 2: if (!input.empty()) input[at] = edges[random() % std::size(edges)]; break;
            case 3: input.resize(at); break;
            case 4: input.insert(input.begin() + static_cast<ptrdiff_t>(at), random() % 9, static_cast<uint8_t>(random())); break;
            case 5: {
                const Input& other = corpus[random() % corpus.size()];
                const size_t from = other.empty() ? 0 : random() % other.size();
                for (size_t i = 0; at + i < input.size() && from + i < other.size() && i < 16; ++i) input[at + i] = other[from + i];
                break;
            }
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    const Options options = parse(argc, argv);
    printf("seed %llu\n", static_cast<unsigned long long>(options.seed));
    fflush(stdout);
    std::mt19937_64 random(options.seed);
    const std::vector<Input> corpus = corpus_of(options.files);
    for (const Input& input : corpus) LLVMFuzzerTestOneInput(input.data(), input.size());
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(options.seconds);
    uint64_t run = 0;
    for (; run < options.runs; ++run) {
        if (run % 256 == 0 && std::chrono::steady_clock::now() >= deadline) break;
        Input input = corpus[random() % corpus.size()];
        mutate(input, corpus, random);
        LLVMFuzzerTestOneInput(input.data(), input.size());
    }
    printf("%llu inputs\n", static_cast<unsigned long long>(run + corpus.size()));
    return 0;
}

// Under libFuzzer: `TARGET --seeds DIR` writes the target's seeds as files, and that is all it does.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "test/fuzz/target.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
    if (*argc != 3 || strcmp((*argv)[1], "--seeds") != 0) return 0;
    int number = 0;
    for (const auto& seed : holdfast::fuzz::seeds()) {
        std::ofstream file(std::string((*argv)[2]) + "/seed-" + std::to_string(number++), std::ios::binary);
        file.write(reinterpret_cast<const char*>(seed.data()), static_cast<std::streamsize>(seed.size()));
        if (!file.flush()) exit(1);
    }
    exit(0);
}

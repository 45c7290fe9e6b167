// The operations that every_call_test interrupts. Each is what one application does in a directory of its own, and small:
// every system call that the capture worker makes for it is a place to die.
#pragma once

#include <span>

namespace holdfast::test {

struct CallCase {
    const char* name;
    void (*prepare)(int directory);
    // What the application gets: 0 or more for a success, -errno for an error.
    long (*act)(int directory);
};

std::span<const CallCase> call_cases();

}  // namespace holdfast::test

// HF_CHECK is for our own mistakes: arguments, states, transitions. It is always on, prints the condition
// and its place, and stops the process. Bytes from disk, network or a user are errors, never checks.
#pragma once

namespace holdfast {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}

#define HF_CHECK(condition)                                                  \
    do {                                                                     \
        if (!(condition)) [[unlikely]]                                       \
            ::holdfast::check_failed(#condition, __FILE__, __LINE__);        \
    } while (false)

// What a program says: run with a bound on its time, its standard output taken whole.
// Thread rule: any thread; blocks.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace holdfast {

inline constexpr size_t program_output_bytes_max = 1 << 20;

struct ProgramOutput {
    int status = 0;
    std::string text;  // of standard output; standard error is thrown away
};
// PATH is absolute. Everything that it started is killed when the time is up. Errors: not_found; unavailable: it took longer; io: a signal ended it, or it said more than
// program_output_bytes_max.
Result<ProgramOutput> output_of(const std::string& path, std::vector<std::string> arguments, int limit_ms);
// Where PATH of the environment finds NAME, by the usual places where it has none; "": nowhere.
std::string program_in_path(const std::string& name);

}  // namespace holdfast

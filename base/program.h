// Finding one of a product's own programs: beside the running one, however it was installed or built.
// Thread rule: reads the environment and the file system; any thread.
#pragma once

#include <string>

#include "base/result.h"

namespace holdfast {

// Looked for in the environment variable VARIABLE, then relative to the running binary: as installed, then beside it,
// then in the build tree.
struct ProgramPlace {
    const char* variable;
    const char* installed;   // relative to the running binary's directory
    const char* name;
    const char* build_tree;  // relative to the running binary's directory
};

// Errors: not_found with a sentence that says what to do.
Result<std::string> find_program(const ProgramPlace& place);

}  // namespace holdfast

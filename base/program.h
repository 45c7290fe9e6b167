// A product's own programs: finding one, beside the running one, however it was installed or built; and what it says by its
// exit status.
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

// The service of a store, which a mount starts, or a command while nothing is mounted.
inline constexpr ProgramPlace store_program{"HOLDFAST_STORE_BIN", "../libexec/holdfast/holdfast-store", "holdfast-store",
                                            "../rewind/holdfast-store"};

// Errors: not_found with a sentence that says what to do.
Result<std::string> find_program(const ProgramPlace& place);

// Where the running program was started from. Another file may lie there by now; own_program_link leads to the right one.
inline constexpr const char* own_program_link = "/proc/self/exe";
Result<std::string> own_program();

// What `ps` shows of this process from here on, in the place of the words that it was started with: for one that was forked and does something else.
void show_process_as(const std::string& words);

// Between our own programs, an exit status from here on carries an ErrorCode: so a full disk can be told from damage without reading
// sentences.
inline constexpr int exit_code_base = 100;
inline int exit_status_of(const Error& error) {
    return exit_code_base + static_cast<int>(error.code);
}
// The code that STATUS carries, or OTHERWISE.
ErrorCode error_code_of(int status, ErrorCode otherwise);

}  // namespace holdfast

// The two programs that a mount runs, held open from its start to its end.
//
// An upgrade replaces the files while directories are mounted. Whatever dies after that is started again from the file
// that was there when the mount began: it exists, it is whole, and supervisor and children understand each other. The
// new version serves from the next mount on.
//
// They are executed by descriptor, which a script does not survive: both must be binaries.
//
// Thread rule: immutable once open.
#pragma once

#include <string>

#include "base/child_process.h"
#include "base/result.h"

namespace holdfast::fusefs {

struct Programs {
    Program capture;  // this very program
    Program store;    // empty for a mount that records nothing

    // Errors: not_found with a sentence that says what to do.
    static Result<Programs> open(bool with_store);
};

}  // namespace holdfast::fusefs

// The command line by which the supervisor starts the other faces of this program: the capture worker, and journal
// recovery alone. Both ends are the same build, so the text is private; it is checked all the same, because a person
// may type it.
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace holdfast::fusefs {

struct WorkerArguments {
    bool recover_only = false;  // repair the journal, print the evidence, end
    std::string store;          // empty: null filter
    int keeper_fd = -1;
    int device_fd = -1;
    int backing_fd = -1;
    int view_fd = -1;           // a read-only view of it, for those who heal a gap; -1: there is none
    unsigned threads = 1;
    uint64_t session = 0;
    bool resumed = false;       // another worker has served this device before
    std::string bypass;         // not empty: a gap of this sentence is open for the whole session
    std::vector<uint64_t> left_out;  // nodes of directories that nobody gets into
    bool begin_bypass = false;  // and its beginning is not in the journal yet
};

std::vector<std::string> to_arguments(const WorkerArguments& arguments);
// Nothing: this is not a command line of that kind. ARGUMENTS without the program's name.
Result<std::optional<WorkerArguments>> parse_worker_arguments(const std::vector<std::string>& arguments);

}  // namespace holdfast::fusefs

#include "replicator/engine/store_child.h"

#include <fcntl.h>

#include "base/program.h"
#include "base/text.h"

namespace holdfast::replicator {

namespace {

constexpr int end_ms_max = 30'000;

Result<Program> open_program() {
    Program program{HF_TRY(find_program(store_program)), {}};
    program.file.reset(::open(program.path.c_str(), O_PATH | O_CLOEXEC));
    if (!program.file) return errno_error(errno, "open " + quoted(program.path));
    return program;
}

}  // namespace

Result<StoreChild> StoreChild::start(const std::string& store, uint64_t delay_ns) {
    const Program program = HF_TRY(open_program());
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "make a pipe");
    UniqueFd theirs(ends[0]), ours(ends[1]);
    auto child = HF_TRY(ChildProcess::start({.program = program,
                                             .arguments = {"run", store, "--until-eof", std::to_string(theirs.get()), "--delay", std::to_string(delay_ns)},
                                             .log_fd = STDERR_FILENO,
                                             .inherited = {theirs.get()}}));
    return StoreChild(std::move(child), std::move(ours));
}

void StoreChild::end() {
    keep_open_.reset();
    if (!child_.wait(end_ms_max)) child_.kill();
}

Status take_store_back(const std::string& store, journal::Lsn at) {
    const Program program = HF_TRY(open_program());
    auto child = HF_TRY(ChildProcess::start({.program = program,
                                             .arguments = {"take-back", store, "--to", std::to_string(at)},
                                             .log_fd = STDERR_FILENO,
                                             .ends_with_parent = true}));
    child.wait(-1);
    if (child.exited_with(0)) return ok();
    return Error{error_code_of(child.exit_status(), ErrorCode::io),
                 "the store " + quoted(store) + " could not be taken back to lsn " + std::to_string(at) + ": holdfast-store " + child.describe_end() +
                     "; its log has the reason"};
}

}  // namespace holdfast::replicator

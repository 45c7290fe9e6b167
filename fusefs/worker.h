// The capture worker: the process that serves one mount and writes its journal (docs/processes.md). The supervisor
// starts it with everything that has to outlive it; it can be killed at any instant and started again.
//
// In order: recover the journal (a predecessor may have died in the middle of operations), open the writer, begin the
// session, start the filter, answer on capture.sock, say READY. At the end the reverse: what the filter still owes is
// recorded, the backing tree is synced, SESSION_CLOSE says so.
//
// Threads: the filter's own; one that waits for the end of the supervisor and for signals; one that releases journal
// segments which every consumer has taken; those of the control socket.
#pragma once

#include "fusefs/worker_arguments.h"

namespace holdfast::fusefs {

// Exit statuses, understood by the supervisor.
inline constexpr int worker_ended = 0;                // the mount is gone, or a stop was asked for: the session is over
inline constexpr int worker_failed = 1;               // its last line on standard error says why
inline constexpr int worker_needs_comparison = 10;    // recovery found that the directory must be compared first
inline constexpr int worker_wants_successor = 11;     // ended in order on a signal while the mount lives on

int run_worker(const WorkerArguments& arguments);
// Journal recovery alone: prints its evidence as one line on standard output.
int run_recovery(const WorkerArguments& arguments);

}  // namespace holdfast::fusefs

// The first copy: fills an empty image with the backing tree. Interrupted, it is continued: what is there already is
// compared instead of copied; what the tree no longer has, or has elsewhere, is taken away first.
//
// Memory: the listing of one directory, the directories still to be visited, the ids of objects with several names.
// Thread rule: one thread.
#pragma once

#include "base/clock.h"
#include "rewind/baseline_sink.h"
#include "rewind/reconcile/backing_tree.h"
#include "rewind/work_progress.h"

namespace holdfast::rewind {

struct FirstCopyReport {
    uint64_t objects = 0;
    uint64_t bytes = 0;          // copied or cloned
    uint64_t already_there = 0;  // objects of an earlier, interrupted copy
};

// Everything is durable on return. Errors: io, no_space, unavailable (asked to stop); then call it again.
Result<FirstCopyReport> first_copy(const BackingTree& tree, BaselineSink& sink, const Image& image, const Clock& clock,
                                   const ProgressSink& progress);

}  // namespace holdfast::rewind

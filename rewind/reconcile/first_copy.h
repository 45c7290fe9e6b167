// The first copy: fills an empty image with a source tree. Interrupted, it is continued: what is there already is
// compared instead of copied; what the tree no longer has, or has elsewhere, is taken away first.
//
// Memory: the listing of one directory, the directories still to be visited, the ids of objects with several names.
// Thread rule: one thread.
#pragma once

#include "base/clock.h"
#include "rewind/baseline_sink.h"
#include "rewind/image.h"
#include "rewind/reconcile/source_tree.h"
#include "rewind/work_progress.h"

namespace holdfast::rewind {

class BackingTree;

struct FirstCopyReport {
    uint64_t objects = 0;
    uint64_t bytes = 0;          // copied or cloned
    uint64_t already_there = 0;  // objects of an earlier, interrupted copy
};

// How the regular files get their bytes.
class FileCopy {
public:
    virtual ~FileCopy() = default;
    // OBJECT has its name in the image; WAS_THERE: an earlier copy may have given it bytes, otherwise it is empty. Gives it its bytes and
    // what BaselineSink::finish() gives, now or by the end of finish().
    virtual Status copy(SourceDirectory& directory, const TreeObject& object, const XattrList& xattrs, bool was_there) = 0;
    virtual Status finish() = 0;
};

// Everything is durable on return. Errors: io, no_space, unavailable (asked to stop); then call it again.
Result<FirstCopyReport> first_copy(SourceTree& tree, FileCopy& files, BaselineSink& sink, const Image& image, const Clock& clock,
                                   const ProgressSink& progress);
// Of the backing tree of this host.
Result<FirstCopyReport> first_copy(BackingTree& tree, BaselineSink& sink, const Image& image, const Clock& clock,
                                   const ProgressSink& progress);

}  // namespace holdfast::rewind

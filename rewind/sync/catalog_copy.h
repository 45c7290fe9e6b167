// Fills an empty image from a catalog while that is still coming, page by page: the source tells of the next page while this one is made.
//
//     a page ──> each object is made; a small file has its bytes with it, those of another are asked for (remote_bytes.h)
//     the entries of a directory have all come ──> it gets its attributes, which they would have moved
//
// It decides by what has come until now, which an image that has something does not allow: there a name that is missing would be one that is
// deleted (reconcile/first_copy.h). What is left when it breaks off is continued by that.
//
// Memory: a page, the ids of objects with several names, what the catalog takes. Ownership: borrows everything. Thread rule: one thread.
#pragma once

#include <unordered_set>
#include <vector>

#include "rewind/baseline_sink.h"
#include "rewind/reconcile/pulse.h"
#include "rewind/sync/catalog.h"
#include "rewind/sync/remote_bytes.h"

namespace holdfast::rewind {

class CatalogCopy {
public:
    CatalogCopy(Catalog& catalog, RemoteBytes& large, BaselineSink& sink, const Clock& clock, const ProgressSink& progress)
        : catalog_(catalog), large_(large), sink_(sink), pulse_(sink, report_, clock, progress) {}

    // Errors: corrupt; io, no_space; unavailable (asked to stop).
    Status take(ByteSpan page);
    // No page is left. Everything is durable on return.
    Status finish();
    const FirstCopyReport& report() const { return report_; }

private:
    Status take(const CatalogObject& told);
    Status finish_directory(const ObjectId& id);

    Catalog& catalog_;
    RemoteBytes& large_;
    BaselineSink& sink_;
    FirstCopyReport report_;
    Pulse pulse_;
    ObjectId listed_;              // whose entries come now
    std::vector<ObjectId> ended_;  // whose entries have all come, in this page
    std::unordered_set<ObjectId> linked_;
};

}  // namespace holdfast::rewind

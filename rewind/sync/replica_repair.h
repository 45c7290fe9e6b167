// Makes a replica's store equal to its source at one moment, whatever it has.
//
//   1. the catalog of the source's tree is fetched whole                      nothing is changed until it is there
//      an empty store: it is filled while the catalog comes, with the bytes of small files (catalog_copy.h), and 2 and 3 fall away
//   2. a store without history: a first copy from the catalog (reconcile/first_copy.h), straight into the image
//      any other: the image is compared with it, and every difference is a record with undo, inside of a gap (store_target.h)
//   3. the bytes of files: digests of what is there, then what differs (remote_bytes.h)
//   4. the store stands at the point, durably, and the mark says that the repair is complete (repair_mark.h)
//
// Cut off anywhere it is called again, with a point that lies later perhaps; what was done is found equal then and costs its
// digests only.
//
// Thread rule: the thread of the store. Blocks on line and disk. Memory: as the parts say, and the directories of the tree.
#pragma once

#include "base/clock.h"
#include "base/json.h"
#include "rewind/store.h"
#include "rewind/sync/questions.h"
#include "rewind/sync/repair_mark.h"
#include "rewind/work_progress.h"

namespace holdfast::rewind {

struct RepairOptions {
    // More than half of at least deletion_brake_objects objects may be gone.
    bool accept_deletions = false;
    // Files of equal size and time of modification are taken for equal: their bytes are not compared. Not in a repair that goes on with one that was
    // cut off, because that may have set a time and not brought the bytes yet.
    bool trust_times = false;
    ProgressSink progress;
};

struct RepairEvidence {
    bool is_first_copy = false;
    uint64_t objects = 0;         // that the source has
    uint64_t files_compared = 0;
    uint64_t files_trusted = 0;
    uint64_t bytes_compared = 0;
    uint64_t bytes_received = 0;
    uint64_t bytes_written = 0;
    uint64_t repairs = 0;         // records
    uint64_t objects_removed = 0;
    double seconds = 0;
    std::string sentence;
};
Json to_json(const RepairEvidence& evidence);

// Errors: corrupt (the source makes no sense), permission (the brake; nothing was deleted), unsupported, unavailable (asked to stop, the
// line broke), no_space, io.
Result<RepairEvidence> repair_replica(Store& store, Disk& store_disk, const std::string& store_directory, const RepairPoint& point, SyncLine& line,
                                      const RepairOptions& options, const Clock& clock);

}  // namespace holdfast::rewind

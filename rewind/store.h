// A store: image, graveyard, undo log and index of one volume, opened together by one process at a time.
//
// Opening recovers (docs/guarantees.md has the crash scenarios): the undo log's torn tail is cut, the index takes in
// what it missed, and records between the image's last sync point and the undo log's end are applied again
// without saving what they overwrite. What was found and done is in evidence().
//
// After an error of apply(), take_back(), checkpoint() or prune() the store is fenced: each of them answers the same error until the
// store is opened again, which repairs what the error left half done. Views go on.
//
// Thread rule: the methods that change something from one thread; everything const from any thread.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/disk.h"
#include "base/result.h"
#include "journal/reader.h"
#include "journal/volume.h"
#include "rewind/chains.h"
#include "rewind/index/index.h"
#include "rewind/standby/standby_tree.h"
#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

class BaselineSink;
class Batch;
class Image;
struct MendReport;

class Store {
public:
    // The records that must be applied again are read from the volume's journal; of those that it lost it is told in
    // evidence(), and the moments from there to the end of the gap that repairs it are not offered. Errors: busy (another process has it open), foreign,
    // corrupt, io.
    // AS_IT_IS: for one whose image cannot be brought forward, and is to be repaired: nothing is applied again, nothing is applied until it was repaired, and
    // no moment since the last checkpoint is offered.
    enum class Opening { brought_forward, as_it_is };
    static Result<std::unique_ptr<Store>> open(const journal::Volume& volume, journal::Reader& journal, const Clock& clock, Opening opening = Opening::brought_forward);
    ~Store();

    // Applies one batch: records from READER (at applied()) until its published end or until they are BYTES: undo durable,
    // indexed, image changed, position advanced. Stops before the first record that is younger than UNTIL_NS. Returns the bytes
    // taken; 0: there was nothing.
    Result<uint64_t> apply(journal::Reader& reader, uint64_t bytes, uint64_t until_ns = UINT64_MAX);
    // Goes on at AT, when nothing lies between applied() and AT because the journal lost it: its recovery says so, and the
    // stream goes on there with a gap. Durable with the next checkpoint. REQUIRES: AT >= applied().
    Status skip_to(Lsn at);
    // Takes image and history back to AT: nothing later was ever applied then, and the stream goes on at AT. For a replica whose
    // source's history parted from its own there; who wants to keep what goes has kept the journal of it. Durable on
    // return; a crash in between is made up for by the next open(). Nothing to do when AT is at or after applied().
    // REQUIRES: no View of this store is in use. Errors: not_found (AT lies before the window, or a record reaches across it), and
    // then nothing is changed; io, no_space, corrupt.
    Status take_back(Lsn at);
    // Syncs the image and persists the position that the journal may forget below. Durable on return.
    Result<Lsn> checkpoint();
    // Drops history that the volume's limits no longer cover. Returns the bytes freed. Moments that go are refused
    // before anything of them is dropped.
    Result<uint64_t> prune();
    Status compact();  // the index

    // The first copy. While STORE/first-copy exists it is pending: nothing is applied and no moment is offered.
    bool first_copy_pending() const;
    std::unique_ptr<BaselineSink> baseline();  // REQUIRES: first_copy_pending()
    // The image is the state at AT: history begins there. Durable on return, STORE/first-copy is gone.
    Status finish_first_copy(Lsn at);

    // An empty replica's store is to be filled by a first copy after all. REQUIRES: the image and the window are empty. Durable on return.
    Status begin_first_copy();
    // True: nothing was ever applied, and nothing is there.
    bool is_empty() const;

    // A repair (sync/): records that are in no journal bring the image to the state at UNTIL, with undo. From begin_repair() on apply()
    // takes nothing, until finish_repair() says that it is reached: the stream goes on there. Both durable on return. A store that dies
    // in between is opened with what was repaired, and is_repairing(); begin_repair() then goes on, perhaps to another moment.
    // REQUIRES: UNTIL is after what is applied.
    Status begin_repair(Lsn until);
    // Whether it was opened as it is, and applies nothing until it is repaired.
    bool awaits_repair() const;
    // Puts right, before it is compared, what somebody did to the image behind the product's back (mend_image.h). STEP ends it with an error; it may
    // be repeated. Durable with the next checkpoint.
    Result<MendReport> mend(const std::function<Status()>& step);
    bool is_repairing() const;
    // Records with addresses from applied() on, repair_record_step apart; a GAP_END is the last and stands right before UNTIL.
    Status apply_repairs(Batch& batch);
    Status finish_repair();  // REQUIRES: has_reached_repair()
    bool has_reached_repair() const;  // applied() is UNTIL

    Lsn applied() const;       // the image and the views know everything below this
    Lsn window_begin() const;  // the oldest moment
    uint64_t graveyard_bytes() const;  // as of the last prune()
    const std::string& evidence() const;
    // Positions of the history that the image has, as far as they are known (chains.h). What changed since one of them and lies in the window has events in
    // the index from there on. Any thread.
    std::vector<ChainPoint> chains() const;
    // Whether views exist at AT: inside the window, not inside a gap. Errors: gap, not_found, with a sentence.
    Status check_moment(Lsn at) const;

    // The standby tree of a replica's volume that has one; nothing for others.
    std::optional<StandbyTree::Condition> standby() const;  // any thread
    // A step of it towards what the image is. True: there is more to do at once. While the store is being filled or repaired it stays as it is.
    bool advance_standby();
    void save_standby();
    // It is compared from the beginning, by the next advance_standby(). Errors: unsupported (there is none), io.
    Status compare_standby();

    const Image& image() const;
    const UndoLog& undo_log() const;
    const Index& index() const;

private:
    class Impl;
    explicit Store(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::rewind

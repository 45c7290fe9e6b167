// The writing half of the undo log: its tail, the rotation of segments, the fence, and what other threads may see.
//
// The order in which a segment ends and the next begins: seal, sync, new file with its header, sync, sync of the
// directory, first record. So whatever stands in a segment, everything in older ones is durable, and a file without a
// whole header holds nothing.
//
// Records gather in memory and are written in large pieces, at the latest by sync().
//
// Thread rule: begin(), end(), last_lsn(), end_lsn() from any thread, everything else from the applier's thread.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "base/disk.h"
#include "rewind/undo/undo_files.h"
#include "rewind/undo/undo_tail.h"

namespace holdfast::rewind {

class UndoAppender {
public:
    UndoAppender(Disk& disk, const journal::VolumeId& volume, uint64_t segment_bytes, size_t write_bytes, UndoFiles& files);

    // Continues where SURVEY found the end, after it was cut there.
    Status load(UndoSurvey survey);
    Status append(UndoRecord& record);
    Status sync();
    Result<UndoAddress> drop_below(UndoAddress address);

    UndoAddress begin() const { return begin_; }
    UndoAddress end() const { return end_; }
    Lsn last_lsn() const { return last_lsn_; }
    Lsn end_lsn() const { return end_lsn_; }

private:
    UndoAddress tail_address() const;
    uint32_t unsynced_bytes() const;
    void publish();
    Error fence(Error error);
    Status make_room(size_t length);
    Status seal();
    Status make_segment(uint64_t index);
    Status fill_header(File& file, uint64_t index);
    Status write(UndoRecord& record);
    Status write_pending();

    Disk& disk_;
    const journal::VolumeId volume_;
    const uint64_t segment_bytes_;
    const size_t write_bytes_;
    UndoFiles& files_;

    UndoTail tail_;
    std::shared_ptr<File> tail_file_;      // null: no segment is open for appending
    std::vector<std::byte> pending_;       // what lies before the tail and was not written yet
    std::optional<Lsn> group_lsn_;         // set while the parts of one journal record are being appended
    UndoAddress durable_ = 0;              // everything below survives a power cut
    std::optional<Error> fenced_;

    std::atomic<UndoAddress> begin_{HF_UNDO_SEGMENT_HEADER_BYTES};
    std::atomic<UndoAddress> end_{HF_UNDO_SEGMENT_HEADER_BYTES};
    std::atomic<Lsn> last_lsn_{0};
    std::atomic<Lsn> end_lsn_{0};
};

}  // namespace holdfast::rewind

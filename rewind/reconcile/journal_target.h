// The real image and the real journal behind a repair. Answers come from the image; settling applies what was appended. The gap and the journal's writer are opened by the first record: a comparison that finds
// nothing leaves nothing behind.
//
// Ownership: borrows store, reader (at store.applied()) and everything in JournalPlace.
// Thread rule: one thread.
#pragma once

#include <memory>

#include "base/clock.h"
#include "journal/reader.h"
#include "journal/volume.h"
#include "journal/writer.h"
#include "rewind/reconcile/image_answers.h"

namespace holdfast::rewind {

// Where a sealed journal goes on.
struct JournalPlace {
    const journal::Volume& volume;
    Disk& disk;
    journal::InflightTable& table;
    const Clock& clock;
    journal::StreamEnd end;
};

struct GapStory {
    hf_gap_reason reason = HF_GAP_NOT_MOUNTED;
    uint64_t since_ns = 0;
    std::string sentence;
    bool is_open = false;  // the journal ends inside of a gap that was opened before
};

class JournalTarget final : public ImageAnswers {
public:
    JournalTarget(const JournalPlace& place, Store& store, journal::Reader& reader, GapStory story);

    Status append(const journal::Record& record) override;
    Status settle() override;
    Result<ObjectId> fresh_id() override;

    // A record outside of any gap: something that really happened and that nobody was there to record.
    Status append_event(const journal::Record& record);
    Status open_gap();
    // Ends the gap, if there is one, and makes everything durable in journal and image.
    Status close_gap();
    journal::Lsn gap_begin() const { return gap_begin_; }
    journal::Lsn gap_end() const { return gap_end_; }

private:
    Status open_writer();
    Status append_gap(bool begin, journal::Lsn* at);
    Status make_room();

    const JournalPlace& place_;
    Store& store_;
    journal::Reader& reader_;
    GapStory story_;
    std::unique_ptr<journal::Writer> writer_;
    journal::Lsn gap_begin_ = 0;
    journal::Lsn gap_end_ = 0;
};

}  // namespace holdfast::rewind

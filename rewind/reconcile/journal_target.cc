#include "rewind/reconcile/journal_target.h"

#include "journal/cursor.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t apply_batch_bytes = 8 << 20;

}  // namespace

JournalTarget::JournalTarget(const JournalPlace& place, Store& store, journal::Reader& reader, GapStory story)
    : ImageAnswers(store), place_(place), store_(store), reader_(reader), story_(std::move(story)) {}

Status JournalTarget::open_writer() {
    if (writer_) return ok();
    journal::WriterOptions options;
    options.segment_bytes = place_.volume.segment_bytes;
    options.journal_bytes_max = place_.volume.journal_bytes_max;
    auto writer = journal::Writer::open(place_.disk, place_.table, place_.clock, place_.volume.id, place_.end, options);
    if (!writer) return std::move(writer).error().within("open the journal for repairs");
    writer_ = std::move(*writer);
    return ok();
}

Status JournalTarget::append_gap(bool begin, journal::Lsn* at) {
    HF_TRY(open_writer());
    journal::Record record;
    record.type = begin ? HF_GAP_BEGIN : HF_GAP_END;
    record.body = journal::Gap{begin, story_.reason, story_.since_ns, story_.sentence};
    *at = HF_TRY(writer_->append(record));
    return ok();
}

Status JournalTarget::open_gap() {
    if (story_.is_open) return ok();
    HF_TRY(append_gap(true, &gap_begin_));
    story_.is_open = true;
    return ok();
}

Status JournalTarget::append(const journal::Record& record) {
    HF_TRY(open_gap());
    HF_TRY(open_writer());
    HF_TRY(writer_->append(record));
    return ok();
}

Status JournalTarget::append_event(const journal::Record& record) {
    HF_TRY(open_writer());
    HF_TRY(writer_->append(record));
    return ok();
}

Status JournalTarget::settle() {
    forget_open();
    while (HF_TRY(store_.apply(reader_, apply_batch_bytes)) > 0) {
    }
    return make_room();
}

// A repair may be larger than the journal may grow: what is applied goes, unless another consumer still needs it.
Status JournalTarget::make_room() {
    if (!writer_ || writer_->used_bytes() < place_.volume.journal_bytes_max / 2) return ok();
    // The writer keeps what is not on its disk yet, whoever has it.
    HF_TRY(writer_->sync(writer_->published()));
    HF_TRY(store_.checkpoint());
    auto cursors = HF_TRY(open_disk(place_.volume.journal_directory + "/cursors"));
    if (const auto lowest = HF_TRY(journal::lowest_cursor(*cursors, place_.volume.id)))
        HF_TRY(writer_->release_below(*lowest));
    return ok();
}

Result<ObjectId> JournalTarget::fresh_id() {
    HF_TRY(open_gap());
    HF_TRY(open_writer());
    // An address of the stream is used once, and origin 0 belongs to no host. The root, inode 1, lies in a header.
    return ObjectId{writer_->published(), 0, 0};
}

Status JournalTarget::close_gap() {
    if (story_.is_open) {
        auto ended = append_gap(false, &gap_end_);
        if (!ended && ended.error().code == ErrorCode::no_space) {
            HF_TRY(settle());
            ended = append_gap(false, &gap_end_);
        }
        HF_TRY(std::move(ended));
        story_.is_open = false;
    }
    if (writer_) {
        HF_TRY(writer_->sync(writer_->published()));
        HF_TRY(settle());
    }
    HF_TRY(store_.checkpoint());
    return ok();
}

}  // namespace holdfast::rewind

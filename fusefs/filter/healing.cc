#include "fusefs/filter/healing.h"

#include <algorithm>

namespace holdfast::fusefs {

using journal::Lsn;
using journal::Record;

namespace {

// What a repair consists of. Nothing else is written into a journal for somebody else.
bool is_repair(const Record& record) {
    switch (record.type) {
        case HF_WRITE: case HF_TRUNCATE: case HF_FALLOCATE: case HF_CREATE: case HF_MKDIR: case HF_MKNOD: case HF_SYMLINK: case HF_LINK:
        case HF_UNLINK: case HF_RMDIR: case HF_RENAME: case HF_SETATTR: case HF_SETXATTR: case HF_REMOVEXATTR: case HF_ORPHAN_END:
            return record.flags & HF_RECORD_REPAIR;
        default:
            return false;
    }
}

}  // namespace

journal::HealState Healing::state() const {
    Recorder& recorder = shared_.recorder;
    const uint64_t enough = std::max(limits_.journal_bytes_max / 2, journal::journal_segments_min * limits_.segment_bytes);
    journal::HealState state;
    state.is_paused = recorder.in_gap();
    state.is_everything = recorder.dirty().is_everything();
    state.has_room = recorder.writer()->used_bytes() <= enough && !recorder.writer()->is_fenced();
    state.published = recorder.writer()->published();
    state.objects = recorder.dirty().objects();
    return state;
}

Result<journal::Touched> Healing::take() {
    give_back();
    closed_.emplace(shared_.gate);
    Recorder& recorder = shared_.recorder;
    if (!recorder.in_gap() || recorder.dirty().is_everything()) {
        closed_.reset();
        return Error{ErrorCode::unavailable, "there is no gap that what was touched could end"};
    }
    // Times that were not recorded yet are noted by this, whatever they are of.
    shared_.flush_times(~uint64_t{0}, true);
    shared_.end_the_rest();
    taken_ = recorder.dirty().take();
    journal::Touched touched{taken_, {}};
    for (journal::TouchedObject& object : touched.objects) object.handle = shared_.ids.handle_of(object.id).bytes;
    for (const journal::ObjectId& orphan : shared_.orphans.files()) touched.nameless.push_back({orphan, shared_.ids.handle_of(orphan).bytes, {}, {}});
    return touched;
}

Result<journal::HealAppended> Healing::append(ByteSpan records) {
    journal::Writer& writer = *shared_.recorder.writer();
    if (!shared_.recorder.in_gap()) return Error{ErrorCode::unavailable, "the gap is over"};
    journal::HealAppended appended;
    for (const Record& record : HF_TRY(journal::records_of(records))) {
        if (!is_repair(record)) return Error{ErrorCode::corrupt, "a record that is no repair was to heal a gap"};
        const auto done = writer.append(record);
        if (!done && done.error().code == ErrorCode::no_space) break;
        if (!done) return done.error();
        ++appended.records;
    }
    appended.end = writer.published();
    return appended;
}

void Healing::done() {
    taken_.clear();
    closed_.reset();
}

Result<Lsn> Healing::end_gap() {
    if (!closed_) return Error{ErrorCode::invalid_argument, "a gap ends only while nothing changes"};
    if (!shared_.recorder.in_gap() || shared_.recorder.dirty().is_everything()) return Error{ErrorCode::unavailable, "there is no gap that could end so"};
    const Lsn end = HF_TRY(shared_.recorder.end_gap());
    done();
    return end;
}

void Healing::give_back() {
    shared_.recorder.dirty().give_back(taken_);
    taken_.clear();
    closed_.reset();
}

}  // namespace holdfast::fusefs

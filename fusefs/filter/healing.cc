#include "fusefs/filter/healing.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/file_handle.h"

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
    const uint64_t enough = healing_bytes_max(limits_.journal_bytes_max, limits_.segment_bytes);
    journal::HealState state;
    state.is_paused = recorder.in_gap();
    state.is_everything = recorder.dirty().is_everything() || shared_.wiring.backing_view_fd < 0;
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
    told_ = {taken_, {}};
    // The comparison begins at the top, whether that was touched or not.
    const auto is_top = [](const journal::TouchedObject& object) { return object.id == journal::root_object; };
    if (std::none_of(taken_.begin(), taken_.end(), is_top)) told_.objects.push_back({journal::root_object, {}, {}, {}});
    for (journal::TouchedObject& object : told_.objects) object.handle = shared_.ids.handle_of(object.id).bytes;
    for (const journal::ObjectId& orphan : shared_.orphans.files()) told_.nameless.push_back({orphan, shared_.ids.handle_of(orphan).bytes, {}, {}});
    return told_;
}

Result<journal::HealOpened> Healing::open_places(std::span<const journal::TouchedPlace> asked) {
    if (!closed_) return Error{ErrorCode::invalid_argument, "what was touched is looked at only while nothing changes"};
    journal::HealOpened opened;
    for (const journal::TouchedPlace& place : asked) {
        auto fd = open_place(place);
        if (fd) {
            const FileHandle handle = HF_TRY(file_handle_at(fd->get(), ""));
            shown_.insert(handle.bytes);
        }
        opened.add(std::move(fd));
    }
    return opened;
}

Result<UniqueFd> Healing::open_place(const journal::TouchedPlace& asked) const {
    const size_t named = told_.objects.size();
    if (asked.object >= named + told_.nameless.size()) return errno_error(EINVAL, "show what was not touched");
    const journal::TouchedObject& object = asked.object < named ? told_.objects[asked.object] : told_.nameless[asked.object - named];
    UniqueFd fd = HF_TRY(open_file_handle(shared_.wiring.backing_view_fd, {object.handle}, O_PATH | O_NOFOLLOW));
    if (asked.name == journal::TouchedPlace::itself) return fd;
    if (asked.name >= object.names.size()) return errno_error(EINVAL, "show a name that was not touched");
    UniqueFd entry(::openat(fd.get(), object.names[asked.name].c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!entry) return errno_error(errno, "open a name that was touched");
    return entry;
}

Result<UniqueFd> Healing::open_file(const FileHandle& handle) const {
    if (!shown_.contains(handle.bytes)) return errno_error(EPERM, "open what was not touched");
    const UniqueFd place = HF_TRY(open_file_handle(shared_.wiring.backing_view_fd, handle, O_PATH | O_NOFOLLOW));
    struct stat status;
    if (::fstat(place.get(), &status) != 0) return errno_error(errno, "look at what was touched");
    // To open a pipe would be noticed by who has its other end.
    if (!S_ISREG(status.st_mode)) return errno_error(EPERM, "open what is no file");
    return open_file_handle(shared_.wiring.backing_view_fd, handle, O_RDONLY | O_NONBLOCK);
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
    shared_.recorder.count_repaired(taken_);
    forget();
}

Result<Lsn> Healing::end_gap() {
    if (!closed_) return Error{ErrorCode::invalid_argument, "a gap ends only while nothing changes"};
    if (!shared_.recorder.in_gap() || shared_.recorder.dirty().is_everything()) return Error{ErrorCode::unavailable, "there is no gap that could end so"};
    const Lsn end = HF_TRY(shared_.recorder.end_gap(taken_));
    forget();
    return end;
}

void Healing::forget() {
    taken_.clear();
    told_ = {};
    shown_.clear();
    closed_.reset();
}

void Healing::give_back() {
    shared_.recorder.dirty().give_back(taken_);
    forget();
}

}  // namespace holdfast::fusefs

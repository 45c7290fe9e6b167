#include "rewind/reconcile/journal_target.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "journal/cursor.h"
#include "rewind/extents.h"
#include "rewind/image.h"
#include "rewind/read_directory.h"
#include "rewind/reconcile/backing_tree.h"
#include "rewind/view.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t apply_batch_bytes = 8 << 20;

}  // namespace

JournalTarget::JournalTarget(const JournalPlace& place, Store& store, journal::Reader& reader, GapStory story)
    : place_(place), store_(store), reader_(reader), story_(std::move(story)) {}

Result<std::optional<ImageLocation>> JournalTarget::find(const ObjectId& object) {
    return store_.index().location(object);
}

// Nothing is applied while questions are asked, so the image is the present and no undo needs to be looked for.
Result<int> JournalTarget::open_object(const ObjectId& object) {
    if (opened_ && opened_id_ == object) return opened_.get();
    const auto location = HF_TRY(store_.index().location(object));
    if (!location)
        return Error{ErrorCode::corrupt, "object " + journal::to_string(object) + " has no place in the image"};
    const uint32_t type = location->mode & S_IFMT;
    const int flags = type == S_IFREG ? O_RDONLY | O_NOATIME : type == S_IFDIR ? O_RDONLY | O_DIRECTORY : O_PATH | O_NOFOLLOW;
    opened_ = HF_TRY(store_.image().open_object(*location, flags));
    opened_id_ = object;
    return opened_.get();
}

Result<std::vector<ViewEntry>> JournalTarget::list(const ObjectId& directory) {
    const int fd = HF_TRY(open_object(directory));
    std::vector<ViewEntry> entries;
    HF_TRY(read_directory(fd, [&](const DirectoryEntry& entry) -> Status {
        const ObjectId object = HF_TRY(store_.image().object_of(fd, entry.name));
        uint32_t type = entry.type;
        if (type == 0) {
            const auto location = HF_TRY(store_.index().location(object));
            if (location) type = location->mode & S_IFMT;
        }
        entries.push_back({entry.name, object, type});
        return ok();
    }));
    return entries;
}

Result<std::vector<ImageName>> JournalTarget::names(const ObjectId& object) {
    // The index tells every name that the object ever had; those that lead to it now are its names.
    std::vector<ImageName> names;
    const View now(store_, store_.applied());
    for (auto& event : HF_TRY(store_.index().names_of(object))) {
        const bool is_known = std::any_of(names.begin(), names.end(), [&](const ImageName& name) {
            return name.directory == event.directory && name.name == event.name;
        });
        if (is_known) continue;
        const auto directory = HF_TRY(store_.index().location(event.directory));
        if (!directory || directory->links == 0) continue;
        const auto found = now.lookup(event.directory, event.name);
        if (!found && found.error().code == ErrorCode::not_found) continue;
        if (!found) return found.error();
        if (*found == object) names.push_back({event.directory, std::move(event.name)});
    }
    return names;
}

Result<ObjectAttributes> JournalTarget::attributes(const ObjectId& object) {
    return store_.image().attributes_of(HF_TRY(open_object(object)));
}

Result<XattrList> JournalTarget::xattrs(const ObjectId& object) {
    return xattrs_at(HF_TRY(open_object(object)), "");
}

Result<size_t> JournalTarget::read(const ObjectId& object, uint64_t offset, MutableByteSpan into) {
    return read_fully(HF_TRY(open_object(object)), offset, into);
}

Result<std::vector<DataExtent>> JournalTarget::data_extents(const ObjectId& object) {
    return data_extents_of(HF_TRY(open_object(object)));
}

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
    opened_.reset();
    while (HF_TRY(store_.apply(reader_, apply_batch_bytes)) > 0) {
    }
    return make_room();
}

// A repair may be larger than the journal may grow: what is applied goes, unless another consumer still needs it.
Status JournalTarget::make_room() {
    if (!writer_ || writer_->used_bytes() < place_.volume.journal_bytes_max / 2) return ok();
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

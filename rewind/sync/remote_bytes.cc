#include "rewind/sync/remote_bytes.h"

#include <algorithm>
#include <cstring>

#include "rewind/sync/sync_pipe.h"

namespace holdfast::rewind {

namespace {

// What a question costs beside its bytes, so that many small files are no burden.
constexpr uint64_t question_bytes = 4096;

// A part of a file, as an answer tells it: WRITE records in order, all of one object, within PIECE and FILE_BYTES.
class AnsweredContents final : public FileContents {
public:
    static Result<AnsweredContents> parse(const SyncAnswer& answer, const RemoteBytes::File& file, const DataExtent& piece) {
        AnsweredContents contents;
        uint64_t end = piece.offset;
        const uint64_t stop = std::min(piece.offset + piece.length, file.object.attributes.size);
        for (ByteSpan rest = answer.payload; !rest.empty();) {
            const FoundRecord found = HF_TRY(take_record(rest));
            rest = rest.subspan(found.bytes);
            if (found.record.type != HF_WRITE || found.record.object != file.object.id) return unexpected();
            const auto& write = found.record.as<journal::Write>();
            if (write.offset < end || write.offset + write.data.size() > stop) return unexpected();
            end = write.offset + write.data.size();
            if (!write.data.empty()) contents.writes_.push_back(write);
        }
        return contents;
    }
    Result<std::vector<DataExtent>> data_extents() override {
        std::vector<DataExtent> extents;
        for (const journal::Write& write : writes_) extents.push_back({write.offset, write.data.size()});
        return extents;
    }
    // Asked for parts of one extent only.
    Result<size_t> read(uint64_t offset, MutableByteSpan into) override {
        const auto write = std::partition_point(writes_.begin(), writes_.end(), [&](const journal::Write& w) { return w.offset + w.data.size() <= offset; });
        if (write == writes_.end() || write->offset > offset) return size_t{0};
        const size_t count = std::min<size_t>(into.size(), write->offset + write->data.size() - offset);
        std::memcpy(into.data(), write->data.data() + (offset - write->offset), count);
        return count;
    }

private:
    static Error unexpected() { return {ErrorCode::corrupt, "the source answered with bytes that were not asked for"}; }
    std::vector<journal::Write> writes_;
};

}  // namespace

Status RemoteBytes::compare(const TreeObject& object, XattrList xattrs, uint64_t image_size) {
    ImageFile image = HF_TRY(repair_.look_at(object, image_size));
    auto file = std::make_shared<File>(File{object, std::move(xattrs), std::move(image), false, 1});
    ++files_;
    file->was_changed = image_size != object.attributes.size;
    HF_TRY(repair_.set_size(object, file->image));
    if (object.attributes.size == 0) return close_task(file);
    tasks_.push_back({file, {0, object.attributes.size}, !file->image.data.empty()});
    return drive(false);
}

Status RemoteBytes::drain() {
    return drive(true);
}

Status RemoteBytes::drive(bool to_the_end) {
    for (;;) {
        while (!tasks_.empty() && questions_.bytes_under_way() < sync_under_way_bytes_max) HF_TRY(begin_next());
        if (questions_.is_empty() && tasks_.empty()) return ok();
        if (!to_the_end && tasks_.size() < waiting_files_max && questions_.bytes_under_way() < sync_under_way_bytes_max) return ok();
        HF_TRY(questions_.wait());
        HF_TRY(ledger_.report());
    }
}

// Asks for the next piece of the first task.
Status RemoteBytes::begin_next() {
    Task& task = tasks_.front();
    const uint64_t step = task.by_digest ? digested_at_once_max : sync_bytes_at_once_max;
    // Pieces end at multiples of their size.
    const DataExtent piece{task.range.offset, std::min(task.range.length, step - task.range.offset % step)};
    ++task.file->open_tasks;
    HF_TRY(task.by_digest ? ask_digests(task, piece) : ask_bytes(task, piece));
    task.range.offset += piece.length;
    task.range.length -= piece.length;
    if (task.range.length > 0) return ok();
    const auto file = std::move(task.file);
    tasks_.pop_front();
    return close_task(file);
}

Status RemoteBytes::ask_digests(const Task& task, const DataExtent& piece) {
    const SyncQuestion question{SyncKind::digests, task.file->object.id, piece.offset, static_cast<uint32_t>(piece.length), {}};
    return questions_.ask(question, piece.length / digest_chunk_bytes * sizeof(Digest) + sizeof(Digest),
                          [this, file = task.file, piece](const SyncAnswer& answer) { return take_digests(file, piece, answer); });
}

Status RemoteBytes::ask_bytes(const Task& task, const DataExtent& piece) {
    const SyncQuestion question{SyncKind::bytes, task.file->object.id, piece.offset, static_cast<uint32_t>(piece.length), {}};
    return questions_.ask(question, piece.length + question_bytes, [this, file = task.file, piece](const SyncAnswer& answer) { return take_bytes(file, piece, answer); });
}

Status RemoteBytes::take_digests(const std::shared_ptr<File>& file, const DataExtent& piece, const SyncAnswer& answer) {
    const ObjectId id = file->object.id;
    const ReadRange read = [&](uint64_t offset, MutableByteSpan into) { return ledger_.target().read(id, offset, into); };
    std::vector<std::byte> ours;
    HF_TRY(digest_range(secret_, file->image.data, read, piece.offset, piece.length, ours));
    ledger_.compared(piece.length);
    if (answer.payload.size() != ours.size()) return Error{ErrorCode::corrupt, "the source answered with digests that were not asked for"};
    // Chunks that differ, runs of them at once; before what waits, so that little is held for long.
    std::vector<Task> differing;
    for (size_t i = 0; i * sizeof(Digest) < ours.size(); ++i) {
        if (std::memcmp(&ours[i * sizeof(Digest)], &answer.payload[i * sizeof(Digest)], sizeof(Digest)) == 0) continue;
        const uint64_t offset = piece.offset + i * digest_chunk_bytes, length = std::min<uint64_t>(digest_chunk_bytes, piece.offset + piece.length - offset);
        const bool continues = !differing.empty() && differing.back().range.offset + differing.back().range.length == offset;
        if (continues) differing.back().range.length += length;
        if (!continues) differing.push_back({file, {offset, length}, false});
    }
    file->open_tasks += differing.size();
    tasks_.insert(tasks_.begin(), std::make_move_iterator(differing.begin()), std::make_move_iterator(differing.end()));
    return close_task(file);
}

Status RemoteBytes::take_bytes(const std::shared_ptr<File>& file, const DataExtent& piece, const SyncAnswer& answer) {
    auto contents = HF_TRY(AnsweredContents::parse(answer, *file, piece));
    const uint64_t before = ledger_.repairs();
    HF_TRY(repair_.compare(file->object, contents, file->image, piece));
    file->was_changed |= ledger_.repairs() != before;
    return close_task(file);
}

Status RemoteBytes::close_task(const std::shared_ptr<File>& file) {
    if (--file->open_tasks > 0) return ok();
    return finish_(*file);
}

}  // namespace holdfast::rewind

// The bytes of the files of a source elsewhere: asked for many files ahead, compared with what the image has as they come, and
// what differs put into the ledger.
//
//     file ──> a task: all of it by digests where the image has something, else by its bytes
//     digests differ ──> tasks for the bytes of those chunks
//     bytes come ──> compared block by block, what differs is a record (byte_repair.h)
//     nothing of the file is under way any more ──> the file is finished by whoever keeps it (Finish)
//
// Memory: what is under way (sync_under_way_bytes_max) and at most waiting_files_max files that wait for their turn.
// Thread rule: one thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "rewind/reconcile/byte_repair.h"
#include "rewind/sync/digest.h"
#include "rewind/sync/questions.h"

namespace holdfast::rewind {

inline constexpr size_t waiting_files_max = 64;

class RemoteBytes {
public:
    struct File {
        TreeObject object;
        XattrList xattrs;
        ImageFile image;          // as it was found
        bool was_changed = false; // records about its bytes were appended
        size_t open_tasks = 0;
    };
    // All bytes of FILE are as they should be.
    using Finish = std::function<Status(const File& file)>;

    RemoteBytes(RepairLedger& ledger, Questions& questions, const SyncSecret& secret, Finish finish)
        : ledger_(ledger), questions_(questions), secret_(secret), finish_(std::move(finish)), repair_(ledger) {}

    // OBJECT is in the image with IMAGE_SIZE bytes. May wait for answers about others.
    Status compare(const TreeObject& object, XattrList xattrs, uint64_t image_size);
    // All files are finished.
    Status drain();
    uint64_t files() const { return files_; }

private:
    struct Task {
        std::shared_ptr<File> file;
        DataExtent range;
        bool by_digest;
    };
    Status drive(bool to_the_end);
    Status begin_next();
    Status ask_digests(const Task& task, const DataExtent& piece);
    Status ask_bytes(const Task& task, const DataExtent& piece);
    Status take_digests(const std::shared_ptr<File>& file, const DataExtent& piece, const SyncAnswer& answer);
    Status take_bytes(const std::shared_ptr<File>& file, const DataExtent& piece, const SyncAnswer& answer);
    Status close_task(const std::shared_ptr<File>& file);

    RepairLedger& ledger_;
    Questions& questions_;
    const SyncSecret& secret_;
    const Finish finish_;
    ByteRepair repair_;
    std::deque<Task> tasks_;
    uint64_t files_ = 0;
};

}  // namespace holdfast::rewind

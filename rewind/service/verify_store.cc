#include "rewind/service/verify_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <optional>

#include "base/file_handle.h"
#include "base/text.h"
#include "rewind/image.h"
#include "rewind/read_directory.h"
#include "rewind/service/verify_journal.h"
#include "rewind/verify.h"

namespace holdfast::rewind {

namespace {

constexpr auto report_interval = std::chrono::milliseconds(500);

// What does not fit together about the entry NAME of a directory of the image, if anything.
Result<std::optional<std::string>> problem_of_name(const Store& store, int directory_fd, const std::string& name,
                                                   bool in_graveyard) {
    struct stat status;
    if (::fstatat(directory_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return std::optional<std::string>();
        return errno_error(errno, "look at " + quoted(name));
    }
    auto object = store.image().object_of(directory_fd, name);
    if (!object) return std::optional(quoted(name) + " does not carry its identity: " + object.error().message);
    const std::string what = quoted(name) + " (object " + journal::to_string(*object) + ")";
    auto location = store.index().location(*object);
    if (!location) return std::optional(what + ": the index cannot be read: " + location.error().message);
    if (!*location) return std::optional(what + " is not in the index");
    if (((*location)->mode & S_IFMT) != (status.st_mode & S_IFMT))
        return std::optional(what + " is of another type than the index says");
    auto handle = file_handle_at(directory_fd, name);
    if (!handle) return std::optional(what + " has no file handle: " + handle.error().message);
    if (handle->bytes != (*location)->handle) return std::optional(what + " is another file than the index says");
    if (in_graveyard && (*location)->links != 0)
        return std::optional(what + " lies in the graveyard, but the index knows names of it");
    if (in_graveyard && name != Image::grave_name(*object))
        return std::optional(what + " lies in the graveyard under a wrong name");
    if (!in_graveyard && !S_ISDIR(status.st_mode) && (*location)->links != status.st_nlink)
        return std::optional(what + " has " + std::to_string(status.st_nlink) + " names, " +
                             std::to_string((*location)->links) + " in the index");
    return std::optional<std::string>();
}

class Verifier {
public:
    Verifier(Follower& follower, const journal::Volume& volume, const ProgressSink& progress)
        : follower_(follower), volume_(volume), progress_(progress) {}

    Result<VerifyReport> run() {
        HF_TRY(journal());
        const StoreLoan store = HF_TRY(follower_.borrow_any());
        HF_TRY(history(*store));
        HF_TRY(image(*store));
        HF_TRY(directory(*store, store->image().graveyard_fd(), "the graveyard", true, nullptr));
        return std::move(report_);
    }

private:
    void tell(std::string sentence) {
        if (report_.problems.size() < problems_max)
            report_.problems.push_back(std::move(sentence));
        else
            ++report_.problems_left_out;
    }

    Status step() {
        const auto now = std::chrono::steady_clock::now();
        if (now < report_due_) return ok();
        report_due_ = now + report_interval;
        if (progress_ && !progress_({report_.objects, report_.bytes, 0, 0}))
            return Error{ErrorCode::unavailable, "the check was stopped, because the store service is ending"};
        return ok();
    }

    Status journal() {
        const uint64_t before = report_.bytes;
        const JournalVerification found = HF_TRY(verify_journal(volume_, follower_.published(), [&](uint64_t bytes) {
            report_.bytes += bytes;
            return step();
        }));
        report_.bytes = before + found.bytes;
        report_.segments = found.segments;
        report_.journal_records = found.records;
        for (const std::string& sentence : found.problems) tell(sentence);
        return ok();
    }

    Status history(const Store& store) {
        const uint64_t before = report_.bytes;
        const std::function<Status(uint64_t)> told = [&](uint64_t bytes) {
            report_.bytes += bytes;
            return step();
        };
        const HistoryReport found = HF_TRY(verify_history(store.undo_log(), store.index(), {}, told));
        report_.bytes = before + found.bytes;
        report_.undo_segments = found.segments;
        report_.undo_records = found.undo_records;
        report_.indexed_items = found.indexed_items;
        for (const std::string& sentence : found.problems) tell(sentence);
        report_.problems_left_out += found.problems_left_out;
        return ok();
    }

    // By identity and not by path: no depth is too deep, and at most two descriptors are open.
    Status image(const Store& store) {
        std::vector<ObjectId> pending{journal::root_object};
        while (!pending.empty()) {
            const ObjectId object = pending.back();
            pending.pop_back();
            auto location = HF_TRY(store.index().location(object));
            if (!location) continue;  // removed since it was seen, or told already
            auto fd = store.image().open_object(object, *location, O_PATH | O_DIRECTORY);
            if (!fd) {
                tell("Directory " + journal::to_string(object) +
                     " of the image cannot be opened: " + fd.error().message);
                continue;
            }
            HF_TRY(directory(store, fd->get(), "the image", false, &pending));
        }
        return ok();
    }

    Status directory(const Store& store, int fd, const char* place, bool in_graveyard,
                     std::vector<ObjectId>* subdirectories) {
        return read_directory(fd, [&](const DirectoryEntry& entry) -> Status {
            HF_TRY(step());
            if (in_graveyard && entry.name == set_aside_name) return ok();
            ++report_.objects;
            auto problem = problem_of_name(store, fd, entry.name, in_graveyard);
            if (!problem || *problem) problem = look_again(fd, entry.name, in_graveyard);
            if (!problem)
                tell(std::string("In ") + place + ": " + problem.error().message);
            else if (*problem)
                tell(std::string("In ") + place + ": " + **problem);
            else if (subdirectories && entry.type == S_IFDIR) {
                if (auto object = store.image().object_of(fd, entry.name)) subdirectories->push_back(*object);
            }
            return ok();
        });
    }

    // On the follower's thread, where nothing moves.
    Result<std::optional<std::string>> look_again(int fd, const std::string& name, bool in_graveyard) {
        std::optional<std::string> problem;
        HF_TRY(follower_.on_store([&](Store& store) -> Status {
            problem = HF_TRY(problem_of_name(store, fd, name, in_graveyard));
            return ok();
        }));
        return problem;
    }

    Follower& follower_;
    const journal::Volume& volume_;
    const ProgressSink& progress_;
    VerifyReport report_;
    std::chrono::steady_clock::time_point report_due_{};
};

}  // namespace

Result<VerifyReport> verify_store(Follower& follower, const journal::Volume& volume, const ProgressSink& progress) {
    return Verifier(follower, volume, progress).run();
}

}  // namespace holdfast::rewind

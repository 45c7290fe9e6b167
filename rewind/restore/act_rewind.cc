// Carrying out a rewind on the live mount.
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "base/text.h"
#include "rewind/restore/live_tree.h"
#include "rewind/restore/object_writer.h"
#include "rewind/restore/rewind_in_place.h"
#include "rewind/restore/rewind_plan.h"
#include "rewind/restore/touched.h"
#include "rewind/restore/touched_data.h"
#include "rewind/store.h"

namespace holdfast::rewind {

namespace {

using Kind = NameStep::Kind;
constexpr uint64_t report_every_ns = 400'000'000;

// What another program's change, or the name or object that it took away, looks like. Everything else (a full disk, a
// failing one, a permission) ends the rewind.
bool is_conflict(const Error& error) {
    switch (error.sys_errno) {
        case 0: return error.code == ErrorCode::busy;
        case ENOENT:
        case EEXIST:
        case ENOTEMPTY:
        case ENOTDIR:
        case EISDIR:
        case ETXTBSY:
        case ELOOP: return true;
        default: return false;
    }
}

class Rewind {
public:
    Rewind(const Store& store, const RewindPlan& plan, int mount_fd, const ProgressSink& progress)
        : store_(store), plan_(plan), mount_fd_(mount_fd), progress_(progress), now_(store, plan.present),
          then_(store, plan.moment), live_(now_, mount_fd) {}

    Result<RewindReport> run() {
        auto done = act();
        // Also after an error: an empty staging directory is nothing that anybody needs.
        auto cleared = remove_staging();
        HF_TRY(std::move(done));
        HF_TRY(std::move(cleared));
        // Last of all, because the staging directory was in the top.
        HF_TRY(directories());
        if (syncfs(mount_fd_) != 0) return errno_error(errno, "make the rewound files durable");
        return std::move(report_);
    }

private:
    Status act() {
        for (const NameStep& step : plan_.work->names) {
            HF_TRY(tolerate(carry_out(step)));
            HF_TRY(tell());
        }
        for (const ObjectId& object : plan_.work->contents) {
            HF_TRY(tolerate(rewind_object(object)));
            ++report_.files;
            HF_TRY(tell());
        }
        return ok();
    }

    // A conflict with another program is told and passed over.
    Status tolerate(Status status) {
        if (status || !is_conflict(status.error())) return status;
        if (report_.problems.size() < rewind_problems_max) report_.problems.push_back(status.error().message);
        return ok();
    }

    Status carry_out(const NameStep& step) {
        if (step.from.directory == staging_object || step.to.directory == staging_object) HF_TRY(make_staging());
        switch (step.kind) {
            case Kind::unlink: return unlink(step);
            case Kind::remove_directory: return remove_directory(step);
            case Kind::move: return move(step);
            case Kind::link: return link(step);
            case Kind::create: return create(step);
        }
        return ok();
    }

    Status unlink(const NameStep& step) {
        HF_TRY(live_.check(step.from, step.object));
        const auto directory = HF_TRY(live_.directory(step.from.directory));
        if (unlinkat(directory->get(), step.from.name.c_str(), 0) != 0)
            return errno_error(errno, "remove " + quoted(step.from.name));
        live_.lose_place(step.object, step.from);
        ++report_.removed;
        return ok();
    }

    Status remove_directory(const NameStep& step) {
        HF_TRY(live_.check(step.from, step.object));
        const auto directory = HF_TRY(live_.directory(step.from.directory));
        if (unlinkat(directory->get(), step.from.name.c_str(), AT_REMOVEDIR) != 0)
            return errno_error(errno, "remove directory " + quoted(step.from.name));
        ++report_.removed;
        return ok();
    }

    Status move(const NameStep& step) {
        HF_TRY(live_.check(step.from, step.object));
        HF_TRY(rename(step.from, step.to, step.replaces));
        live_.lose_place(step.object, step.from);
        live_.set_place(step.object, step.to);
        if (step.to.directory != staging_object) ++report_.renamed;
        return ok();
    }

    // Over REPLACED, if that is what stands there; never over anything else.
    Status rename(const Place& from, const Place& to, const ObjectId& replaced) {
        const auto source = HF_TRY(live_.directory(from.directory));
        const auto target = HF_TRY(live_.directory(to.directory));
        if (replaced) HF_TRY(live_.check(to, replaced));
        const unsigned flags = replaced ? 0 : RENAME_NOREPLACE;
        if (renameat2(source->get(), from.name.c_str(), target->get(), to.name.c_str(), flags) != 0)
            return errno_error(errno, "move " + quoted(from.name) + " back to " + quoted(to.name));
        if (!replaced) return ok();
        live_.lose_place(replaced, to);
        ++report_.removed;
        return ok();
    }

    Status link(const NameStep& step) {
        const Place from = HF_TRY(live_.place_of(step.object));
        HF_TRY(live_.check(from, step.object));
        const auto source = HF_TRY(live_.directory(from.directory));
        const auto target = HF_TRY(live_.directory(step.to.directory));
        if (linkat(source->get(), from.name.c_str(), target->get(), step.to.name.c_str(), 0) != 0)
            return errno_error(errno, "link " + quoted(step.to.name));
        live_.set_place(step.object, step.to);
        return ok();
    }

    // A file that replaces another is made in the staging directory, so that its name always leads to one of the two
    // whole; where nothing stands it is made in place.
    Status create(const NameStep& step) {
        if (step.replaces) HF_TRY(make_staging());
        const Place place = step.replaces ? Place{staging_object, "new-" + std::to_string(made_++)} : step.to;
        const auto directory = HF_TRY(live_.directory(place.directory));
        const ObjectAttributes attributes = HF_TRY(then_.view().attributes(step.object));
        HF_TRY(make_node(then_.view(), step.object, attributes, directory->get(), place.name));
        ++report_.created;
        ++report_.files;
        if (S_ISREG(attributes.mode) && attributes.size > 0) {
            const UniqueFd file = HF_TRY(open_beneath(directory->get(), place.name, O_WRONLY));
            HF_TRY(write_data(then_.view(), step.object, attributes.size, file.get(), [&](uint64_t bytes) {
                report_.bytes += bytes;
                return tell();
            }));
        }
        const UniqueFd made = HF_TRY(open_beneath(directory->get(), place.name, O_PATH));
        struct stat info;
        if (fstat(made.get(), &info) != 0) return errno_error(errno, "look at " + quoted(place.name));
        live_.set_inode(step.object, info.st_ino);
        live_.set_place(step.object, place);
        if (!S_ISDIR(attributes.mode))
            HF_TRY(set_all_attributes(made.get(), attributes, HF_TRY(then_.view().xattrs(step.object))));
        if (!step.replaces) return ok();
        HF_TRY(rename(place, step.to, step.replaces));
        live_.set_place(step.object, step.to);
        return ok();
    }

    Status rewind_object(const ObjectId& object) {
        const ObjectAttributes wanted = HF_TRY(then_.view().attributes(object));
        if (S_ISREG(wanted.mode)) HF_TRY(rewind_bytes(object, wanted.size));
        const UniqueFd fd = HF_TRY(live_.open(object, O_PATH));
        return set_all_attributes(fd.get(), wanted, HF_TRY(then_.view().xattrs(object)));
    }

    Status rewind_bytes(const ObjectId& object, uint64_t size) {
        const uint64_t size_now = HF_TRY(now_.view().attributes(object)).size;
        const FileAtTwoMoments file{object, plan_.present, plan_.moment, size_now, size};
        // Opened for writing only when something differs: a program that is being executed cannot be.
        UniqueFd fd;
        const auto open_once = [&]() -> Status {
            if (!fd) fd = HF_TRY(live_.open(object, O_RDWR));
            return ok();
        };
        if (size_now != size) {
            HF_TRY(open_once());
            if (ftruncate(fd.get(), static_cast<off_t>(size)) != 0) return errno_error(errno, "set the size of a file");
        }
        return visit_differing(store_, file, [&](const DifferingRange& range) -> Status {
            HF_TRY(open_once());
            HF_TRY(range.hole ? clear(fd.get(), range, size) : write(fd.get(), range));
            report_.bytes += range.length;
            return tell();
        });
    }

    Status write(int fd, const DifferingRange& range) {
        for (size_t done = 0; done < range.bytes.size();) {
            const ssize_t put = pwrite(fd, range.bytes.data() + done, range.bytes.size() - done,
                                       static_cast<off_t>(range.offset + done));
            if (put < 0 && errno == EINTR) continue;
            if (put < 0) return errno_error(errno, "write back the bytes of a file");
            done += static_cast<size_t>(put);
        }
        return ok();
    }

    Status clear(int fd, const DifferingRange& range, uint64_t size) {
        constexpr uint64_t block_bytes = 4096;
        uint64_t length = range.length;
        // The file's last block is freed only by a punch that reaches its end.
        if (range.offset + length == size) length = (length + block_bytes - 1) / block_bytes * block_bytes;
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(range.offset),
                      static_cast<off_t>(length)) == 0)
            return ok();
        if (errno != EOPNOTSUPP) return errno_error(errno, "punch a hole into a file");
        const std::vector<std::byte> zeros(range.length);
        return write(fd, {range.offset, range.length, false, zeros});
    }

    Status directories() {
        for (const ObjectId& directory : plan_.work->directories) {
            const auto set = [&]() -> Status {
                const UniqueFd fd = HF_TRY(live_.open(directory, O_PATH));
                return set_all_attributes(fd.get(), HF_TRY(then_.view().attributes(directory)),
                                          HF_TRY(then_.view().xattrs(directory)));
            };
            HF_TRY(tolerate(set()));
            ++report_.files;
        }
        return ok();
    }

    Status make_staging() {
        if (!staging_name_.empty()) return ok();
        uint64_t random = 0;
        (void)!getrandom(&random, sizeof random, 0);
        staging_name_ = std::string(rewind_staging_prefix) + hex(&random, sizeof random);
        struct stat top;
        if (fstat(mount_fd_, &top) != 0) return errno_error(errno, "look at the top of the mount");
        top_mtime_ = top.st_mtim;
        if (mkdirat(mount_fd_, staging_name_.c_str(), 0700) != 0)
            return errno_error(errno, "make the staging directory of the rewind");
        struct stat info;
        if (fstatat(mount_fd_, staging_name_.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
            return errno_error(errno, "look at the staging directory of the rewind");
        live_.set_inode(staging_object, info.st_ino);
        live_.set_place(staging_object, {journal::root_object, staging_name_});
        return ok();
    }

    Status remove_staging() {
        if (staging_name_.empty()) return ok();
        if (unlinkat(mount_fd_, staging_name_.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) {
            // Nobody asked about the top's mtime; if it is part of the rewind, it is set later.
            const timespec times[2] = {{0, UTIME_OMIT}, top_mtime_};
            if (futimens(mount_fd_, times) != 0) return errno_error(errno, "set the time of the top of the mount");
            return ok();
        }
        // Something waits in it because a step failed. Another rewind to the same moment brings it to its place.
        if (report_.problems.size() < rewind_problems_max)
            report_.problems.push_back("objects that could not be brought to their places wait in " +
                                       quoted(staging_name_) + "; run the same rewind again");
        return ok();
    }

    Status tell() {
        const uint64_t now = system_clock().monotonic_ns();
        if (!progress_ || now - told_ns_ < report_every_ns) return ok();
        told_ns_ = now;
        if (!progress_({report_.files, report_.bytes, plan_.files, plan_.bytes})) return stopped_by_request();
        return ok();
    }

    const Store& store_;
    const RewindPlan& plan_;
    const int mount_fd_;
    const ProgressSink& progress_;
    NamesAt now_;
    NamesAt then_;
    LiveTree live_;
    RewindReport report_;
    std::string staging_name_;
    timespec top_mtime_{};
    uint64_t made_ = 0;
    uint64_t told_ns_ = 0;
};

}  // namespace

Result<RewindReport> act_rewind(const Store& store, const RewindPlan& plan, int mount_fd, const ProgressSink& progress) {
    return Rewind(store, plan, mount_fd, progress).run();
}

}  // namespace holdfast::rewind

#include "rewind/restore/restore.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <unordered_map>

#include "base/clock.h"
#include "base/text.h"
#include "rewind/restore/object_writer.h"
#include "rewind/restore/remove_tree.h"
#include "rewind/restore/touched.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t report_every_ns = 400'000'000;

bool is_directory(uint32_t mode) {
    return (mode & S_IFMT) == S_IFDIR;
}

std::string temporary_name() {
    uint64_t random = 0;
    (void)!getrandom(&random, sizeof random, 0);
    return ".holdfast-restore-" + hex(&random, sizeof random);
}

// Writes one plan under a temporary name, depth first, with a descriptor for every level (the service raises the limit of
// open files to what the system allows).
class Restoration {
public:
    Restoration(const View& view, const RestorePlan& plan, const ProgressSink& progress)
        : view_(view), plan_(plan), progress_(progress) {}

    Result<RestoreReport> run() {
        parent_ = HF_TRY(plan_.open_directory(O_RDONLY));
        name_ = temporary_name();
        auto done = make_all();
        if (done) done = put_in_place();
        if (!done) {
            Error error = std::move(done).error();
            // Nothing is left behind; should even that fail, the sentence says where it lies.
            if (auto removed = remove_tree(parent_.get(), name_); !removed)
                error.message += "; what was made until then could not be removed: " +
                                 quoted(plan_.directory + "/" + name_);
            return error;
        }
        report_.target = plan_.target();
        return report_;
    }

private:
    struct Level {
        ObjectId object;
        std::string name;
        UniqueFd fd;
        std::vector<ViewEntry> entries;
        size_t next = 0;
    };

    Status make_all() {
        HF_TRY(make(plan_.object, plan_.mode, parent_.get(), name_));
        if (!is_directory(plan_.mode)) return ok();
        HF_TRY(enter(plan_.object, parent_.get(), name_));
        while (!levels_.empty()) {
            Level& level = levels_.back();
            if (level.next < level.entries.size()) {
                const ViewEntry entry = level.entries[level.next++];
                HF_TRY(make(entry.object, entry.mode, level.fd.get(), entry.name));
                if (is_directory(entry.mode)) HF_TRY(enter(entry.object, level.fd.get(), entry.name));
                continue;
            }
            // A directory's own attributes come after its entries, which would change its mtime.
            HF_TRY(finish(level.object, level.fd.get()));
            levels_.pop_back();
        }
        return ok();
    }

    Status enter(const ObjectId& object, int directory_fd, const std::string& name) {
        Level level;
        level.object = object;
        level.name = name;
        level.fd = HF_TRY(open_beneath(directory_fd, name, O_RDONLY | O_DIRECTORY));
        level.entries = HF_TRY(view_.list(object));
        levels_.push_back(std::move(level));
        return ok();
    }

    Status make(const ObjectId& object, uint32_t type, int directory_fd, const std::string& name) {
        const ObjectAttributes attributes = HF_TRY(view_.attributes(object));
        if (!is_directory(type) && attributes.nlink > 1) {
            const auto first = made_.find(object);
            if (first != made_.end()) return link_to(first->second, directory_fd, name);
        }
        HF_TRY(make_node(view_, object, attributes, directory_fd, name));
        ++report_.files;
        if (is_directory(type)) return tell();
        if ((type & S_IFMT) == S_IFREG) {
            const UniqueFd file = HF_TRY(open_beneath(directory_fd, name, O_WRONLY));
            HF_TRY(write_data(view_, object, attributes.size, file.get(), [&](uint64_t bytes) {
                report_.bytes += bytes;
                return tell();
            }));
        }
        const UniqueFd made = HF_TRY(open_beneath(directory_fd, name, O_PATH));
        HF_TRY(set_all_attributes(made.get(), attributes, HF_TRY(view_.xattrs(object))));
        if (attributes.nlink > 1) made_.emplace(object, path_of(name));
        return tell();
    }

    // Path of NAME in the current directory, from the restored top's parent on.
    std::string path_of(const std::string& name) const {
        std::string path;
        for (const Level& level : levels_) path += level.name + "/";
        return path + name;
    }

    Status link_to(const std::string& first, int directory_fd, const std::string& name) {
        // Walked component by component from the parent; every component was made by this run.
        const size_t slash = first.rfind('/');
        UniqueFd directory(dup(parent_.get()));
        std::string_view rest = slash == first.npos ? std::string_view() : std::string_view(first).substr(0, slash);
        while (!rest.empty()) {
            const size_t end = rest.find('/');
            directory = HF_TRY(open_beneath(directory.get(), std::string(rest.substr(0, end)), O_PATH | O_DIRECTORY));
            rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
        }
        const std::string own = slash == first.npos ? first : first.substr(slash + 1);
        if (linkat(directory.get(), own.c_str(), directory_fd, name.c_str(), 0) != 0)
            return errno_error(errno, "link " + quoted(name));
        return ok();
    }

    Status finish(const ObjectId& object, int directory_fd) {
        return set_all_attributes(directory_fd, HF_TRY(view_.attributes(object)), HF_TRY(view_.xattrs(object)));
    }

    Status put_in_place() {
        // Durable before it gets its name: after a power cut the name must not lead to half of it.
        if (syncfs(parent_.get()) != 0) return errno_error(errno, "make the restored files durable");
        const char* from = name_.c_str();
        const char* to = plan_.name.c_str();
        if (plan_.replaces.empty()) {
            if (renameat2(parent_.get(), from, parent_.get(), to, RENAME_NOREPLACE) != 0) {
                if (errno != EEXIST) return errno_error(errno, "name the restored object " + quoted(plan_.name));
                return Error{ErrorCode::exists, quoted(plan_.target()) + " appeared while it was being restored", EEXIST};
            }
        } else if (renameat2(parent_.get(), from, parent_.get(), to, RENAME_EXCHANGE) == 0) {
            // The old one has the temporary name now.
            HF_TRY(remove_tree(parent_.get(), name_));
        } else if (errno != ENOENT || renameat(parent_.get(), from, parent_.get(), to) != 0) {
            return errno_error(errno, "replace " + quoted(plan_.target()));
        }
        if (fsync(parent_.get()) != 0) return errno_error(errno, "make the restored name durable");
        return ok();
    }

    Status tell() {
        const uint64_t now = system_clock().monotonic_ns();
        if (!progress_ || now - told_ns_ < report_every_ns) return ok();
        told_ns_ = now;
        if (!progress_({report_.files, report_.bytes, plan_.files, plan_.bytes})) return stopped_by_request();
        return ok();
    }

    const View& view_;
    const RestorePlan& plan_;
    const ProgressSink& progress_;
    UniqueFd parent_;
    std::string name_;
    std::vector<Level> levels_;
    std::unordered_map<ObjectId, std::string> made_;  // of objects with several names: the first one's path
    RestoreReport report_;
    uint64_t told_ns_ = 0;
};

}  // namespace

Result<RestoreReport> restore(const View& view, const RestorePlan& plan, const ProgressSink& progress) {
    return Restoration(view, plan, progress).run();
}

}  // namespace holdfast::rewind

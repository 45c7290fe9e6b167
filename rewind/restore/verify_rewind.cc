// After a rewind: whether the path is now what it was at the moment.
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/text.h"
#include "rewind/restore/names_at.h"
#include "rewind/restore/object_parts.h"
#include "rewind/restore/rewind_in_place.h"
#include "rewind/restore/rewind_plan.h"
#include "rewind/restore/touched.h"
#include "rewind/store.h"

namespace holdfast::rewind {

namespace {

class Verification {
public:
    Verification(const Store& store, const RewindPlan& plan, Lsn after)
        : store_(store), plan_(plan), then_(store, plan.moment), after_(store, after) {}

    Result<RewindVerification> run(const ProgressSink& progress) {
        // What the plan meant to change, and what changed while it was carried out, by whomever.
        std::set<std::string> paths;
        for (const Change& change : plan_.changes) {
            paths.insert(change.path);
            if (!change.from_path.empty()) paths.insert(change.from_path);
        }
        for (const Change& change :
             HF_TRY(difference(store_, plan_.path, plan_.present, after_.view().at(), progress))) {
            paths.insert(change.path);
            if (!change.from_path.empty()) paths.insert(change.from_path);
        }
        WorkProgress done;
        done.files_total = paths.size();
        for (const std::string& path : paths) {
            if (!is_below(path, plan_.path)) continue;
            HF_TRY(compare(path));
            ++result_.objects_compared;
            done = {result_.objects_compared, result_.bytes_compared, paths.size(), 0};
            if (progress && done.files % 64 == 0 && !progress(done)) return stopped_by_request();
        }
        return std::move(result_);
    }

private:
    void tell(const std::string& path, const std::string& what) {
        if (result_.differences.size() < rewind_problems_max) result_.differences.push_back(quoted(path) + ": " + what);
    }

    static Result<std::optional<ObjectId>> resolve(const View& view, const std::string& path) {
        auto object = view.resolve(path);
        if (object) return std::optional(*object);
        if (object.error().code == ErrorCode::not_found) return std::optional<ObjectId>();
        return std::move(object).error();
    }

    // Where the present has what PATH was then: a directory above it may have been renamed, which a rewind of a part of
    // the tree leaves alone.
    Result<std::string> present_path(const std::string& path) {
        const size_t slash = path.rfind('/');
        if (slash == path.npos) return path;
        const auto parent = HF_TRY(resolve(then_.view(), path.substr(0, slash)));
        if (!parent) return path;
        const auto directory = HF_TRY(after_.directory_path(*parent));
        if (!directory) return path;
        return (directory->empty() ? "" : *directory + "/") + path.substr(slash + 1);
    }

    // Whatever stands there now stays there, or what stood there then is somewhere else and stays there.
    bool is_left_alone(const std::optional<ObjectId>& then, const std::optional<ObjectId>& now) const {
        const LeftAlone& alone = plan_.work->alone;
        return then != now && ((then && alone.stays(*then)) || (now && alone.stays(*now)));
    }

    Status compare(const std::string& path) {
        if (plan_.work->alone.is_concerned(path)) return ok();
        const auto then = HF_TRY(resolve(then_.view(), path));
        const std::string here = then ? HF_TRY(present_path(path)) : path;
        const auto now = HF_TRY(resolve(after_.view(), here));
        if ((!then && !now) || is_left_alone(then, now)) return ok();
        if (!then) {
            // A name below a renamed directory did not exist under this path then, and rightly exists now.
            if (!HF_TRY(lived_then(*now))) tell(path, "exists, and did not then");
            return ok();
        }
        if (!now) {
            tell(path, "is missing");
            return ok();
        }
        const ObjectAttributes wanted = HF_TRY(then_.view().attributes(*then));
        const ObjectAttributes seen = HF_TRY(after_.view().attributes(*now));
        if (wanted.mode != seen.mode) tell(path, "its mode differs");
        if (wanted.uid != seen.uid || wanted.gid != seen.gid) tell(path, "its owner differs");
        // A parent of the rewound path keeps the mtime that the rewind gave it.
        if (wanted.mtime_ns != seen.mtime_ns) tell(path, "its modification time differs");
        auto wanted_xattrs = HF_TRY(then_.view().xattrs(*then));
        auto seen_xattrs = HF_TRY(after_.view().xattrs(*now));
        std::sort(wanted_xattrs.begin(), wanted_xattrs.end());
        std::sort(seen_xattrs.begin(), seen_xattrs.end());
        if (wanted_xattrs != seen_xattrs) tell(path, "its extended attributes differ");
        if (S_ISLNK(wanted.mode) && S_ISLNK(seen.mode) &&
            HF_TRY(then_.view().readlink(*then)) != HF_TRY(after_.view().readlink(*now)))
            tell(path, "it points elsewhere");
        if (!S_ISREG(wanted.mode) || !S_ISREG(seen.mode)) return ok();
        if (wanted.size != seen.size) {
            tell(path, "its size differs");
            return ok();
        }
        return compare_bytes(path, *then, *now, wanted.size);
    }

    Result<bool> lived_then(const ObjectId& object) { return !HF_TRY(then_.names(object)).empty(); }

    Status compare_bytes(const std::string& path, const ObjectId& then, const ObjectId& now, uint64_t size) {
        bool differs = false;
        if (then == now) {
            // Only what was touched since that moment can differ.
            const FileAtTwoMoments file{then, after_.view().at(), plan_.moment, size, size};
            HF_TRY(visit_differing(store_, file, [&](const DifferingRange& range) -> Status {
                differs = true;
                result_.bytes_compared += range.length;
                return ok();
            }));
        } else {
            constexpr uint64_t chunk_bytes = 1 << 20;
            std::vector<std::byte> wanted(chunk_bytes), seen(chunk_bytes);
            for (uint64_t at = 0; at < size && !differs; at += chunk_bytes) {
                const size_t want = std::min(chunk_bytes, size - at);
                const size_t a = HF_TRY(then_.view().read(then, at, MutableByteSpan(wanted).first(want)));
                const size_t b = HF_TRY(after_.view().read(now, at, MutableByteSpan(seen).first(want)));
                result_.bytes_compared += want;
                differs = a != b || std::memcmp(wanted.data(), seen.data(), a) != 0;
            }
        }
        if (differs) tell(path, "its bytes differ");
        return ok();
    }

    const Store& store_;
    const RewindPlan& plan_;
    NamesAt then_;
    NamesAt after_;
    RewindVerification result_;
};

}  // namespace

Result<RewindVerification> verify_rewind(const Store& store, const RewindPlan& plan, Lsn after,
                                         const ProgressSink& progress) {
    return Verification(store, plan, after).run(progress);
}

}  // namespace holdfast::rewind

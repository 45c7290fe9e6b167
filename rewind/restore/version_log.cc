#include "rewind/restore/version_log.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <deque>

#include "base/text.h"
#include "rewind/restore/names_at.h"
#include "rewind/restore/path_history.h"
#include "rewind/store.h"

namespace holdfast::rewind {

namespace {

constexpr size_t events_page = 4096;
constexpr size_t object_events_max = 1'000'000;  // the newest; a log beyond that is of no use to a person

bool is_data(hf_record_type type) {
    return type == HF_WRITE || type == HF_TRUNCATE || type == HF_FALLOCATE;
}

std::string octal(uint32_t mode) {
    char text[8];
    std::snprintf(text, sizeof text, "%04o", mode & 07777);
    return text;
}

std::string count_text(size_t count, const char* what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

// What one undo record says, copied out of the scan.
struct Told {
    Lsn end_lsn = 0;
    ObjectId object;
    bool last_link = false;
    bool exchange = false;
    struct Entry {
        Place place;
        ObjectId previous;
    };
    std::vector<Entry> entries;
    std::optional<ObjectAttributes> before;  // of the object
    std::string xattr;
};

// The versions of one object, newest first.
class ObjectLog {
public:
    ObjectLog(const Store& store, const ObjectId& object, std::string path, const LogOptions& options)
        : store_(store), object_(object), path_(std::move(path)), options_(options) {}

    Result<std::vector<Version>> run() {
        HF_TRY(collect());
        size_t end = events_.size();
        while (end > 0 && versions_.size() < options_.limit) {
            const size_t begin = HF_TRY(group_before(end));
            HF_TRY(tell(begin, end));
            end = begin;
        }
        if (end == 0 && versions_.size() < options_.limit) HF_TRY(tell_first_copy());
        return std::move(versions_);
    }

private:
    Status collect() {
        Lsn from = 0;
        while (true) {
            auto page = HF_TRY(store_.index().events_of(object_, from, events_page));
            for (const Event& event : page) {
                events_.push_back(event);
                if (events_.size() > object_events_max) events_.pop_front();
            }
            if (page.size() < events_page) return ok();
            from = page.back().lsn + 1;
        }
    }

    // The first event of the entry that ends before END: data and the times that follow it, each within a burst of the
    // next, or a single event.
    Result<size_t> group_before(size_t end) {
        size_t begin = end;
        bool has_data = false;
        for (size_t at = end; at-- > 0;) {
            const Event& event = events_[at];
            if (at + 1 < end && events_[at + 1].time_ns > event.time_ns + options_.burst_ns) break;
            const bool fits = is_data(event.type) || (event.type == HF_SETATTR && HF_TRY(is_times_only(event)));
            if (!fits) break;
            has_data |= is_data(event.type);
            begin = at;
        }
        // Times alone do not swallow one another's neighbours; each is told.
        return begin == end || !has_data ? end - 1 : begin;
    }

    Result<Told> read(const Event& event) {
        Told told;
        HF_TRY(store_.undo_log().scan(event.record, [&](const UndoRecord& record) {
            if (record.lsn != event.lsn) return false;
            told.end_lsn = record.end_lsn;
            told.object = record.object;
            told.last_link = record.flags & HF_RECORD_LAST_LINK;
            told.exchange = record.exchange;
            for (const UndoItem& item : record.items) {
                if (item.kind == UndoKind::dirent)
                    told.entries.push_back({{item.object, std::string(item.name)}, item.other});
                if (item.kind == UndoKind::attributes && item.object == object_) told.before = item.attributes;
                if (item.kind == UndoKind::xattr) told.xattr = item.name;
            }
            return record.continued;
        }));
        if (told.end_lsn == 0)
            return Error{ErrorCode::not_found, "a record of this object has left the window meanwhile"};
        return told;
    }

    Result<std::optional<ObjectAttributes>> attributes_at(Lsn at) {
        auto found = View(store_, at).attributes(object_);
        if (found) return std::optional(*found);
        if (found.error().code == ErrorCode::not_found) return std::optional<ObjectAttributes>();
        return std::move(found).error();
    }

    Result<bool> is_times_only(const Event& event) {
        const Told told = HF_TRY(read(event));
        const auto after = HF_TRY(attributes_at(told.end_lsn));
        if (!told.before || !after) return true;
        return told.before->mode == after->mode && told.before->uid == after->uid && told.before->gid == after->gid;
    }

    Status tell(size_t begin, size_t end) {
        const Event& last = events_[end - 1];
        const Told told = HF_TRY(read(last));
        Version version;
        version.lsn = told.end_lsn;
        version.time_ns = last.time_ns;
        version.object = object_;
        if (end - begin > 1 || is_data(last.type)) {
            size_t writes = 0, others = 0;
            for (size_t at = begin; at < end; ++at) {
                writes += events_[at].type == HF_WRITE;
                others += events_[at].type == HF_TRUNCATE || events_[at].type == HF_FALLOCATE;
            }
            version.event = writes > 0 ? "written" : "resized";
            version.detail = writes > 0 ? count_text(writes, "write") : count_text(others, "change");
        } else if (!HF_TRY(tell_single(last, told, version))) {
            return ok();
        }
        HF_TRY(add(std::move(version)));
        return ok();
    }

    // False: nothing that happened to this object in a person's eyes.
    Result<bool> tell_single(const Event& event, const Told& told, Version& version) {
        const bool is_own = told.object == object_;
        switch (event.type) {
            case HF_CREATE:
            case HF_MKDIR:
            case HF_MKNOD:
            case HF_SYMLINK: version.event = "created"; return is_own;
            case HF_SETATTR: return HF_TRY(tell_attributes(told, version));
            case HF_SETXATTR:
            case HF_REMOVEXATTR:
                version.event = "xattr";
                version.detail = quoted(told.xattr) + (event.type == HF_SETXATTR ? " set" : " removed");
                return is_own;
            case HF_LINK: version.event = "linked"; break;
            case HF_UNLINK: version.event = told.last_link ? "removed" : "unlinked"; break;
            case HF_RMDIR: version.event = "removed"; break;
            case HF_RENAME: return HF_TRY(tell_rename(told, version));
            default: return false;
        }
        if (is_own && !told.entries.empty()) version.path = HF_TRY(path_of(told.entries.front().place, told.end_lsn));
        return is_own;
    }

    Result<bool> tell_attributes(const Told& told, Version& version) {
        const auto after = HF_TRY(attributes_at(told.end_lsn));
        version.event = "times";
        if (!told.before || !after) return true;
        if (told.before->mode != after->mode) {
            version.event = "mode";
            version.detail = octal(told.before->mode) + " -> " + octal(after->mode);
        } else if (told.before->uid != after->uid || told.before->gid != after->gid) {
            version.event = "owner";
            version.detail = std::to_string(told.before->uid) + ":" + std::to_string(told.before->gid) + " -> " +
                             std::to_string(after->uid) + ":" + std::to_string(after->gid);
        }
        return true;
    }

    // The entry that held this object before is the name that it lost; the other one is where it went, if it moved.
    Result<bool> tell_rename(const Told& told, Version& version) {
        const Told::Entry* lost = nullptr;
        const Told::Entry* other = nullptr;
        for (const auto& entry : told.entries) (entry.previous == object_ && !lost ? lost : other) = &entry;
        if (!lost) return false;
        const std::string lost_path = HF_TRY(path_of(lost->place, told.end_lsn));
        if (told.object == object_ || told.exchange) {
            version.event = "renamed";
            version.detail = "from " + quoted(lost_path);
            if (other) version.path = HF_TRY(path_of(other->place, told.end_lsn));
            return true;
        }
        version.event = "replaced";
        version.path = lost_path;
        return true;
    }

    Result<std::string> path_of(const Place& place, Lsn at) {
        const auto path = HF_TRY(NamesAt(store_, at).path(place));
        return path ? *path : place.name;
    }

    Status tell_first_copy() {
        const Lsn begin = store_.window_begin();
        if (!HF_TRY(store_.index().existed_at(object_, begin))) return ok();
        const auto names = HF_TRY(NamesAt(store_, begin).names(object_));
        if (names.empty() && object_ != journal::root_object) return ok();
        Version version;
        version.lsn = begin;
        version.time_ns = HF_TRY(store_.index().time_at_lsn(begin)).value_or(0);
        version.event = "oldest";
        version.detail = "as it was at the beginning of the window";
        version.object = object_;
        return add(std::move(version));
    }

    // Completes VERSION with size and path at its moment.
    Status add(Version version) {
        const auto attributes = HF_TRY(attributes_at(version.lsn));
        if (attributes && S_ISREG(attributes->mode)) version.size = attributes->size;
        if (version.path.empty()) {
            NamesAt names(store_, version.lsn);
            version.path = path_;
            std::optional<std::string> any;
            for (const Place& place : HF_TRY(names.names(object_))) {
                const auto path = HF_TRY(names.path(place));
                if (path && *path == path_) any = path_;
                if (path && !any) any = path;
            }
            if (any) version.path = *any;
        }
        versions_.push_back(std::move(version));
        return ok();
    }

    const Store& store_;
    const ObjectId object_;
    const std::string path_;
    const LogOptions& options_;
    std::deque<Event> events_;
    std::vector<Version> versions_;
};

}  // namespace

Result<std::vector<Version>> version_log(const Store& store, std::string_view path, const LogOptions& options) {
    const std::string normal = HF_TRY(normal_path(path));
    std::vector<ObjectId> objects;
    for (const Holder& holder : HF_TRY(holders_of(store, normal))) {
        if (std::find(objects.begin(), objects.end(), holder.object) == objects.end()) objects.push_back(holder.object);
    }
    if (objects.empty())
        return Error{ErrorCode::not_found, "nothing in the window ever had the path " + quoted(normal), ENOENT};
    // A name that is replaced at every save has many objects; each keeps at least its birth.
    if (objects.size() > log_objects_max) objects.erase(objects.begin(), objects.end() - log_objects_max);
    std::vector<Version> versions;
    for (const ObjectId& object : objects) {
        auto told = HF_TRY(ObjectLog(store, object, normal, options).run());
        versions.insert(versions.end(), std::make_move_iterator(told.begin()), std::make_move_iterator(told.end()));
    }
    std::sort(versions.begin(), versions.end(), [](const Version& a, const Version& b) { return a.lsn < b.lsn; });
    if (versions.size() > options.limit) versions.erase(versions.begin(), versions.end() - options.limit);
    return versions;
}

}  // namespace holdfast::rewind

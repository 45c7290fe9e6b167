// Verbs that look at history and change nothing of it: moments, bookmarks, listings, versions, differences.
#include <sys/stat.h>

#include "base/name_text.h"
#include "rewind/restore/difference.h"
#include "rewind/restore/version_log.h"
#include "rewind/service/answers.h"
#include "rewind/service/service.h"
#include "rewind/service/verbs.h"
#include "rewind/view.h"

namespace holdfast::rewind {

namespace {

// What one answer can hold (base/json_socket.h bounds it); a mount of the past has no such limit.
constexpr size_t listed_entries_max = 200'000;

Result<Json> moment(Service& service, const Json& request, const JsonServer::Progress&) {
    const Moment found = HF_TRY(service.resolve(HF_TRY(name_in(request, "at"))));
    return Json{{"lsn", found.lsn}, {"time_ns", found.time_ns}};
}

Result<Json> bookmarks(Service& service, const Json&, const JsonServer::Progress&) {
    // One made a moment ago may be published and not yet applied.
    service.follower().wait_applied(service.follower().published(), resolve_wait_ms);
    const StoreLoan store = HF_TRY(service.follower().borrow_any());
    Json list = Json::array();
    for (const BookmarkEntry& bookmark : service.bookmarks().list())
        list.push_back({{"name", name_to_text(bookmark.name)},
                        {"lsn", bookmark.lsn},
                        {"time_ns", bookmark.time_ns},
                        {"offered", store->check_moment(bookmark.lsn).has_value()}});
    return Json{{"bookmarks", std::move(list)}};
}

Result<Json> bookmark_rename(Service& service, const Json& request, const JsonServer::Progress&) {
    const std::string from = HF_TRY(name_in(request, "from")), to = HF_TRY(name_in(request, "to"));
    service.follower().wait_applied(service.follower().published(), resolve_wait_ms);
    HF_TRY(service.bookmarks().rename(from, to));
    return Json::object();
}

Result<Json> bookmark_delete(Service& service, const Json& request, const JsonServer::Progress&) {
    const std::string name = HF_TRY(name_in(request, "name"));
    service.follower().wait_applied(service.follower().published(), resolve_wait_ms);
    HF_TRY(service.bookmarks().remove(name));
    return Json::object();
}

Result<Json> entry_of(const View& view, const std::string& name, const ObjectId& object) {
    const ObjectAttributes attributes = HF_TRY(view.attributes(object));
    Json entry = {{"name", name_to_text(name)},      {"type", type_name(attributes.mode)},
                  {"mode", attributes.mode & 07777}, {"uid", attributes.uid},
                  {"gid", attributes.gid},           {"size", attributes.size},
                  {"mtime_ns", attributes.mtime_ns}, {"nlink", attributes.nlink}};
    if (S_ISLNK(attributes.mode)) entry["target"] = name_to_text(HF_TRY(view.readlink(object)));
    return entry;
}

Result<Json> ls(Service& service, const Json& request, const JsonServer::Progress&) {
    const std::string path = HF_TRY(name_in(request, "path"));
    const Moment at = HF_TRY(service.resolve(HF_TRY(name_in(request, "at"))));
    const StoreLoan store = HF_TRY(service.borrow());
    const View view(*store, at.lsn);
    const ObjectId object = HF_TRY(view.resolve(path));
    Json entries = Json::array();
    if (S_ISDIR(HF_TRY(view.attributes(object)).mode)) {
        const std::vector<ViewEntry> listed = HF_TRY(view.list(object));
        if (listed.size() > listed_entries_max)
            return Error{ErrorCode::no_space,
                         "the directory has " + std::to_string(listed.size()) +
                             " entries, too many for one answer; look at it with `holdfast mount-past`"};
        for (const ViewEntry& entry : listed) entries.push_back(HF_TRY(entry_of(view, entry.name, entry.object)));
    } else {
        entries.push_back(HF_TRY(entry_of(view, path.substr(path.rfind('/') + 1), object)));
    }
    // Pruning may have passed this moment while it was read; then parts of the answer may be newer.
    HF_TRY(store->check_moment(at.lsn));
    return Json{{"lsn", at.lsn}, {"time_ns", at.time_ns}, {"entries", std::move(entries)}};
}

Result<Json> log(Service& service, const Json& request, const JsonServer::Progress&) {
    const std::string path = HF_TRY(name_in(request, "path"));
    LogOptions options;
    options.limit = request.value("limit", options.limit);
    service.follower().wait_applied(service.follower().published(), resolve_wait_ms);
    const StoreLoan store = HF_TRY(service.borrow());
    Json versions = Json::array();
    for (const Version& version : HF_TRY(version_log(*store, path, options))) {
        Json entry = {{"lsn", version.lsn},
                      {"time_ns", version.time_ns},
                      {"event", version.event},
                      {"path", name_to_text(version.path)}};
        if (!version.detail.empty()) entry["detail"] = name_to_text(version.detail);
        if (version.size) entry["size"] = *version.size;
        versions.push_back(std::move(entry));
    }
    return Json{{"versions", std::move(versions)}};
}

Result<Json> diff(Service& service, const Json& request, const JsonServer::Progress& progress) {
    const std::string path = HF_TRY(name_in(request, "path"));
    const Moment from = HF_TRY(service.resolve(HF_TRY(name_in(request, "from"))));
    const Moment to = HF_TRY(service.resolve(HF_TRY(name_in(request, "to"))));
    const StoreLoan store = HF_TRY(service.borrow());
    const std::vector<Change> changes =
        HF_TRY(difference(*store, path, from.lsn, to.lsn, progress_to(service, progress)));
    HF_TRY(store->check_moment(from.lsn));
    HF_TRY(store->check_moment(to.lsn));
    return Json{{"from_lsn", from.lsn}, {"to_lsn", to.lsn}, {"changes", changes_to_json(changes, changes.size())}};
}

constexpr Verb table[] = {
    {"moment", moment},
    {"bookmarks", bookmarks},
    {"bookmark-rename", bookmark_rename},
    {"bookmark-delete", bookmark_delete},
    {"ls", ls},
    {"log", log},
    {"diff", diff},
};

}  // namespace

std::span<const Verb> history_verbs() {
    return table;
}

}  // namespace holdfast::rewind

// Verbs about the service itself: how it is, waiting for it, checking and tidying the store, mounts of the past.
#include <unistd.h>

#include "base/json.h"
#include "base/name_text.h"
#include "rewind/service/service.h"
#include "rewind/service/verbs.h"
#include "rewind/service/verify_store.h"

namespace holdfast::rewind {

namespace {

const char* text_of(StandbyTree::State state) {
    switch (state) {
        case StandbyTree::State::unreachable: return "unreachable";
        case StandbyTree::State::comparing: return "comparing";
        case StandbyTree::State::following: return "following";
    }
    return "unknown";
}

// Null: there is none, and there should be none.
Json standby_json(const Service& service, const Store& store) {
    if (!service.standby_refused().empty()) return {{"state", "refused"}, {"why", service.standby_refused()}};
    const auto condition = store.standby();
    if (!condition) return {};
    Json json = {{"state", text_of(condition->state)},
                 {"position", condition->position},
                 {"objects", condition->figures.objects},
                 {"bytes_compared", condition->figures.bytes_compared},
                 {"differences", condition->figures.differences},
                 {"comparisons", condition->comparisons},
                 {"lacks_attributes", condition->lacks_attributes}};
    json["directory"] = name_to_text(service.volume().directory);
    if (condition->failure) json["why"] = condition->failure->message;
    return json;
}

Result<Json> compare_standby(Service& service, const Json&, const JsonServer::Progress&) {
    HF_TRY(service.follower().on_store([](Store& store) { return store.compare_standby(); }));
    return Json::object();
}

Result<Json> status(Service& service, const Json&, const JsonServer::Progress&) {
    const Follower::Condition condition = service.follower().condition();
    Json answer = {{"pid", ::getpid()},
                   {"published", service.follower().published()},
                   {"applied", service.follower().applied()},
                   {"checkpoint", condition.checkpoint},
                   {"state", condition.state},
                   {"supervised", service.is_supervised()},
                   {"past_mounts", service.past_mounts().asked_for()},
                   {"bookmarks", service.bookmarks().list().size()},
                   {"confined", service.outside().confined().text()}};
    // Not "error", which would make the whole answer one.
    if (condition.healed) answer["healed"] = to_json(*condition.healed);
    if (condition.failure) answer["failure"] = condition.failure->message;
    if (auto store = service.follower().borrow_any()) {
        const Lsn begin = (*store)->window_begin();
        auto time_ns = (*store)->index().time_at_lsn(begin);
        answer["window_begin"] = begin;
        answer["window_begin_time_ns"] = time_ns ? time_ns->value_or(0) : 0;
        answer["undo_bytes"] = (*store)->undo_log().used_bytes();
        answer["graveyard_bytes"] = (*store)->graveyard_bytes();
        answer["index_bytes"] = (*store)->index().bytes_on_disk();
        answer["evidence"] = (*store)->evidence();
        answer["standby"] = standby_json(service, **store);
    }
    return answer;
}

Result<Json> wait(Service& service, const Json& request, const JsonServer::Progress&) {
    const auto lsn = number_at(request, "lsn");
    if (!lsn) return Error{ErrorCode::invalid_argument, "`lsn` must be a number"};
    const auto timeout_ms = number_or(request, "timeout_ms", 10'000);
    Json answer = {{"applied", service.follower().wait_applied(*lsn, timeout_ms)}};
    if (auto store = service.follower().borrow_any()) answer["standby"] = standby_json(service, **store);
    return answer;
}

Result<Json> checkpoint(Service& service, const Json&, const JsonServer::Progress&) {
    Lsn lsn = 0;
    HF_TRY(service.follower().on_store([&lsn](Store& store) -> Status {
        lsn = HF_TRY(store.checkpoint());
        return ok();
    }));
    return Json{{"lsn", lsn}};
}

Result<Json> hold(Service& service, const Json&, const JsonServer::Progress&) {
    return Json{{"applied", HF_TRY(service.follower().hold())}};
}

Result<Json> go_on(Service& service, const Json&, const JsonServer::Progress&) {
    HF_TRY(service.follower().go_on());
    return Json{{"applied", service.follower().applied()}};
}

Result<Json> prune(Service& service, const Json&, const JsonServer::Progress&) {
    uint64_t freed = 0;
    Lsn begin = 0;
    HF_TRY(service.follower().on_store([&](Store& store) -> Status {
        freed = HF_TRY(store.prune());
        begin = store.window_begin();
        return ok();
    }));
    return Json{{"freed_bytes", freed}, {"window_begin", begin}};
}

Result<Json> compact(Service& service, const Json&, const JsonServer::Progress&) {
    HF_TRY(service.follower().on_store([](Store& store) { return store.compact(); }));
    const StoreLoan store = HF_TRY(service.follower().borrow_any());
    uint64_t records = 0;
    const UndoLog& undo = store->undo_log();
    HF_TRY(undo.scan(undo.begin(), [&records](const UndoRecord& record) {
        records += !record.continued;
        return true;
    }));
    return Json{{"index_bytes", store->index().bytes_on_disk()}, {"records", records}};
}

Result<Json> verify(Service& service, const Json&, const JsonServer::Progress& progress) {
    const VerifyReport report =
        HF_TRY(verify_store(service.follower(), service.volume(), progress_to(service, progress)));
    Json problems = Json::array();
    for (const std::string& sentence : report.problems) problems.push_back(sentence);
    return Json{{"problems", problems},
                {"problems_left_out", report.problems_left_out},
                {"segments", report.segments},
                {"journal_records", report.journal_records},
                {"undo_segments", report.undo_segments},
                {"undo_records", report.undo_records},
                {"indexed_items", report.indexed_items},
                {"objects", report.objects},
                {"bytes", report.bytes}};
}

Result<Json> past(Service& service, const Json&, const JsonServer::Progress&) {
    HF_TRY(service.borrow());
    return Json{{"directory", name_to_text(HF_TRY(service.past_mounts().own_place()))}};
}

Result<Json> mount_past(Service& service, const Json& request, const JsonServer::Progress&) {
    const std::string directory = HF_TRY(name_in(request, "directory"));
    HF_TRY(service.borrow());
    HF_TRY(service.past_mounts().mount(directory));
    return Json{{"directory", name_to_text(directory)}};
}

Result<Json> unmount_past(Service& service, const Json& request, const JsonServer::Progress&) {
    const std::string directory = HF_TRY(name_in(request, "directory"));
    HF_TRY(service.past_mounts().unmount(directory));
    return Json{{"directory", name_to_text(directory)}};
}

Result<Json> stop(Service& service, const Json&, const JsonServer::Progress&) {
    if (service.is_supervised())
        return Error{ErrorCode::busy, "this store service belongs to the mounted volume; unmount the volume to end it"};
    service.ask_to_end();
    return Json{{"pid", ::getpid()}};
}

constexpr Verb table[] = {
    {"status", status},
    {"compare_standby", compare_standby},
    {"wait", wait},
    {"checkpoint", checkpoint},
    {"hold", hold},
    {"go-on", go_on},
    {"prune", prune},
    {"compact", compact},
    {"verify", verify},
    {"past", past},
    {"mount-past", mount_past},
    {"umount-past", unmount_past},
    {"stop", stop},
};

}  // namespace

std::span<const Verb> upkeep_verbs() {
    return table;
}

}  // namespace holdfast::rewind

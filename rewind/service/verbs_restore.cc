// Verbs that bring the past back: beside the present (restore) and in its place (rewind).
#include "base/log.h"
#include "base/mount_table.h"
#include "base/name_text.h"
#include "base/text.h"
#include "rewind/restore/restore.h"
#include "rewind/restore/rewind_in_place.h"
#include "rewind/service/answers.h"
#include "rewind/service/service.h"
#include "rewind/service/verbs.h"
#include "rewind/view.h"

namespace holdfast::rewind {

namespace {

constexpr size_t told_changes_max = 1000;
constexpr uint64_t present_wait_ms = 600'000;  // one turn; progress is told between turns
constexpr uint64_t present_turn_ms = 500;

// What was handed in from outside, for as long as it is used.
class Held {
public:
    Held(Outside& outside, int fd) : outside_(outside), fd_(fd) {}
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() { outside_.let_go(fd_); }

private:
    Outside& outside_;
    const int fd_;
};

Result<Json> restore(Service& service, const Json& request, const JsonServer::Progress& progress) {
    const std::string path = HF_TRY(name_in(request, "path"));
    const std::string destination = HF_TRY(name_in(request, "to"));
    const Moment at = HF_TRY(service.resolve(HF_TRY(name_in(request, "at"))));
    const StoreLoan store = HF_TRY(service.borrow());
    if (is_within(destination, service.volume().store))
        return Error{ErrorCode::invalid_argument,
                     quoted(destination) + " lies in the store, which holds nothing but history; choose another place"};
    const RestorePlace place = HF_TRY(service.outside().bring_in(destination));
    const Held held(service.outside(), place.opened.get());
    const View view(*store, at.lsn);
    const RestorePlan plan = HF_TRY(plan_restore(view, path, place, request.value("force", false)));
    Json answer = {{"lsn", at.lsn},
                   {"time_ns", at.time_ns},
                   {"files", plan.files},
                   {"bytes", plan.bytes},
                   {"target", name_to_text(plan.target())},
                   {"type", type_name(plan.mode)}};
    if (!plan.replaces.empty()) answer["replaces"] = plan.replaces;
    HF_TRY(store->check_moment(at.lsn));
    if (request.value("dry_run", false)) return answer;
    const RestoreReport report = HF_TRY(rewind::restore(view, plan, progress_to(service, progress)));
    if (Status still = store->check_moment(at.lsn); !still)
        return std::move(still).error().within("while " + quoted(report.target) +
                                               " was restored its moment left the window, so it may be incomplete");
    answer["files"] = report.files;
    answer["bytes"] = report.bytes;
    answer["target"] = name_to_text(report.target);
    return answer;
}

// Everything that the applications have done is in the store: flushed by capture, published, applied.
Result<Lsn> reach_present(Service& service, const ProgressSink& progress, bool may_be_unmounted = false) {
    Status synced = service.outside().sync_capture();
    const bool is_unmounted = !synced && synced.error().code == ErrorCode::unavailable;
    if (!synced && !(is_unmounted && may_be_unmounted))
        return std::move(synced).error().within("bring capture to the present");
    const Lsn published = service.follower().published();
    const Lsn start = service.follower().applied();
    for (uint64_t waited_ms = 0; waited_ms < present_wait_ms; waited_ms += present_turn_ms) {
        const Status reached = service.follower().reach(published, present_turn_ms);
        const Lsn applied = service.follower().applied();
        if (reached) return applied;
        if (reached.error().code != ErrorCode::unavailable) return Error(reached.error());
        if (!progress({0, applied - start, 0, published - start}))
            return Error{ErrorCode::unavailable, "the store service is ending"};
    }
    return Error{ErrorCode::unavailable,
                 "the store is too far behind the present to rewind now; try again when it has caught up"};
}

Json strings_to_json(const std::vector<std::string>& sentences) {
    Json list = Json::array();
    for (const std::string& sentence : sentences) list.push_back(sentence);
    return list;
}

Json names_to_json(const std::vector<std::string>& names) {
    Json list = Json::array();
    for (const std::string& name : names) list.push_back(name_to_text(name));
    return list;
}

Json plan_to_json(const RewindPlan& plan) {
    return {{"lsn", plan.moment},
            {"undo_lsn", plan.present},
            {"files", plan.files},
            {"bytes", plan.bytes},
            {"created", plan.created},
            {"removed", plan.removed},
            {"renamed", plan.renamed},
            {"kept", names_to_json(plan.kept)},
            {"changes", changes_to_json(plan.changes, told_changes_max)},
            {"changes_total", plan.changes.size()}};
}

// Carries PLAN out and compares afterwards: what was done, and the evidence that it is what was asked for (I10).
Status act_and_verify(Service& service, const StoreLoan& store, const RewindPlan& plan, int mount_fd,
                      const ProgressSink& progress, Json& answer) {
    const RewindReport report = HF_TRY(act_rewind(*store, plan, mount_fd, progress));
    const Lsn after = HF_TRY(reach_present(service, progress));
    const RewindVerification verified = HF_TRY(verify_rewind(*store, plan, after, progress));
    answer.update({{"files", report.files},
                   {"bytes", report.bytes},
                   {"created", report.created},
                   {"removed", report.removed},
                   {"renamed", report.renamed},
                   {"end_lsn", after},
                   {"problems", strings_to_json(report.problems)},
                   {"verified",
                    {{"objects", verified.objects_compared},
                     {"bytes", verified.bytes_compared},
                     {"differences", strings_to_json(verified.differences)}}}});
    log_info("Rewound " + quoted(plan.path) + " to lsn " + std::to_string(plan.moment) + ": " +
             std::to_string(report.files) + " objects, " + human_bytes(report.bytes) + "; compared " +
             std::to_string(verified.objects_compared) + " objects, " + std::to_string(verified.differences.size()) +
             " differ. Lsn " + std::to_string(plan.present) + " is the state before.");
    return ok();
}

Result<Json> rewind_path(Service& service, const Json& request, const JsonServer::Progress& progress) {
    HF_TRY(journal::check_is_source(service.volume(), "what stands in it is the source's to change: use `holdfast restore --to` to put the past "
                                                      "elsewhere, or rewind on the source, from where it comes here"));
    const std::string path = HF_TRY(name_in(request, "path"));
    const std::string to = HF_TRY(name_in(request, "to"));
    const bool dry_run = request.value("dry_run", false);
    std::unique_lock<std::mutex> only_one;
    if (!dry_run) {
        only_one = service.claim_rewind();
        if (!only_one.owns_lock())
            return Error{ErrorCode::busy, "another rewind of this volume is going on; wait for it to end"};
    }
    const ProgressSink sink = progress_to(service, progress);
    // Before the present is reached: "10 minutes ago" is meant from when it was asked.
    const Moment moment = HF_TRY(service.resolve(to));
    // A preview needs no mount: what it would do is known from the store.
    UniqueFd live;
    if (!dry_run) live = HF_TRY(service.outside().open_live());
    const Held held(service.outside(), live.get());
    HF_TRY(reach_present(service, sink, dry_run));
    const StoreLoan store = HF_TRY(service.borrow());
    const RewindPlan plan = HF_TRY(plan_rewind(*store, path, moment.lsn, sink, service.volume().left_out));
    // A moment that fell out of the window while the plan was made would have been read as a later one.
    HF_TRY(store->check_moment(moment.lsn));
    Json answer = plan_to_json(plan);
    answer["time_ns"] = moment.time_ns;
    if (!dry_run) HF_TRY(act_and_verify(service, store, plan, live.get(), sink, answer));
    return answer;
}

constexpr Verb table[] = {{"restore", restore}, {"rewind", rewind_path}};

}  // namespace

std::span<const Verb> restore_verbs() {
    return table;
}

}  // namespace holdfast::rewind

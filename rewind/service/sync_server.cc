#include "rewind/service/sync_server.h"

#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "rewind/reconcile/orphans.h"
#include "rewind/service/service.h"
#include "rewind/sync/comparison.h"
#include "rewind/sync/replica_repair.h"
#include "rewind/sync/sync_pipe.h"
#include "rewind/sync/sync_source.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t apply_wait_ms = 60'000;

class PipeLine final : public SyncLine {
public:
    explicit PipeLine(SyncPipe& pipe) : pipe_(pipe) {}
    Status ask(ByteSpan question) override { return pipe_.send(SyncPart::peer, question); }
    Result<std::vector<std::byte>> answer() override {
        SyncMessage message = HF_TRY(pipe_.receive());
        if (message.part == SyncPart::peer) return std::move(message.bytes);
        HF_TRY(control_of(message));  // an error that ends the matter
        return Error{ErrorCode::corrupt, "the engine spoke when an answer of the source was expected"};
    }

private:
    SyncPipe& pipe_;
};

struct Told {
    Lsn at = 0;
    uint64_t time_ns = 0;
    std::vector<ObjectId> orphans;
};

// The store as it is now.
Status look_at_now(Service& service, Told& told) {
    return service.follower().on_store([&](Store& store) -> Status {
        told.at = store.applied();
        HF_TRY(store.check_moment(told.at));
        told.time_ns = HF_TRY(store.index().time_at_lsn(told.at)).value_or(0);
        told.orphans = HF_TRY(open_orphans(store, told.at));
        return ok();
    });
}

// Tells of the store as it is now, or when it has applied the record at `beyond`, or at the moment that is asked for, until the other side has enough.
Status serve_source(Service& service, SyncPipe& pipe, const Json& request) {
    Told told;
    const auto asked = number_at(request, "at"), beyond = number_at(request, "beyond");
    if (asked) HF_TRY(service.follower().reach(*asked, apply_wait_ms));
    if (beyond) HF_TRY(service.follower().reach(*beyond + 1, apply_wait_ms));
    if (!asked) HF_TRY(look_at_now(service, told));
    const StoreLoan store = HF_TRY(service.borrow());
    if (asked) {
        told.at = *asked;
        HF_TRY(store->check_moment(told.at));
    }
    SyncSource source(*store, told.at, std::move(told.orphans));
    HF_TRY(pipe.send(Json{{"at", told.at}, {"time_ns", told.time_ns}}));
    for (;;) {
        auto question = pipe.receive();
        if (!question && question.error().code == ErrorCode::unavailable) return ok();
        const SyncMessage message = HF_TRY(std::move(question));
        if (message.part != SyncPart::peer) return Error{ErrorCode::corrupt, "a question was expected on the sync socket"};
        // Who would have it closed and opened again need not wait for the end of this.
        if (const auto failure = service.follower().condition().failure) return *failure;
        HF_TRY(pipe.send(SyncPart::peer, source.answer(message.bytes)));
    }
}

Status repair_store(Service& service, SyncPipe& pipe, const Json& request) {
    if (!service.volume().is_replica()) return Error{ErrorCode::unsupported, "the store of a source is not made equal to another"};
    const RepairPoint point = HF_TRY(repair_point_of(request.contains("point") ? request["point"] : Json::object()));
    auto disk = HF_TRY(open_disk(service.volume().store));
    RepairOptions options;
    options.accept_deletions = request.contains("accept_deletions") && request["accept_deletions"] == true;
    options.trust_times = request.contains("trust_times") && request["trust_times"] == true;
    options.progress = [&](const WorkProgress&) { return !service.is_ending(); };
    // What is here already is history that the comparison would pass over. Where it cannot be applied there is a gap instead.
    const bool applies = !service.applies_late() && !service.follower().awaits_repair();
    if (applies) (void)service.follower().reach(service.follower().published(), apply_wait_ms).has_value();
    RepairEvidence evidence;
    HF_TRY(service.follower().on_store_to_repair([&](Store& store) -> Status {
        PipeLine line(pipe);
        evidence = HF_TRY(repair_replica(store, *disk, service.volume().store, point, line, options, system_clock()));
        return ok();
    }));
    log_info("The replica is equal to its source at lsn " + std::to_string(point.at) + ": " + evidence.sentence + ".");
    return pipe.send(Json{{"done", to_json(evidence)}});
}

// Of what is applied now: the source has that, too. The time is now, because a volume that nobody writes is what it was.
Status compare_store(Service& service, SyncPipe& pipe, const Json& request) {
    CompareOptions options;
    if (request.contains("position")) options.from = HF_TRY(compare_position_of(request["position"]));
    options.bytes_max = number_at(request, "bytes_max").value_or(UINT64_MAX);
    options.progress = [&](const ComparedPart&) -> Status {
        if (service.is_ending()) return Error{ErrorCode::unavailable, "the store service ends"};
        const auto failure = service.follower().condition().failure;
        return failure ? Status(*failure) : ok();
    };
    const StoreLoan store = HF_TRY(service.borrow());
    const Lsn at = store->applied();
    HF_TRY(store->check_moment(at));
    HF_TRY(pipe.send(Json{{"at", at}, {"time_ns", system_clock().realtime_ns()}}));
    PipeLine line(pipe);
    const ComparedPart part = HF_TRY(compare_stores(*store, at, line, options));
    return pipe.send(Json{{"compared", to_json(part)}});
}

Status talk(Service& service, SyncPipe& pipe) {
    const SyncMessage first = HF_TRY(pipe.receive());
    const Json request = HF_TRY(control_of(first));
    const std::string role = request.contains("role") && request["role"].is_string() ? request["role"].get<std::string>() : "";
    if (role == "serve") return serve_source(service, pipe, request);
    if (role == "repair") return repair_store(service, pipe, request);
    if (role == "compare") return compare_store(service, pipe, request);
    return Error{ErrorCode::invalid_argument, "the sync socket knows the roles \"serve\", \"repair\" and \"compare\""};
}

}  // namespace

Result<std::unique_ptr<UnixServer>> serve_sync(Service& service) {
    const auto serve = [&service](int fd) {
        SyncPipe pipe{UniqueFd(::dup(fd))};
        Status done = talk(service, pipe);
        if (done) return;
        log_warning("A comparison with another host ended: " + done.error().message + ".");
        (void)pipe.send(json_of(done.error())).has_value();
    };
    UnixListener listener = HF_TRY(service.outside().listen(Door::sync));
    return UnixServer::start(std::move(listener), sync_connections_max, serve, [](int) {});
}

}  // namespace holdfast::rewind

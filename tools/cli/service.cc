#include "tools/cli/service.h"

#include <algorithm>
#include <cerrno>
#include <thread>

#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "tools/cli/mounts.h"
#include "tools/cli/output.h"

namespace holdfast::cli {

namespace {

constexpr int poll_interval_ms = 20;
constexpr uint64_t wait_turn_ms = 500;

// The service answers as soon as its store is open; a child that ended before that says why on standard error.
Status wait_until_it_answers(Child& child, const std::string& socket) {
    for (int waited_ms = 0; waited_ms < service_start_timeout_ms; waited_ms += poll_interval_ms) {
        auto status = json_call(socket, {{"verb", "status"}});
        if (status) return ok();
        if (status.error().sys_errno == ETIMEDOUT) return std::move(status).error();
        if (!child.wait(poll_interval_ms)) continue;
        std::string line = child.last_error_line();
        return Error{ErrorCode::unavailable, "the store service did not start: " +
                                             (line.empty() ? "it ended with status " + std::to_string(child.exit_status()) : printable(line))};
    }
    return Error{ErrorCode::unavailable, "the store service did not answer within " +
                                         human_duration(service_start_timeout_ms * 1'000'000ULL)};
}

}  // namespace

Result<StoreService> StoreService::connect(const journal::Volume& volume, Start start) {
    StoreService service(journal::store_socket(volume.id));
    auto status = json_call(service.socket_, {{"verb", "status"}});
    if (status) return service;
    if (status.error().code != ErrorCode::unavailable || status.error().sys_errno == ETIMEDOUT) return std::move(status).error();
    // While the directory is mounted its supervisor starts the service, and starts it again: that is waited for.
    if (!volume.is_replica() && HF_TRY(is_captured(volume.directory))) return HF_TRY(service.wait_for_supervised(volume));
    if (start == Start::never && volume.is_replica())
        return Error{ErrorCode::unavailable, "the store service of " + printable(volume.store) + " does not run"};
    if (start == Start::never) {
        return Error{ErrorCode::unavailable, "the store service of " + printable(volume.directory) +
                                             " does not run: `mount " + printable(volume.directory) + "` or `holdfast protect` starts it"};
    }
    std::string program = HF_TRY(find_program(store_program));
    Child::Options options;
    if (start == Start::detached) options = {.lifetime = Child::Lifetime::own, .log_path = volume.store + "/log"};
    auto child = std::make_unique<Child>(HF_TRY(Child::start({program, "run", volume.store}, options)));
    HF_TRY(wait_until_it_answers(*child, service.socket_));
    service.started_here_ = true;
    if (start == Start::detached) {
        child->detach();
    } else {
        service.child_ = std::move(child);
    }
    return service;
}

Result<StoreService> StoreService::wait_for_supervised(const journal::Volume& volume) {
    for (int waited_ms = 0; waited_ms < supervised_start_timeout_ms; waited_ms += poll_interval_ms) {
        auto status = json_call(socket_, {{"verb", "status"}});
        if (status) return std::move(*this);
        if (status.error().sys_errno == ETIMEDOUT) return std::move(status).error();
        std::this_thread::sleep_for(std::chrono::milliseconds(poll_interval_ms));
    }
    return Error{ErrorCode::unavailable, "the store service of " + printable(volume.directory) + " does not answer, although the directory is mounted: " +
                                             printable(volume.store) + "/log says why"};
}

Result<Json> StoreService::call(const Json& request, const JsonServer::Progress& progress) const {
    return json_call(socket_, request, progress);
}

Result<Json> capture_call(const journal::Volume& volume, const Json& request) {
    HF_TRY(journal::check_is_source(volume, "nothing is captured here: do it on the source, from where it comes to this host"));
    auto answer = json_call(journal::capture_socket(volume.id), request);
    if (!answer && answer.error().code == ErrorCode::unavailable && answer.error().sys_errno != ETIMEDOUT) {
        return Error{ErrorCode::unavailable, printable(volume.directory) + " is not mounted, nothing is being recorded: run `holdfast protect " +
                                             printable(volume.directory) + " --store " + printable(volume.store) + "`"};
    }
    return answer;
}

Result<std::optional<uint64_t>> published_end(const journal::Volume& volume) {
    if (volume.is_replica()) return std::optional<uint64_t>();
    auto status = json_call(journal::capture_socket(volume.id), {{"verb", "status"}});
    if (status) return std::optional<uint64_t>(number_or(*status, "published", 0));
    if (status.error().code == ErrorCode::unavailable && status.error().sys_errno != ETIMEDOUT) return std::optional<uint64_t>();
    return std::move(status).error();
}

Result<Moment> resolve_moment(const StoreService& service, const std::string& at) {
    Json answer = HF_TRY(service.call({{"verb", "moment"}, {"at", at}}));
    return Moment{number_or(answer, "lsn", 0), number_or(answer, "time_ns", 0)};
}

Result<uint64_t> wait_applied(const journal::Volume& volume, const StoreService& service, uint64_t timeout_ms, const BehindSink& behind) {
    auto published = HF_TRY(published_end(volume));
    Json status = HF_TRY(service.call({{"verb", "status"}}));
    uint64_t wanted = published.value_or(number_or(status, "published", 0));
    uint64_t applied = number_or(status, "applied", 0);
    const uint64_t at_start = wanted - std::min(wanted, applied);
    const uint64_t start_ns = system_clock().monotonic_ns();
    while (applied < wanted) {
        uint64_t waited_ms = (system_clock().monotonic_ns() - start_ns) / 1'000'000;
        if (waited_ms >= timeout_ms)
            return Error{ErrorCode::unavailable, "the store is still " + human_bytes(wanted - applied) + " behind after " +
                                                     human_duration(timeout_ms * 1'000'000) + ": try again, or wait longer with --timeout"};
        if (behind) behind(wanted - applied, at_start);
        uint64_t turn_ms = std::min(wait_turn_ms, timeout_ms - waited_ms);
        const Json answer = HF_TRY(service.call({{"verb", "wait"}, {"lsn", wanted}, {"timeout_ms", turn_ms}}));
        applied = number_or(answer, "applied", 0);
        if (applied >= wanted) break;
        status = HF_TRY(service.call({{"verb", "status"}}));
        if (status.value("state", "") == "failed")
            return Error{ErrorCode::unavailable, "the store cannot take in the journal: " + printable(status.value("failure", "it does not say why"))};
    }
    return applied;
}

std::string lsn_text(uint64_t lsn) { return "lsn:" + std::to_string(lsn); }

}  // namespace holdfast::cli

#include "fusefs/filter.h"

#include <sys/resource.h>

#include "base/log.h"
#include "fusefs/filter/healing.h"
#include "fusefs/filter/server.h"

namespace holdfast::fusefs {
namespace {

// One descriptor per open file of every application: as many as the system allows.
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

class Filter::Impl {
public:
    Impl(const Wiring& wiring, NodeIds ids) : shared(wiring, std::move(ids)), server(shared, wiring.threads) {}

    // What is left at the end of a session. With the mount gone nobody uses a nameless object any more; after a stop() the
    // kernel still does, and a successor takes over.
    void settle_the_rest() {
        shared.take_over_times();
        // Whoever is healing is done with it first, or comes too late.
        Gate::Closed closed(shared.gate);
        shared.flush_times(~uint64_t{0}, true);
        shared.end_the_rest();
        if (!server.is_unmounted()) return;
        for (Orphan& orphan : shared.orphans.take_all()) shared.end(std::move(orphan));
    }

    Shared shared;
    Server server;
    std::mutex flushing;
};

Result<std::unique_ptr<Filter>> Filter::create(const Wiring& wiring) {
    if (wiring.threads < 1 || wiring.threads > filter_serving_threads_max)
        return Error{ErrorCode::invalid_argument, "the filter has 1 to " + std::to_string(filter_serving_threads_max) + " threads"};
    if ((wiring.writer == nullptr) != (wiring.table == nullptr))
        return Error{ErrorCode::invalid_argument, "a journal's writer and its in-flight table come together"};
    raise_descriptor_limit();
    NodeIds ids = HF_TRY(NodeIds::learn(wiring.backing_root_fd, wiring.origin));
    auto impl = std::make_unique<Impl>(wiring, std::move(ids));
    if (wiring.resumed) impl->shared.orphans.fetch_kept(impl->shared.ids);
    return std::unique_ptr<Filter>(new Filter(std::move(impl)));
}

Filter::Filter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Filter::~Filter() = default;

Status Filter::run() {
    auto status = impl_->server.run();
    impl_->settle_the_rest();
    return status;
}

void Filter::stop() {
    impl_->server.stop();
}

bool Filter::in_gap() const {
    return impl_->shared.recorder.in_gap();
}

Filter::Gap Filter::gap() const {
    Recorder& recorder = impl_->shared.recorder;
    return {recorder.gap_since_ns(), recorder.dirty().objects(), recorder.dirty().is_everything()};
}

std::unique_ptr<Healing> Filter::heal(const journal::WriterOptions& limits) {
    return std::make_unique<Healing>(impl_->shared, limits);
}

void Filter::set_durability(const journal::Durability& durability) {
    impl_->shared.replica_wait.change(durability);
}

bool Filter::unmounted() const {
    return impl_->server.is_unmounted();
}

Status Filter::flush_times() {
    std::lock_guard one_at_a_time(impl_->flushing);
    impl_->shared.take_over_times();
    Gate::Passage passage(impl_->shared.gate, impl_->shared.wiring.threads + 1);
    impl_->shared.flush_times(~uint64_t{0}, true);
    return ok();
}

// Most times are recorded before the gate closes, so that it is closed for an instant only; those that changed in between
// follow while nothing moves.
Result<Filter::Cut> Filter::cut(std::string_view bookmark_name) {
    Shared& shared = impl_->shared;
    if (!shared.recorder.has_journal()) return Error{ErrorCode::unsupported, "a null filter has no history to mark"};
    HF_TRY(flush_times());
    const auto gap = [] { return Error{ErrorCode::gap, "changes are not being recorded at the moment, so there is nothing to mark"}; };
    Cut cut;
    {
        Gate::Closed closed(shared.gate);
        if (!shared.recorder.is_recording()) return gap();
        shared.flush_times(~uint64_t{0}, true);
        journal::Record record;
        record.type = HF_BOOKMARK;
        record.body = journal::Bookmark{bookmark_name};
        cut.time_ns = shared.clock.realtime_ns();
        auto appended = shared.recorder.writer()->append(record);
        if (!appended) return std::move(appended).error();
        if (!shared.recorder.is_recording()) return gap();
        cut.end = *appended + journal::encoded_length(record.body);
    }
    HF_TRY(shared.recorder.writer()->sync(cut.end));
    return cut;
}

}  // namespace holdfast::fusefs

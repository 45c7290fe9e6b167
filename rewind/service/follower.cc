#include "rewind/service/follower.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "base/text.h"
#include "rewind/sync/repair_mark.h"

namespace holdfast::rewind {

namespace {

// A reader of the past may hold the store for as long as one answer takes; a restore for longer. Then the store is
// opened again a little later. The other way round, a store that is being opened may have much to recover; whoever asks
// meanwhile is told so.
constexpr auto gate_patience = std::chrono::seconds(5);
// Behind by less than this for no longer than that is "following".
constexpr uint64_t following_bytes = 4 << 20;
constexpr uint64_t following_ns = 2'000'000'000;
// How soon a held store sees that it may go on.
constexpr auto held_pause = std::chrono::milliseconds(5);

}  // namespace

Follower::Follower(const journal::Volume& volume, Bookmarks& bookmarks, const Clock& clock, uint64_t delay_ns, GapHealer::Connect connect)
    : volume_(volume), bookmarks_(bookmarks), clock_(clock), delay_ns_(delay_ns) {
    if (connect) healer_.emplace(volume_, std::move(connect), static_cast<HealHost&>(*this));
}

Follower::~Follower() {
    (void)finish().has_value();
    std::unique_lock closing(gate_);
    close_store();
}

Status Follower::start() {
    if (Status opened = open_store(Store::Opening::brought_forward); !opened) {
        if (opened.error().code == ErrorCode::busy) return opened;
        fail(opened.error());
    }
    thread_ = std::thread([this] { run(); });
    return ok();
}

Status Follower::finish() {
    if (!thread_.joinable()) return ok();
    stopping_ = true;
    wake();
    thread_.join();
    MutexLock lock(mutex_);
    if (failure_) return *failure_;
    return ok();
}

void Follower::wake() {
    std::shared_lock open(gate_, gate_patience);
    if (open && tail_) tail_->wake();
}

// REQUIRES: called from start() before the thread runs, or under gate_.
Status Follower::open_store(Store::Opening opening) {
    tail_ = HF_TRY(JournalTail::open(volume_));
    store_ = HF_TRY(Store::open(volume_, tail_->reader(), clock_, opening));
    tail_->reader().seek(store_->applied());
    HF_TRY(bookmarks_.follow(store_->index(), store_->undo_log(), store_->applied()));
    if (!store_->evidence().empty()) log_info("The store was opened: " + store_->evidence());
    prune_due_ns_ = clock_.monotonic_ns();  // soon: it also counts the graveyard
    unsaved_bytes_ = 0;
    broken_ = false;
    announce();
    return ok();
}

// REQUIRES: gate_ is held exclusively. The store reads through the tail's reader, so it goes first.
void Follower::close_store() {
    store_.reset();
    tail_.reset();
}

void Follower::run() {
    while (!stopping_) {
        if (is_closed()) {
            retry();
            continue;
        }
        run_jobs();
        if (Status done = round(); !done) fail(done.error());
    }
    apply_rest();
    {
        const MutexLock lock(mutex_);
        ended_ = true;
        progressed_.notify_all();
    }
    refuse_jobs(true);
}

// One batch, and a wait when there is nothing more to do.
Status Follower::round() {
    if (held_) {
        std::this_thread::sleep_for(held_pause);
        return ok();
    }
    HF_TRY(tail_->look_for_table());
    const Lsn known = tail_->published(), before = store_->applied();
    const uint64_t taken = HF_TRY(store_->apply(tail_->reader(), follow_bytes_max, old_enough_ns()));
    if (taken > 0) HF_TRY(bookmarks_.follow(store_->index(), store_->undo_log(), store_->applied()));
    // With everything that was published when the round began; a stream that goes on growing has no end to be reached.
    const bool is_caught_up = taken == 0 || (before < known && known <= store_->applied());
    if (is_caught_up) {
        tail_->reached_end();
        caught_up_ns_ = clock_.monotonic_ns();
    }
    announce();
    // Filler counts as well: the journal may forget it only after a checkpoint.
    HF_TRY(upkeep(store_->applied() - before));
    // An error is told until a round has gone through again.
    {
        MutexLock lock(mutex_);
        if (failure_) log_info("The store goes on after the failure.");
        failure_.reset();
    }
    retry_pause_ns_ = retry_first_ns;
    if (taken == 0) heal();
    const bool has_more = advance_standby(is_caught_up);
    if (taken == 0 && !has_more)
        tail_->wait(known, idle_wait_ms);
    else if (is_caught_up && !has_more)
        std::this_thread::sleep_for(std::chrono::milliseconds(volume_.is_replica() ? replica_rest_ms : rest_ms));
    return ok();
}

// What comes all the time is followed in portions: each looks at everything that was touched once, however often that was.
bool Follower::advance_standby(bool is_caught_up) {
    const uint64_t now_ns = clock_.monotonic_ns();
    if (!is_caught_up && now_ns < standby_due_ns_) return false;
    const bool has_more = store_->advance_standby();
    standby_due_ns_ = clock_.monotonic_ns() + standby_interval_ns;
    return has_more;
}

// REQUIRES: everything published is applied. What fails is tried again; when it was the store, the next round tells.
void Follower::heal() {
    if (!healer_ || clock_.monotonic_ns() < heal_due_ns_) return;
    const Status moment = store_->check_moment(store_->applied());
    if (moment || moment.error().code != ErrorCode::gap) return;
    auto healed = healer_->heal(*store_);
    if (healed && *healed) {
        log_info("The gap has ended while the directory was in use, at lsn " + std::to_string((*healed)->gap_end) + ": " + std::to_string((*healed)->objects) +
                 " objects were compared in " + std::to_string((*healed)->passes) + " passes, " + std::to_string((*healed)->repairs) +
                 " repairs recorded; changes waited " + std::to_string((*healed)->held_ns_max / 1'000'000) + " ms at most.");
        const MutexLock lock(mutex_);
        healed_ = **healed;
    }
    if (!healed) log_warning("A gap could not be ended yet: " + healed.error().message + ". It is tried again.");
    heal_pause_ns_ = healed ? heal_first_ns : std::min(2 * heal_pause_ns_, heal_longest_ns);
    heal_due_ns_ = clock_.monotonic_ns() + heal_pause_ns_;
}

Result<uint64_t> Follower::apply_some() {
    const uint64_t taken = HF_TRY(store_->apply(tail_->reader(), follow_bytes_max));
    if (taken == 0) return taken;
    unsaved_bytes_ += taken;
    HF_TRY(bookmarks_.follow(store_->index(), store_->undo_log(), store_->applied()));
    announce();
    return taken;
}

Status Follower::save() {
    checkpoint_ = HF_TRY(store_->checkpoint());
    unsaved_bytes_ = 0;
    return ok();
}

// Records from this time on wait.
uint64_t Follower::old_enough_ns() const {
    const uint64_t now_ns = clock_.realtime_ns();
    if (delay_ns_ == 0) return UINT64_MAX;
    return now_ns - std::min(now_ns, delay_ns_);
}

Status Follower::upkeep(uint64_t progress) {
    const uint64_t now_ns = clock_.monotonic_ns();
    if (progress > 0 && unsaved_bytes_ == 0) checkpoint_due_ns_ = now_ns + checkpoint_interval_ns;
    unsaved_bytes_ += progress;
    if (unsaved_bytes_ >= checkpoint_bytes || (unsaved_bytes_ > 0 && now_ns >= checkpoint_due_ns_)) {
        checkpoint_ = HF_TRY(store_->checkpoint());
        store_->save_standby();
        unsaved_bytes_ = 0;
    }
    if (now_ns >= prune_due_ns_ && !store_->first_copy_pending()) {
        const uint64_t freed = HF_TRY(store_->prune());
        if (freed > 0)
            log_info("History that the volume's limits no longer cover was dropped: " + human_bytes(freed) + ".");
        prune_due_ns_ = clock_.monotonic_ns() + prune_interval_ns;
    }
    return ok();
}

// When it is time, or when it cannot wait, because a repair is asked for. A repair that is asked for meanwhile has its own attempt.
void Follower::retry() {
    const uint64_t now_ns = clock_.monotonic_ns();
    const bool is_to_be_repaired = has_repair();
    if (now_ns < retry_due_ns_ && !is_to_be_repaired) {
        // Short, so that stop() and jobs do not wait for the whole pause.
        std::this_thread::sleep_for(
            std::chrono::milliseconds(std::min<uint64_t>(100, (retry_due_ns_ - now_ns) / 1'000'000 + 1)));
        return refuse_jobs(false);
    }
    if (std::unique_lock closing(gate_, gate_patience); closing) {
        close_store();
        Status opened = open_as_wanted();
        closing.unlock();
        if (!opened) fail(opened.error());
    }
    if (is_closed()) refuse_jobs(is_to_be_repaired);
}

// What failed as it was brought forward is opened as it is when a repair was asked for, which puts right whatever it failed at.
Status Follower::open_as_wanted() {
    const auto disk = HF_TRY(open_disk(volume_.store));
    const auto mark = HF_TRY(load_repair_mark(*disk));
    return open_store(mark && !mark->is_complete ? Store::Opening::as_it_is : Store::Opening::brought_forward);
}

void Follower::apply_rest() {
    // What was published when the end was asked for: with capture still running there would always be more.
    const Lsn goal = published();
    while (!at_once_ && !broken_ && !held_ && store_ && store_->applied() < goal) {
        run_jobs();
        auto taken = store_->apply(tail_->reader(), follow_bytes_max, old_enough_ns());
        if (!taken) return fail(taken.error());
        announce();
        if (*taken == 0) break;
    }
    if (broken_ || !store_) return;
    Status followed = bookmarks_.follow(store_->index(), store_->undo_log(), store_->applied());
    if (!followed) fail(followed.error());
    auto saved = store_->checkpoint();
    if (!saved) return fail(saved.error());
    checkpoint_ = *saved;
    (void)store_->advance_standby();
    store_->save_standby();
}

void Follower::run_jobs() {
    while (auto job = next_job(true)) job->task(store_.get());
}

void Follower::refuse_jobs(bool also_repairs) {
    while (auto job = next_job(also_repairs)) job->task(nullptr);
}

std::optional<Follower::Job> Follower::next_job(bool also_repairs) {
    const MutexLock lock(mutex_);
    if (jobs_.empty() || (jobs_.front().is_repair && !also_repairs)) return std::nullopt;
    std::optional<Job> job(std::move(jobs_.front()));
    jobs_.pop_front();
    return job;
}

bool Follower::has_repair() const {
    const MutexLock lock(mutex_);
    return std::any_of(jobs_.begin(), jobs_.end(), [](const Job& job) { return job.is_repair; });
}

void Follower::fail(const Error& error) {
    log_error("The store cannot go on: " + error.message + ". It is tried again in " +
              std::to_string(retry_pause_ns_ / 1'000'000'000) + " s.");
    broken_ = true;
    retry_due_ns_ = clock_.monotonic_ns() + retry_pause_ns_;
    retry_pause_ns_ = std::min(2 * retry_pause_ns_, retry_longest_ns);
    MutexLock lock(mutex_);
    failure_ = error;
    progressed_.notify_all();
}

void Follower::announce() {
    MutexLock lock(mutex_);
    applied_ = store_->applied();
    progressed_.notify_all();
}

Result<StoreLoan> Follower::borrow_any() const {
    std::shared_lock open(gate_, gate_patience);
    if (!open || !store_) {
        if (auto why = failure()) return std::move(*why).within("the store is not open");
        return Error{ErrorCode::unavailable, "the store is being opened; try again in a moment"};
    }
    const Store& store = *store_;
    return StoreLoan(std::move(open), store);
}

Result<StoreLoan> Follower::borrow() const {
    StoreLoan loan = HF_TRY(borrow_any());
    if (loan->first_copy_pending())
        return Error{ErrorCode::unavailable,
                     "the first copy of the directory is not complete, so there is no past to look at yet; "
                     "mounting the volume continues it"};
    return loan;
}

bool Follower::awaits_repair() const {
    const auto loan = borrow_any();
    return loan && (*loan)->awaits_repair();
}

Lsn Follower::published() const {
    std::shared_lock open(gate_, gate_patience);
    return std::max(open && tail_ ? tail_->published() : 0, applied());
}

Lsn Follower::wait_applied(Lsn lsn, uint64_t timeout_ms) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    MutexLock lock(mutex_);
    while (applied_ < lsn && !ended_) {
        const auto left = deadline - std::chrono::steady_clock::now();
        if (left <= left.zero()) break;
        (void)progressed_.wait_for(mutex_, left);
    }
    return applied_;
}

Status Follower::put(std::function<Status(Store&)> work, bool is_repair) {
    std::packaged_task<Status(Store*)> task([work = std::move(work)](Store* store) -> Status {
        if (!store) return Error{ErrorCode::unavailable, "the store is not open now; `holdfast status` says why"};
        return work(*store);
    });
    std::future<Status> done = task.get_future();
    {
        MutexLock lock(mutex_);
        if (ended_) return Error{ErrorCode::unavailable, "the store service is ending"};
        if (jobs_.size() >= jobs_max) return Error{ErrorCode::busy, "the store service has too much to do; try again"};
        jobs_.push_back({std::move(task), is_repair});
    }
    wake();
    return done.get();
}

Result<Lsn> Follower::hold() {
    Lsn at = 0;
    HF_TRY(on_store([this, &at](Store& store) -> Status {
        held_ = true;
        at = store.applied();
        return ok();
    }));
    return at;
}

Status Follower::go_on() {
    return on_store([this](Store& store) -> Status {
        tail_->reader().seek(store.applied());
        tail_->forget_read_ahead();
        held_ = false;
        return ok();
    });
}

std::optional<Error> Follower::failure() const {
    MutexLock lock(mutex_);
    return failure_;
}

Status Follower::reach(Lsn lsn, uint64_t timeout_ms) const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    MutexLock lock(mutex_);
    while (applied_ < lsn) {
        if (failure_) return Error(*failure_).within("the store cannot take in what was recorded");
        const auto left = deadline - std::chrono::steady_clock::now();
        if (left <= left.zero() || ended_)
            return Error{ErrorCode::unavailable, "the store is still " + human_bytes(lsn - applied_) +
                                                     " behind what was recorded; try again when it has caught up "
                                                     "(`holdfast wait`)"};
        (void)progressed_.wait_for(mutex_, left);
    }
    return ok();
}

Follower::Condition Follower::condition() const {
    Condition condition{"following", failure(), checkpoint_, {}};
    {
        const MutexLock lock(mutex_);
        condition.healed = healed_;
    }
    if (condition.failure) {
        condition.state = "failed";
        return condition;
    }
    if (awaits_repair()) {
        condition.state = "awaits repair";
        return condition;
    }
    if (held_) {
        condition.state = "held";
        return condition;
    }
    const Lsn ahead = published();
    const uint64_t since_ns = clock_.monotonic_ns() - caught_up_ns_;
    if (ahead > applied() + following_bytes || (ahead > applied() && since_ns > following_ns))
        condition.state = delay_ns_ != 0 && since_ns <= following_ns ? "delayed" : "catching up";
    if (auto loan = borrow_any(); loan && (*loan)->first_copy_pending()) condition.state = "first copy";
    return condition;
}

}  // namespace holdfast::rewind

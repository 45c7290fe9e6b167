// The thread that follows the journal: applies it to the store in batches, makes checkpoints, prunes, keeps the catalog
// of bookmarks up to date, and heals a gap when there is one (heal/gap_healer.h). It is the only one that changes the store, and the only one that opens and closes it.
//
// Latency against cost: each batch costs the store one sync of the undo log. A batch begins as soon as something is
// published, but a small one is followed by a short rest, so that a trickle of operations is taken in fifty batches a
// second and not in thousands: their syncs would compete with those of the application. When nothing is published the
// thread sleeps on the table's futex. It is no nicer than others: on a machine whose processors are all busy, a thread
// of nice 10 fell behind for minutes.
//
// Failure: an error of the store is final for that opening of it (the store fences itself). The error is
// kept for status, views of what is there go on, and after a pause (1 s, doubling up to a minute) the store is
// closed and opened again, which recovers it. So a full disk that was emptied, or a journal that was repaired, heals
// without anybody's help, and damage stays visible instead of becoming a loop of crashing processes.
//
// Thread rule: methods from any thread.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/result.h"
#include "journal/volume.h"
#include "rewind/bookmarks.h"
#include "rewind/heal/gap_healer.h"
#include "rewind/past/past_source.h"
#include "rewind/service/journal_tail.h"
#include "rewind/store.h"

namespace holdfast::rewind {

inline constexpr uint64_t follow_bytes_max = 8 << 20;
// After a batch that caught up: every batch costs the disk two flushes, which those of the applications wait for.
inline constexpr uint32_t rest_ms = 20;
// On a replica there are none, and its lag is mostly the rest.
inline constexpr uint32_t replica_rest_ms = 5;
inline constexpr uint32_t idle_wait_ms = 100;
inline constexpr uint64_t checkpoint_interval_ns = 5'000'000'000;
inline constexpr uint64_t checkpoint_bytes = 256 << 20;
inline constexpr uint64_t prune_interval_ns = 60'000'000'000;
// How often a standby directory follows what comes all the time.
inline constexpr uint64_t standby_interval_ns = 200'000'000;
inline constexpr uint64_t retry_first_ns = 1'000'000'000;
inline constexpr uint64_t retry_longest_ns = 60'000'000'000;
inline constexpr size_t jobs_max = 32;
inline constexpr uint64_t heal_first_ns = 500'000'000;
inline constexpr uint64_t heal_longest_ns = 30'000'000'000;

class Follower : private HealHost {
public:
    // Nothing is applied before it is DELAY_NS old, by the clock of whoever wrote it and by this host's. CONNECT: to the capture worker, with
    // whom gaps are healed; without it they wait for the next mount.
    Follower(const journal::Volume& volume, Bookmarks& bookmarks, const Clock& clock, uint64_t delay_ns, GapHealer::Connect connect = {});
    ~Follower() override;  // finish(), then closes the store when nobody borrows it any more

    // Opens the store and starts the thread. Errors: busy (another process has the store). Every other failure to
    // open is kept for status and tried again.
    Status start();
    // Applies what is published now and old enough, makes a checkpoint and ends the thread; the store stays open for readers. Errors:
    // the failure that kept it from applying everything.
    Status finish();
    void hurry() { at_once_ = true; }  // finish() ends after the batch in hand

    // Errors: the failure for which the store is not open; unavailable (it is being opened, the first copy is not
    // complete); each with a sentence.
    Result<StoreLoan> borrow() const;
    // Like borrow(), while the first copy is pending, too.
    Result<StoreLoan> borrow_any() const;
    Lsn published() const;
    Lsn applied() const { return applied_.load(); }
    // Waits until everything below LSN is applied or time is up; returns what is applied.
    Lsn wait_applied(Lsn lsn, uint64_t timeout_ms) const;
    // The same for whoever needs it. Errors: the store's failure, at once; unavailable when time is up.
    Status reach(Lsn lsn, uint64_t timeout_ms) const;
    // Runs JOB on the follower's thread between two batches and waits for it. Errors: JOB's; busy; unavailable.
    Status on_store(std::function<Status(Store&)> job) { return put(std::move(job), false); }
    // The same for a JOB that puts right whatever the store failed at: it is opened again for it at once, and nothing is applied before JOB.
    Status on_store_to_repair(std::function<Status(Store&)> job) { return put(std::move(job), true); }

    // Stops applying, for whoever is about to cut the journal behind what is applied (journal::Inbound::cut). Returns how
    // far the store is; it goes no further, and holds nothing that it read beyond, until go_on(). A new service
    // is not held. Errors: those of on_store().
    Result<Lsn> hold();
    Status go_on();

    // The store is open as it is, until it is repaired.
    bool awaits_repair() const;

    struct Condition {
        std::string state;  // "following", "catching up", "delayed", "held", "first copy", "awaits repair", "failed"
        std::optional<Error> failure;
        Lsn checkpoint = 0;
        std::optional<HealEvidence> healed;  // the last gap that ended while the volume was in use
    };
    Condition condition() const;

private:
    struct Job {
        std::packaged_task<Status(Store*)> task;
        bool is_repair = false;
    };

    Status put(std::function<Status(Store&)> work, bool is_repair);
    void run();
    Status open_store(Store::Opening opening);
    Status open_as_wanted();
    void close_store();
    bool is_closed() const { return broken_ || !store_; }
    void retry();
    Status round();
    Status upkeep(uint64_t progress);
    bool advance_standby(bool is_caught_up);
    void heal();
    Result<uint64_t> apply_some() override;
    Status save() override;
    bool is_ending() const override { return stopping_; }
    uint64_t old_enough_ns() const;
    void apply_rest();
    void run_jobs();
    void refuse_jobs(bool also_repairs);
    std::optional<Job> next_job(bool also_repairs);
    bool has_repair() const;
    void fail(const Error& error);
    void announce();
    void wake();
    std::optional<Error> failure() const;

    const journal::Volume& volume_;
    Bookmarks& bookmarks_;
    const Clock& clock_;
    const uint64_t delay_ns_;

    // Held shared by whoever uses the store, exclusively while it is opened or closed. Taken before mutex_.
    mutable std::shared_timed_mutex gate_;
    std::unique_ptr<JournalTail> tail_;  // replaced under gate_
    std::unique_ptr<Store> store_;       // replaced under gate_

    // The follower's thread alone.
    uint64_t checkpoint_due_ns_ = 0;
    uint64_t prune_due_ns_ = 0;
    uint64_t unsaved_bytes_ = 0;
    uint64_t retry_due_ns_ = 0;
    uint64_t retry_pause_ns_ = retry_first_ns;
    std::optional<GapHealer> healer_;
    uint64_t heal_due_ns_ = 0;
    uint64_t standby_due_ns_ = 0;
    uint64_t heal_pause_ns_ = heal_first_ns;

    mutable Mutex mutex_;
    mutable ConditionVariable progressed_;
    std::deque<Job> jobs_ HF_GUARDED_BY(mutex_);
    std::optional<Error> failure_ HF_GUARDED_BY(mutex_);
    std::optional<HealEvidence> healed_ HF_GUARDED_BY(mutex_);
    bool ended_ HF_GUARDED_BY(mutex_) = false;

    std::atomic<Lsn> applied_{0};
    std::atomic<Lsn> checkpoint_{0};
    std::atomic<uint64_t> caught_up_ns_{0};
    std::atomic<bool> held_{false};    // changed by the follower's thread alone
    std::atomic<bool> broken_{false};  // the store must be opened again before it can go on
    std::atomic<bool> stopping_{false};
    std::atomic<bool> at_once_{false};
    std::thread thread_;
};

}  // namespace holdfast::rewind

#include "fusefs/worker.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <thread>

#include "base/disk.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/program.h"
#include "base/text.h"
#include "fusefs/capture_service.h"
#include "fusefs/filter.h"
#include "fusefs/filter/healing.h"
#include "fusefs/foreground.h"
#include "fusefs/heal_service.h"
#include "fusefs/keeper.h"
#include "fusefs/recovery_evidence.h"
#include "fusefs/worker_confinement.h"
#include "journal/cursor.h"
#include "journal/unrecorded_times.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

namespace holdfast::fusefs {
namespace {

constexpr auto release_interval = std::chrono::seconds(1);
constexpr uint64_t segments_in_reserve = 2;
// Times are recorded after a second without a change (filter/times.h); a death and what it takes to see it come on top.
constexpr uint64_t unrecorded_ns_max = 3'000'000'000;
constexpr auto release_interval_short_of_space = std::chrono::milliseconds(50);

// Everything that belongs to one volume's journal while it is written.
struct OpenJournal {
    journal::Volume volume;
    std::unique_ptr<Disk> store, disk, cursors;
    std::unique_ptr<journal::InflightTable> table;
    std::unique_ptr<journal::Writer> writer;
    Json evidence;
};

Result<OpenJournal> open_store(const std::string& path) {
    OpenJournal open;
    open.volume = HF_TRY(journal::load_volume(path));
    open.store = HF_TRY(open_disk(open.volume.store));
    open.disk = HF_TRY(open_disk(open.volume.journal_directory));
    open.cursors = HF_TRY(open_disk(open.volume.journal_directory + "/cursors"));
    open.table = HF_TRY(journal::InflightTable::open(open.volume.journal_directory + "/inflight", open.volume.id));
    return open;
}

// No replica ever was, or all are far behind: an fsync that waited for them would wait for a first copy. A cursor is a little older
// than what the replica has, and a start takes a new segment.
Result<bool> is_without_replica(const OpenJournal& journal) {
    const journal::Lsn published = journal.writer->published();
    for (const auto& [consumer, position] : HF_TRY(journal::load_cursors(*journal.cursors, journal.volume.id)))
        if (consumer.starts_with(journal::replica_consumer_prefix) && position + 2 * journal.volume.segment_bytes >= published) return false;
    return true;
}

// Deletes what every consumer has durably taken, about once a second, and sooner when the journal is short of space.
class SegmentReleaser {
public:
    explicit SegmentReleaser(OpenJournal& journal) : journal_(journal), thread_([this] { loop(); }) {}
    ~SegmentReleaser() {
        {
            MutexLock lock(mutex_);
            over_ = true;
        }
        ended_.notify_all();
        thread_.join();
    }

private:
    void loop() {
        MutexLock lock(mutex_);
        while (!over_) {
            mutex_.unlock();
            Status released = release();
            if (!released && released.error().message != last_problem_)
                log_warning("journal segments cannot be released: " + (last_problem_ = released.error().message));
            const bool is_short = journal_.writer->used_bytes() > journal_.volume.journal_bytes_max / 4 * 3;
            mutex_.lock();
            if (!over_) ended_.wait_for(mutex_, is_short ? std::chrono::nanoseconds(release_interval_short_of_space) : release_interval);
        }
    }
    // Without any consumer nothing is released: nobody has what the journal holds.
    Status release() {
        auto lowest = HF_TRY(journal::lowest_cursor(*journal_.cursors, journal_.volume.id));
        if (!lowest) return ok();
        HF_TRY(journal_.writer->release_below(*lowest));
        return journal_.volume.full_policy == journal::FullPolicy::degrade && (is_nearly_full() || keeps_gap_open()) ? cut_off(*lowest) : ok();
    }
    // There is still room for what is written until what follows has made some.
    bool is_nearly_full() const { return journal_.writer->used_bytes() + segments_in_reserve * journal_.volume.segment_bytes > journal_.volume.journal_bytes_max; }
    // A replica that stays away with more than half of the journal, and less than all of it, would keep the history from going on for as long.
    bool keeps_gap_open() const {
        const journal::GapReport gap = journal_.table->head().gap.report();
        return gap.is_open() && !gap.needs_mount &&
               journal_.writer->used_bytes() > healing_bytes_max(journal_.volume.journal_bytes_max, journal_.volume.segment_bytes);
    }
    // Only who holds the oldest segment pays.
    Status cut_off(journal::Lsn lowest) {
        const uint64_t segment_bytes = journal_.volume.segment_bytes;
        for (const std::string& consumer : HF_TRY(journal::cut_off_replicas(*journal_.cursors, journal_.volume.id, segment_bytes, (lowest / segment_bytes + 1) * segment_bytes)))
            log_warning(std::string("The journal ") + (is_nearly_full() ? "is nearly full" : "must have room before its gap can end") + " and keeps nothing more for " + quoted(consumer) + ", which was at address " + std::to_string(lowest) +
                        "; it is repaired by comparison when it is back.");
        return ok();
    }

    OpenJournal& journal_;
    std::string last_problem_;  // so that one problem is told once
    Mutex mutex_;
    ConditionVariable ended_;
    bool over_ HF_GUARDED_BY(mutex_) = false;
    std::thread thread_;  // last: starts when everything else is there
};

// Waits for what ends a worker from outside: the supervisor's death, a signal, the verb `stop`.
class EndWatch {
public:
    enum class Why { none, supervisor_died, signalled, asked };

    // REQUIRES: signals are blocked in every thread (block_signals).
    EndWatch(Filter& filter, int keeper_socket)
        : filter_(filter), keeper_socket_(keeper_socket), signals_(::signalfd(-1, &signal_set(), SFD_CLOEXEC)),
          wake_(::eventfd(0, EFD_CLOEXEC)), thread_([this] { loop(); }) {}
    ~EndWatch() {
        wake();
        thread_.join();
    }
    void ask() {
        Why none = Why::none;
        why_.compare_exchange_strong(none, Why::asked);
        wake();
    }
    Why why() const { return why_; }

    static void block_signals() { ::sigprocmask(SIG_BLOCK, &signal_set(), nullptr); }

private:
    static const sigset_t& signal_set() {
        static const sigset_t set = [] {
            sigset_t made;
            ::sigemptyset(&made);
            for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&made, number);
            return made;
        }();
        return set;
    }
    void wake() {
        const uint64_t one = 1;
        while (::write(wake_.get(), &one, sizeof one) < 0 && errno == EINTR) {
        }
    }
    void loop() {
        // No POLLIN on the keeper's socket: its answers belong to whoever asked.
        pollfd waits[] = {{keeper_socket_, POLLRDHUP, 0}, {signals_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
        while (::poll(waits, std::size(waits), -1) < 0 && errno == EINTR) {
        }
        Why none = Why::none;
        if (waits[0].revents) why_.compare_exchange_strong(none, Why::supervisor_died);
        else if (waits[1].revents) why_.compare_exchange_strong(none, Why::signalled);
        if (why_ != Why::none) filter_.stop();
    }

    Filter& filter_;
    int keeper_socket_;
    UniqueFd signals_, wake_;
    std::atomic<Why> why_ = Why::none;
    std::thread thread_;  // last: starts when everything else is there
};

class Worker {
public:
    explicit Worker(const WorkerArguments& arguments) : arguments_(arguments), keeper_(UniqueFd(arguments.keeper_fd)) {}

    Result<int> run() {
        if (!arguments_.store.empty()) HF_TRY(open());
        confined_ = HF_TRY(confine_worker());
        if (journal_) {
            const bool ready = HF_TRY(recover());
            if (!ready) return worker_needs_comparison;
            HF_TRY(begin_session());
        }
        return serve();
    }

private:
    // Whoever comes before it serves finds nobody, as before a start.
    Status open() {
        journal_ = HF_TRY(open_store(arguments_.store));
        capture_door_.emplace(HF_TRY(UnixListener::reserve(journal::capture_socket(journal_->volume.id))));
        heal_door_.emplace(HF_TRY(UnixListener::reserve(journal::heal_socket(journal_->volume.id))));
        return ok();
    }

    // False: the journal's state asks for a comparison first, which is not this process's to make.
    Result<bool> recover() {
        auto recovered = HF_TRY(recover_journal(journal_->volume, *journal_->store, *journal_->disk, *journal_->cursors, *journal_->table,
                                                arguments_.backing_fd));
        journal_->evidence = {{"worker", std::move(recovered.evidence)}};
        if (needs_comparison(recovered.action)) return false;
        journal_->writer = HF_TRY(journal::Writer::open(*journal_->disk, *journal_->table, system_clock(), journal_->volume.id, recovered.end, limits()));
        return true;
    }

    journal::WriterOptions limits() const {
        journal::WriterOptions options;
        options.segment_bytes = journal_->volume.segment_bytes;
        options.journal_bytes_max = journal_->volume.journal_bytes_max;
        return options;
    }

    Status begin_session() {
        journal::Record open{.type = HF_SESSION_OPEN, .body = journal::Session{true, journal::current_boot_id(), arguments_.session, false}};
        HF_TRY(journal_->writer->append(open));
        if (!arguments_.begin_bypass) return ok();
        journal::Record gap{.type = HF_GAP_BEGIN, .body = journal::Gap{true, HF_GAP_BYPASS, system_clock().realtime_ns(), arguments_.bypass}};
        HF_TRY(journal_->writer->append(gap));
        return ok();
    }

    Result<int> serve() {
        Wiring wiring;
        wiring.device_fd = arguments_.device_fd;
        wiring.backing_root_fd = arguments_.backing_fd;
        wiring.backing_view_fd = arguments_.view_fd;
        wiring.keeper = &keeper_;
        wiring.clock = &system_clock();
        wiring.threads = arguments_.threads;
        wiring.resumed = arguments_.resumed;
        wiring.left_out = arguments_.left_out;
        if (journal_) {
            wiring.writer = journal_->writer.get();
            wiring.table = journal_->table.get();
            wiring.full_policy = journal_->volume.full_policy;
            wiring.origin = journal_->volume.origin;
            wiring.durability = journal_->volume.durability;
            // A successor goes by what its predecessor left in the table.
            if (!arguments_.resumed) wiring.begins_alone = HF_TRY(is_without_replica(*journal_));
            if (arguments_.resumed) wiring.changed_before = changed_before();
        }
        auto filter = HF_TRY(Filter::create(wiring));
        EndWatch watch(*filter, keeper_.socket_fd());
        Status served = serve_until_end(*filter, watch);
        if (!served) log_error("serving ended: " + served.error().message);
        const bool unmounted = served && filter->unmounted();
        const EndWatch::Why why = watch.why();
        Status closed = close_session(unmounted);
        if (!closed) log_error("the session could not be closed in order: " + closed.error().message);
        if (!served) return worker_failed;
        return unmounted || why == EndWatch::Why::asked ? worker_ended : worker_wants_successor;
    }

    // Whose time was not recorded at once had changed within the second before.
    std::function<Result<std::vector<journal::ObjectId>>()> changed_before() {
        return [this, since_ns = system_clock().realtime_ns() - unrecorded_ns_max, until = journal_->writer->published()] {
            return journal::objects_without_times(*journal_->disk, journal_->volume.id, journal_->volume.segment_bytes, journal_->table.get(), since_ns, until);
        };
    }

    Status serve_until_end(Filter& filter, EndWatch& watch) {
        std::atomic<bool> is_healing = false;
        std::unique_ptr<JsonServer> control;
        std::unique_ptr<UnixServer> healing;
        std::optional<SegmentReleaser> releaser;
        if (journal_) {
            releaser.emplace(*journal_);
            control = HF_TRY(serve_capture({&filter, journal_->writer.get(), journal_->table.get(), &journal_->volume, arguments_.backing_fd,
                                            arguments_.session, arguments_.threads, arguments_.bypass, &is_healing, [&watch] { watch.ask(); }, confined_},
                                           std::move(*capture_door_)));
            healing = HF_TRY(serve_healing(std::move(*heal_door_), filter, limits(), is_healing));
        }
        // Evidence of a takeover, after the promise to serve so that applications do not wait for it.
        HF_TRY(keeper_.announce_ready());
        std::thread evidence([&] {
            if (!journal_ || !arguments_.resumed) return;
            if (Status saved = save_evidence(*journal_->store, journal_->evidence); !saved) log_warning("no evidence: " + saved.error().message);
        });
        Status served = filter.run();
        evidence.join();
        return served;
    }

    // CLEAN promises that image and tree need no second look, so the tree must be on its disk before it is said.
    Status close_session(bool clean) {
        if (!journal_) return ok();
        if (::syncfs(arguments_.backing_fd) != 0) return errno_error(errno, "syncing the protected tree");
        journal::Record close{.type = HF_SESSION_CLOSE, .body = journal::Session{false, journal::current_boot_id(), arguments_.session, clean}};
        HF_TRY(journal_->writer->append(close));
        return journal_->writer->sync(journal_->writer->published());
    }

    const WorkerArguments& arguments_;
    KeeperClient keeper_;
    std::optional<OpenJournal> journal_;
    std::optional<UnixListener> capture_door_, heal_door_;  // until somebody is listened to
    std::string confined_;
};

// The last line on standard error, and so the reason that the supervisor finds in the log.
void report(const Error& error) { std::fprintf(stderr, "mount.fuse.holdfast: %s\n", error.message.c_str()); }

}  // namespace

int run_worker(const WorkerArguments& arguments) {
    EndWatch::block_signals();
    // Writing back dirty pages of our own mount may need memory that only more of our writing can free: tell the kernel
    // not to wait for us in such allocations. Refused in some containers, where the rare stall is then possible.
    (void)::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    Worker worker(arguments);
    auto outcome = worker.run();
    if (outcome) return *outcome;
    report(outcome.error());
    return worker_failed;
}

int run_recovery(const WorkerArguments& arguments) {
    const auto recover = [&]() -> Result<Json> {
        OpenJournal journal = HF_TRY(open_store(arguments.store));
        return HF_TRY(recover_journal(journal.volume, *journal.store, *journal.disk, *journal.cursors, *journal.table, arguments.backing_fd)).evidence;
    };
    auto evidence = recover();
    if (!evidence) {
        report(evidence.error());
        return exit_status_of(evidence.error());
    }
    std::printf("%s\n", evidence->dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    return std::fflush(stdout) == 0 ? worker_ended : worker_failed;
}

}  // namespace holdfast::fusefs

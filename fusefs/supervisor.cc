#include "fusefs/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <syslog.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/json_socket.h"
#include "base/log.h"
#include "base/mount_trees.h"
#include "base/text.h"
#include "fusefs/preparation.h"
#include "fusefs/worker.h"
#include "fusefs/worker_arguments.h"

namespace holdfast::fusefs {
namespace {

constexpr int abandoned_worker_wait_ms = 10'000;
constexpr int answer_poll_ms = 10;
constexpr int finish_attempts_max = 3;
constexpr uint64_t ns_per_ms = 1'000'000;

uint64_t now_ns() { return system_clock().monotonic_ns(); }

// Signals are taken from the poll, in order with everything else. Children start with an empty mask.
UniqueFd take_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&set, number);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    return UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

// Kept descriptors of orphans and the worker's own need more than the usual thousand.
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    const rlim_t wanted = 2 * kept_descriptors_max;
    if (limit.rlim_cur >= wanted) return;
    limit.rlim_cur = wanted;
    limit.rlim_max = std::max(limit.rlim_max, wanted);
    if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Supervisor::Supervisor(MountOptions options, Foreground foreground)
    : options_(std::move(options)), foreground_(std::move(foreground)) {}

int Supervisor::run() {
    auto begun = MountSession::begin(options_, foreground_);
    if (!begun) {
        foreground_.fail(begun.error());
        return exit_mount_failed;
    }
    if (!*begun) {
        foreground_.succeed();
        return 0;
    }
    session_.emplace(std::move(**begun));
    if (Status up = bring_up(); !up) {
        log_error(up.error().message);
        session_->end();
        binder_.reset();
        // With the mount out of sight the connection ends, and the worker with it.
        if (worker_ && !worker_->wait(abandoned_worker_wait_ms)) worker_->kill();
        foreground_.fail(up.error());
        return exit_mount_failed;
    }
    foreground_.succeed();
    log_info(quoted(session_->mount().directory()) + " is protected");
    serve();
    session_->end();
    kept_.clear();
    finish_service();
    log_info(quoted(session_->mount().directory()) + " is no longer mounted");
    return 0;
}

Status Supervisor::bring_up() {
    raise_descriptor_limit();
    signals_ = take_signals();
    if (!signals_) return errno_error(errno, "preparing the supervisor");
    programs_ = HF_TRY(Programs::open(session_->volume() != nullptr));
    session_number_ = system_clock().realtime_ns();
    if (session_->volume()) HF_TRY(prepare_session(*session_, options_, programs_, {foreground_, signals_.get()}));
    if (session_->volume()) open_view();
    HF_TRY(start_worker());
    HF_TRY(wait_until_served());
    if (session_->has_door()) HF_TRY(open_door());
    if (!session_->volume()) return ok();
    HF_TRY(start_service());
    wait_for_service_answer();
    return ok();
}

void Supervisor::open_view() {
    auto view = read_only_view(session_->backing_fd());
    if (view) view_ = std::move(*view);
    else log_warning("a gap of " + quoted(session_->directory()) + " would last until the next mount: " + view.error().message);
}

Status Supervisor::start_worker() {
    auto [ours, theirs] = HF_TRY(keeper_socketpair());
    WorkerArguments arguments;
    arguments.store = session_->volume() ? session_->volume()->store : "";
    arguments.keeper_fd = theirs.get();
    arguments.device_fd = session_->mount().device_fd();
    arguments.backing_fd = session_->backing_fd();
    arguments.view_fd = view_ ? view_.get() : -1;
    arguments.threads = options_.threads;
    arguments.session = session_number_;
    // Even a worker that never served may have answered the kernel's first request.
    arguments.resumed = worker_log_start_ != 0;
    arguments.bypass = session_->bypass();
    arguments.left_out = session_->left_out_nodes();
    arguments.begin_bypass = !session_->bypass().empty() && !session_serves_;

    ChildStart how{programs_.capture, to_arguments(arguments)};
    how.log_fd = session_->log_fd();
    how.inherited = {theirs.get(), session_->mount().device_fd(), session_->backing_fd()};
    if (view_) how.inherited.push_back(view_.get());
    // The lock goes along: while a worker that lost its supervisor still writes, nobody else may mount.
    if (session_->lock_fd() >= 0) how.inherited.push_back(session_->lock_fd());
    worker_log_start_ = std::max<uint64_t>(session_->log_end(), 1);
    worker_.emplace(HF_TRY(ChildProcess::start(how)));
    keeper_socket_ = std::move(ours);
    worker_serves_ = false;
    return ok();
}

Status Supervisor::wait_until_served() {
    while (!session_serves_ && !over_) {
        poll_once(timeout_ms());
        if (foreground_.abandoned()) return Error{ErrorCode::unavailable, "mounting was interrupted"};
    }
    if (failure_) return *failure_;
    if (over_) return Error{ErrorCode::unavailable, "the mount ended before it was served"};
    return ok();
}

// Nobody can reach the mount before: it stands where only its binder looks.
Status Supervisor::open_door() {
    mount_table_.reset(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
    if (!mount_table_) return errno_error(errno, "watching the mount table");
    BinderArguments arguments = binder_arguments();
    arguments.assembled = session_->assembled();
    HF_TRY(start_binder(arguments));
    while (binder_ && !over_) {
        poll_once(timeout_ms());
        if (foreground_.abandoned()) return Error{ErrorCode::unavailable, "mounting was interrupted"};
    }
    if (failure_) return *failure_;
    if (over_) return Error{ErrorCode::unavailable, "the mount ended before it was in its place"};
    if (!binder_succeeded_) {
        const std::string reason = session_->last_log_line_since(binder_log_start_);
        return Error{ErrorCode::io, "what is left out cannot be bound: " + (reason.empty() ? "the log in the store says more" : reason)};
    }
    session_->opened();
    return ok();
}

BinderArguments Supervisor::binder_arguments() const {
    BinderArguments arguments;
    arguments.store = session_->volume()->store;
    arguments.directory = session_->directory();
    arguments.backing_fd = session_->backing_fd();
    arguments.flags = options_.flags;
    return arguments;
}

Status Supervisor::start_binder(const BinderArguments& arguments) {
    ChildStart how{programs_.capture, to_arguments(arguments)};
    how.log_fd = session_->log_fd();
    how.inherited = {session_->backing_fd()};
    how.ends_with_parent = true;
    binder_log_start_ = session_->log_end();
    binder_.emplace(HF_TRY(ChildProcess::start(how)));
    return ok();
}

void Supervisor::on_binder_end() {
    if (!binder_->wait(0)) return;
    binder_succeeded_ = binder_->exited_with(0);
    binder_.reset();
    // Of one that could not be bound the log tells; it is not tried again and again.
    binds_ = session_->binds();
}

void Supervisor::on_mounts_changed() {
    if (session_->close_door()) {
        mount_table_.reset();
        bind_at_ns_ = 0;
    } else if (session_->binds() >= binds_) {
        bind_at_ns_ = 0;
    } else if (bind_at_ns_ == 0) {
        bind_at_ns_ = now_ns() + binds_missing_ms * ns_per_ms;
    }
}

void Supervisor::put_binds_back() {
    bind_at_ns_ = 0;
    if (binder_ || session_->binds() >= binds_) return;
    log_warning("a directory that is left out of " + quoted(session_->directory()) + " was not bound any more; it is bound again");
    if (Status started = start_binder(binder_arguments()); !started) log_error("it cannot be bound again: " + started.error().message);
}

void Supervisor::serve() {
    while (!over_) poll_once(timeout_ms());
}

int Supervisor::timeout_ms() const {
    uint64_t next = UINT64_MAX;
    if (!worker_) next = std::min(next, worker_start_ns_);
    if (!service_ && session_->volume() && session_serves_) next = std::min(next, service_start_ns_);
    if (bind_at_ns_ != 0) next = std::min(next, bind_at_ns_);
    if (next == UINT64_MAX) return -1;
    const uint64_t now = now_ns();
    return next <= now ? 0 : static_cast<int>((next - now) / ns_per_ms + 1);
}

void Supervisor::poll_once(int timeout) {
    pollfd waits[] = {{signals_.get(), POLLIN, 0},
                      {keeper_socket_.get(), POLLIN, 0},
                      {worker_ ? worker_->pidfd() : -1, POLLIN, 0},
                      {service_ ? service_->pidfd() : -1, POLLIN, 0},
                      {foreground_.fd(), 0, 0},
                      {mount_table_.get(), POLLPRI, 0},
                      {binder_ ? binder_->pidfd() : -1, POLLIN, 0},
                      {session_->door_fd(), POLLIN, 0}};
    if (::poll(waits, std::size(waits), timeout) < 0 && errno != EINTR) {
        give_up(std::string("waiting for events failed: ") + std::strerror(errno));
        return;
    }
    if (waits[0].revents) on_signal();
    if (waits[1].revents) on_keeper();
    if (waits[2].revents) on_worker_end();
    if (waits[3].revents) on_service_end();
    if (waits[6].revents) on_binder_end();
    // Who came to the door because the mount has just gone must find it closed when he looks again: so the table comes first.
    if (session_->door_fd() >= 0 && (waits[5].revents || waits[7].revents)) on_mounts_changed();
    if (waits[7].revents) session_->answer_door();
    if (over_) return;
    const uint64_t now = now_ns();
    if (bind_at_ns_ != 0 && now >= bind_at_ns_) put_binds_back();
    if (!worker_ && now >= worker_start_ns_)
        if (Status started = start_worker(); !started) give_up("the capture worker cannot be started: " + started.error().message);
    if (!service_ && session_->volume() && session_serves_ && foreground_.fd() < 0 && now >= service_start_ns_)
        if (Status started = start_service(); !started) {
            log_error("the store service cannot be started: " + started.error().message);
            service_start_ns_ = service_restarts_.next_start_ns(now, now);
        }
}

void Supervisor::on_keeper() {
    for (;;) {
        switch (kept_.handle(keeper_socket_.get())) {
            case KeeperStore::Event::served: continue;
            case KeeperStore::Event::ready: worker_serves_ = session_serves_ = true; continue;
            case KeeperStore::Event::closed: keeper_socket_.reset(); return;
            case KeeperStore::Event::nothing: return;
        }
    }
}

void Supervisor::on_worker_end() {
    if (!worker_->wait(0)) return;
    // What it said last still counts: a descriptor that it handed over before a last name went.
    if (keeper_socket_) on_keeper();
    keeper_socket_.reset();
    const ChildProcess ended = std::move(*worker_);
    worker_.reset();
    worker_start_ns_ = now_ns();
    if (ended.exited_with(worker_ended)) {
        over_ = true;
    } else if (ended.exited_with(worker_needs_comparison)) {
        if (Status compared = compare_again(); !compared) give_up(compared.error().message);
    } else if (ended.exited_with(worker_wants_successor)) {
        log_info("the capture worker ended on a signal; another takes over");
    } else if (!session_serves_ && ended.exited_with(worker_failed)) {
        const std::string reason = session_->last_log_line_since(worker_log_start_);
        failure_ = Error{ErrorCode::io, "the capture worker cannot serve: " + (reason.empty() ? "the log in the store says more" : reason)};
        over_ = true;
    } else if (!worker_restarts_.may_restart(worker_serves_, worker_start_ns_)) {
        give_up("the capture worker " + ended.describe_end() + " too often");
    } else {
        log_warning("the capture worker " + ended.describe_end() + "; another takes over");
        worker_start_ns_ += worker_restarts_.delay_ns();
    }
}

void Supervisor::on_service_end() {
    if (!service_->wait(0)) return;
    service_start_ns_ = service_restarts_.next_start_ns(service_started_ns_, now_ns());
    log_warning("the store service " + service_->describe_end() + "; it is started again");
    service_.reset();
    service_socket_.reset();
}

void Supervisor::on_signal() {
    signalfd_siginfo info;
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        if (info.ssi_signo == SIGHUP) continue;
        // Nobody is in it yet, and without the door the directory would be bare.
        if (!session_->assembled().empty()) {
            failure_ = Error{ErrorCode::unavailable, "mounting was interrupted"};
            over_ = true;
            return;
        }
        // Asked to end, for instance because the host goes down: what an administrator would do first is to unmount.
        if (Status unmounted = session_->mount().unmount(); !unmounted && session_->mount().is_mounted())
            log_warning("asked to end, but " + unmounted.error().message + "; it stays protected");
    }
}

Status Supervisor::compare_again() {
    log_warning("the journal is damaged; the directory is compared with its image before recording goes on");
    finish_service();
    HF_TRY(prepare_session(*session_, options_, programs_, {foreground_, signals_.get()}));
    service_start_ns_ = now_ns();
    return ok();
}

// Applications must not wait for ever, and they must know: everything that uses the mount gets errors, and the log of
// the store and of the system say why. The next mount compares everything that was missed.
void Supervisor::give_up(const std::string& why) {
    const std::string message = quoted(session_->mount().directory()) + " IS NO LONGER PROTECTED: " + why +
                                "; the mount is detached, mount it again to go on";
    log_error(message);
    ::syslog(LOG_DAEMON | LOG_CRIT, "holdfast: %s", message.c_str());
    failure_ = Error{ErrorCode::unavailable, why};
    session_->end();
    over_ = true;
}

Status Supervisor::start_service() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return errno_error(errno, "making a socket");
    UniqueFd ours(ends[0]), theirs(ends[1]);
    ChildStart how{programs_.store, {"run", session_->volume()->store, "--until-eof", std::to_string(theirs.get())}};
    how.log_fd = session_->log_fd();
    how.inherited = {theirs.get()};
    service_.emplace(HF_TRY(ChildProcess::start(how)));
    service_socket_ = std::move(ours);
    service_started_ns_ = now_ns();
    return ok();
}

// So that a command which follows the mount at once finds the service instead of starting one of its own. A store that
// takes longer to open does not hold up the mount.
void Supervisor::wait_for_service_answer() {
    const std::string socket = journal::store_socket(session_->volume()->id);
    for (int waited = 0; waited < service_answer_wait_ms && service_ && !over_; waited += answer_poll_ms) {
        if (json_call(socket, {{"verb", "status"}})) return;
        poll_once(answer_poll_ms);
    }
}

void Supervisor::finish_service() {
    if (!session_->volume()) return;
    for (int attempt = 0; attempt < finish_attempts_max; ++attempt) {
        if (!service_ && !start_service()) continue;
        service_socket_.reset();
        if (!service_->wait(service_finish_seconds_max * 1000)) {
            log_error("the store service does not finish; it is killed, and applies the rest when it is started again");
            service_->kill();
            service_->wait(-1);
        }
        const bool finished = service_->exited_with(0);
        if (!finished) log_warning("the store service " + service_->describe_end() + " while it finished");
        service_.reset();
        if (finished) return;
    }
}

}  // namespace holdfast::fusefs

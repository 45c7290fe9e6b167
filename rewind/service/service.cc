#include "rewind/service/service.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <chrono>
#include <future>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "base/text.h"
#include "rewind/service/verbs.h"

namespace holdfast::rewind {

namespace {

constexpr int tidy_interval_ms = 1000;
constexpr auto takeover_pause = std::chrono::milliseconds(50);

Result<UniqueFd> open_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
    // Everything that starts a thread comes later, so that all threads inherit this.
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    UniqueFd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!fd) return errno_error(errno, "make a signalfd");
    return fd;
}

// Whoever holds the other end has closed it, in order or by dying. What is said there means nothing.
bool is_at_end(int fd) {
    char bytes[64];
    const ssize_t got = ::read(fd, bytes, sizeof bytes);
    return got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN);
}

}  // namespace

Status make_room_for_supervised(const journal::VolumeId& volume) {
    const std::string socket = journal::store_socket(volume);
    auto answer = json_call(socket, {{"verb", "stop"}});
    // Busy: it belongs to a supervisor, which has died, since the asker's holds the lock now; it takes in what is left and ends by itself.
    if (!answer && answer.error().code != ErrorCode::unavailable && answer.error().code != ErrorCode::busy) return std::move(answer).error();
    return ok();
}

Service::Service(const journal::Volume& volume, const Clock& clock, const Options& options,
                 std::unique_ptr<Disk> store_disk, std::unique_ptr<Bookmarks> bookmarks, std::unique_ptr<Outside> outside)
    : volume_(volume),
      clock_(clock),
      options_(options),
      outside_(outside ? std::move(outside) : std::make_unique<OutsideHere>(volume)),
      store_disk_(std::move(store_disk)),
      bookmarks_(std::move(bookmarks)),
      follower_(volume_, *bookmarks_, clock, options.delay_ns, healing()),
      moments_(follower_, *bookmarks_, clock),
      past_mounts_(*outside_, *this, clock),
      until_eof_(options.until_eof_fd),
      last_request_ns_(clock.monotonic_ns()) {}

Result<std::unique_ptr<Service>> Service::start(const journal::Volume& volume, const Clock& clock,
                                                const Options& options, std::unique_ptr<Outside> outside) {
    UniqueFd signals = HF_TRY(open_signals());
    auto disk = HF_TRY(open_disk(volume.store));
    auto bookmarks = HF_TRY(Bookmarks::open(*disk));
    std::unique_ptr<Service> service(new Service(volume, clock, options, std::move(disk), std::move(bookmarks), std::move(outside)));
    service->signals_ = std::move(signals);
    service->end_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!service->end_) return errno_error(errno, "make an eventfd");
    HF_TRY(service->open());
    return service;
}

Status Service::open() {
    const uint64_t give_up_ns = clock_.monotonic_ns() + takeover_wait_ms * 1'000'000;
    for (;;) {
        Status started = follower_.start();
        if (started) break;
        if (started.error().code != ErrorCode::busy || !is_supervised() || clock_.monotonic_ns() > give_up_ns)
            return started;
        HF_TRY(outside_->make_room());
        std::this_thread::sleep_for(takeover_pause);
    }
    // Before anybody can ask for a new mount, which would look like a dead one.
    past_mounts_.bring_back();
    UnixListener listener = HF_TRY(outside_->listen(Door::store));
    server_ = HF_TRY(JsonServer::start(
        std::move(listener),
        [this](const Json& request, const JsonServer::Progress& progress) { return answer(request, progress); }));
    sync_server_ = HF_TRY(serve_sync(*this));
    return ok();
}

Service::~Service() {
    ending_ = true;
    // Whoever borrows the store ends before the store is closed: first the askers, then the mounts.
    sync_server_.reset();
    server_.reset();
    past_mounts_.end();
}

Result<Json> Service::answer(const Json& request, const JsonServer::Progress& progress) {
    ++requests_;
    Result<Json> result = answer_verb(*this, request, progress);
    last_request_ns_ = clock_.monotonic_ns();
    --requests_;
    return result;
}

std::vector<BookmarkEntry> Service::offered_bookmarks() const {
    std::vector<BookmarkEntry> offered;
    auto store = borrow();
    if (!store) return offered;
    for (BookmarkEntry& bookmark : bookmarks_->list())
        if ((*store)->check_moment(bookmark.lsn)) offered.push_back(std::move(bookmark));
    return offered;
}

void Service::ask_to_end() {
    const uint64_t one = 1;
    HF_CHECK(::write(end_.get(), &one, sizeof one) == sizeof one);
}

GapHealer::Connect Service::healing() const {
    if (!is_supervised() || volume_.is_replica()) return {};
    return [this] { return outside_->open_healing(); };
}

bool Service::nobody_asks() const {
    if (is_supervised() || requests_ > 0 || past_mounts_.asked_for() > 0) return false;
    return clock_.monotonic_ns() - last_request_ns_ > unasked_ns_max;
}

void Service::wait_for_end() {
    for (;;) {
        pollfd waiting[] = {{signals_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}, {until_eof_.get(), POLLIN, 0}};
        const int count = ::poll(waiting, 3, tidy_interval_ms);
        if (count < 0 && errno != EINTR)
            return log_error(std::string("The service cannot wait: ") + strerror(errno) + ".");
        if (waiting[1].revents != 0) return log_info("Somebody asks the store service to end.");
        if (signalfd_siginfo signal; ::read(signals_.get(), &signal, sizeof signal) == sizeof signal)
            return log_info("Signal " + std::to_string(signal.ssi_signo) + " of process " + std::to_string(signal.ssi_pid) + " asks the store service to end.");
        if (waiting[2].revents != 0 && is_at_end(until_eof_.get())) return log_info("Whoever started the store service has no more use for it.");
        if (!outside_->is_there()) return log_error("A process that works for the store service has died; the service ends, to be started anew.");
        past_mounts_.tidy();
        if (nobody_asks()) {
            log_info("Nobody has asked for this past for a while; the service ends.");
            return;
        }
    }
}

// A second signal while what is left is being applied: end after the batch in hand.
Status Service::finish() {
    std::future<Status> finished = std::async(std::launch::async, [this] { return follower_.finish(); });
    while (finished.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
        signalfd_siginfo signal;
        if (::read(signals_.get(), &signal, sizeof signal) == sizeof signal) follower_.hurry();
    }
    return finished.get();
}

Status Service::run() {
    wait_for_end();
    ending_ = true;
    log_info("The store service applies what is left and ends.");
    // First: a comparison holds the follower's thread, and may be waiting for the other host.
    sync_server_.reset();
    Status finished = finish();
    server_.reset();
    past_mounts_.end();
    if (finished) log_info("Everything up to lsn " + std::to_string(follower_.applied()) + " is applied.");
    return finished;
}

}  // namespace holdfast::rewind

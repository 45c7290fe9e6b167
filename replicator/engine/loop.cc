#include "replicator/engine/loop.h"

#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "base/check.h"
#include "base/clock.h"

namespace holdfast::replicator {

namespace {

constexpr uint64_t longest_sleep_ns = 1'000'000'000;

// What the loop asks for, and TIMEOUT, by which older liburing waits. A filter of system calls sees nothing of what goes through a ring.
constexpr uint8_t allowed_operations[] = {IORING_OP_ACCEPT, IORING_OP_CONNECT, IORING_OP_RECV, IORING_OP_SEND, IORING_OP_READ, IORING_OP_TIMEOUT};

// Not by liburing, whose library of Debian 12 does not have what its header declares.
int register_with(io_uring& ring, unsigned what, const void* argument, size_t count) {
    return ::syscall(SYS_io_uring_register, ring.ring_fd, what, argument, count) < 0 ? -errno : 0;
}

// For good: of a ring that is restricted so nothing can be registered any more. The ring begins to work with it.
int restrict_ring(io_uring& ring) {
    std::vector<io_uring_restriction> allowed(std::size(allowed_operations));
    for (size_t i = 0; i < allowed.size(); ++i) {
        allowed[i].opcode = IORING_RESTRICTION_SQE_OP;
        allowed[i].sqe_op = allowed_operations[i];
    }
    if (const int done = register_with(ring, IORING_REGISTER_RESTRICTIONS, allowed.data(), allowed.size()); done < 0) return done;
    return register_with(ring, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
}

}  // namespace

Result<std::unique_ptr<Loop>> Loop::open() {
    std::unique_ptr<Loop> loop(new Loop);
    loop->wake_.reset(::eventfd(0, EFD_CLOEXEC));
    if (!loop->wake_) return errno_error(errno, "make an eventfd");
    const int made = io_uring_queue_init(ring_entries, &loop->ring_, IORING_SETUP_R_DISABLED);
    if (made < 0)
        return Error{made == -ENOSYS || made == -EPERM ? ErrorCode::unsupported : ErrorCode::io,
                     std::string("this kernel gives no io_uring (") + strerror(-made) + "); it needs Linux 5.11 or later, and it must not be forbidden (kernel.io_uring_disabled)",
                     -made};
    loop->is_open_ = true;
    if (const int restricted = restrict_ring(loop->ring_); restricted < 0) return errno_error(-restricted, "restrict the io_uring");
    return loop;
}

Loop::~Loop() {
    // The kernel ends what is under way with the ring; nobody is called back.
    if (is_open_) io_uring_queue_exit(&ring_);
}

uint64_t Loop::now_ns() const {
    return system_clock().monotonic_ns();
}

template <typename Prepare>
void Loop::begin(Done done, Prepare prepare) {
    HF_CHECK(under_way_.size() < ring_operations_max);
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) {
        io_uring_submit(&ring_);
        entry = io_uring_get_sqe(&ring_);
        HF_CHECK(entry != nullptr);
    }
    prepare(entry);
    entry->user_data = next_operation_;
    under_way_.emplace(next_operation_++, std::move(done));
}

void Loop::accept(int fd, Done done) {
    begin(std::move(done), [&](io_uring_sqe* entry) { io_uring_prep_accept(entry, fd, nullptr, nullptr, SOCK_CLOEXEC); });
}

void Loop::connect(int fd, const sockaddr& address, socklen_t length, Done done) {
    begin(std::move(done), [&](io_uring_sqe* entry) { io_uring_prep_connect(entry, fd, &address, length); });
}

void Loop::receive(int fd, MutableByteSpan bytes, Done done) {
    begin(std::move(done), [&](io_uring_sqe* entry) { io_uring_prep_recv(entry, fd, bytes.data(), bytes.size(), 0); });
}

void Loop::send(int fd, ByteSpan bytes, Done done) {
    begin(std::move(done), [&](io_uring_sqe* entry) { io_uring_prep_send(entry, fd, bytes.data(), bytes.size(), MSG_NOSIGNAL); });
}

Loop::TimerId Loop::after(uint64_t delay_ns, Call call) {
    timers_.emplace(next_timer_, Timer{now_ns() + delay_ns, std::move(call)});
    return next_timer_++;
}

void Loop::post(Call call) {
    MutexLock lock(mutex_);
    posts_.push_back(std::move(call));
    const uint64_t one = 1;
    // Only full when the loop has 2^64 wake-ups to go.
    (void)!::write(wake_.get(), &one, sizeof one);
}

void Loop::stop() {
    {
        MutexLock lock(mutex_);
        is_stopping_ = true;
    }
    post([] {});
}

bool Loop::is_stopping() {
    MutexLock lock(mutex_);
    return is_stopping_;
}

void Loop::watch_posts() {
    const auto woken = [this](int) {
        run_posts();
        watch_posts();
    };
    begin(woken, [&](io_uring_sqe* entry) { io_uring_prep_read(entry, wake_.get(), &wake_count_, sizeof wake_count_, 0); });
}

void Loop::run_posts() {
    std::vector<Call> posts;
    {
        MutexLock lock(mutex_);
        posts.swap(posts_);
    }
    for (Call& call : posts) call();
}

// In the order in which they are due. One that is cancelled by another of the same turn is not called, because what it works on may be
// gone; one that is set meanwhile waits for the next turn.
void Loop::run_timers() {
    const uint64_t now = now_ns();
    std::vector<std::pair<uint64_t, TimerId>> due;
    for (const auto& [id, timer] : timers_)
        if (timer.due_ns <= now) due.emplace_back(timer.due_ns, id);
    std::sort(due.begin(), due.end());
    for (const auto& [due_ns, id] : due)
        if (const auto timer = timers_.extract(id)) timer.mapped().call();
}

uint64_t Loop::until_next_timer() const {
    const uint64_t now = now_ns();
    uint64_t wait = longest_sleep_ns;
    for (const auto& [id, timer] : timers_) wait = std::min(wait, timer.due_ns > now ? timer.due_ns - now : 0);
    return wait;
}

void Loop::run() {
    watch_posts();
    while (!is_stopping()) {
        const uint64_t wait_ns = until_next_timer();
        __kernel_timespec timeout{static_cast<int64_t>(wait_ns / 1'000'000'000), static_cast<int64_t>(wait_ns % 1'000'000'000)};
        io_uring_cqe* completion = nullptr;
        // ETIME and EINTR are no errors here; anything else leaves the ring empty, and the loop tries again.
        (void)io_uring_submit_and_wait_timeout(&ring_, &completion, 1, &timeout, nullptr);
        while (io_uring_peek_cqe(&ring_, &completion) == 0) {
            const auto operation = under_way_.extract(completion->user_data);
            const int result = completion->res;
            io_uring_cqe_seen(&ring_, completion);
            operation.mapped()(result);
        }
        run_timers();
    }
}

}  // namespace holdfast::replicator

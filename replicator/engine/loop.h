// The engine's one thread and one ring: sockets, timers and wake-ups are io_uring operations whose completions call back.
//
// An operation that was begun always calls back exactly once, with a result as of its system call (bytes, or a negative
// errno); a socket's operations are made to end by shutting it down. So whatever an operation works on is kept alive by its callback.
//
// Callbacks may begin operations and never block. Work that does (disks, name lookup) belongs to a Worker, which comes
// back through post().
//
// The ring takes the operations that this class has and no others: whoever takes over the process cannot open files or make sockets with it.
//
// Limits: operations under way are bounded by ring_entries_max; more are an error of ours, since every connection has at
// most two and connections are bounded.
//
// Thread rule: post(), stop() and is_stopping() from any thread, the rest from the thread that calls run().
#pragma once

#include <liburing.h>
#include <sys/socket.h>

#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/disk.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace holdfast::replicator {

inline constexpr unsigned ring_entries = 256;
inline constexpr size_t ring_operations_max = 4096;

class Loop {
public:
    using Done = std::function<void(int result)>;
    using Call = std::function<void()>;
    using TimerId = uint64_t;

    // Errors: unsupported when the kernel has no io_uring or forbids it, io.
    static Result<std::unique_ptr<Loop>> open();
    ~Loop();

    // Until stop(). Callbacks that were not called by then are dropped without a call.
    void run();
    void stop();
    bool is_stopping();

    // Calls CALL on the loop's thread, soon, in the order of the posts.
    void post(Call call);

    // The descriptor and the bytes must live until DONE, which is best done by what DONE holds.
    void accept(int fd, Done done);
    void connect(int fd, const sockaddr& address, socklen_t length, Done done);
    void receive(int fd, MutableByteSpan bytes, Done done);
    void send(int fd, ByteSpan bytes, Done done);

    TimerId after(uint64_t delay_ns, Call call);
    void cancel(TimerId timer) { timers_.erase(timer); }

    uint64_t now_ns() const;  // monotonic

private:
    struct Timer { uint64_t due_ns; Call call; };

    Loop() = default;
    template <typename Prepare>
    void begin(Done done, Prepare prepare);
    void watch_posts();
    void run_posts();
    void run_timers();
    uint64_t until_next_timer() const;

    io_uring ring_{};
    bool is_open_ = false;
    std::unordered_map<uint64_t, Done> under_way_;  // by the number that the completion carries
    uint64_t next_operation_ = 1;
    UniqueFd wake_;
    uint64_t wake_count_ = 0;
    std::map<TimerId, Timer> timers_;  // few: one or two for each connection
    TimerId next_timer_ = 1;

    Mutex mutex_;
    std::vector<Call> posts_ HF_GUARDED_BY(mutex_);
    bool is_stopping_ HF_GUARDED_BY(mutex_) = false;
};

}  // namespace holdfast::replicator

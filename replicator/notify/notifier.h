// One way to tell somebody of events: a queue, and a thread that delivers what is in it, one after the other.
//
// Whoever raises events never waits. A queue that is full loses its oldest event, and the next one that is delivered says how many were
// left out. A delivery that fails is counted and not repeated: there will be other events, and the log has them all. How long a delivery
// may take is its own promise (delivery_ms_max).
//
// Thread rule: one thread, except that the destructor may be another's: it delivers for at most drain_ns_max what waits, then waits for the delivery
// that is under way.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <thread>

#include "base/mutex.h"
#include "base/result.h"
#include "replicator/engine/events.h"

namespace holdfast::replicator {

inline constexpr size_t notices_max = 100;
inline constexpr int delivery_ms_max = 10'000;
inline constexpr uint64_t drain_ns_max = 2'000'000'000;

struct Notice {
    Event event;
    uint64_t left_out = 0;  // events before it that had no room
};
// The event's JSON with "left_out" when it is not zero.
Json to_json(const Notice& notice);

struct NotifierStatus {
    uint64_t delivered = 0, failed = 0, left_out = 0;
    std::string why = {};  // the last delivery's failure; empty when it succeeded
};

class Notifier {
public:
    // On the notifier's thread; takes at most delivery_ms_max.
    using Deliver = std::function<Status(const Notice& notice)>;

    Notifier(Severity least, Deliver deliver);
    ~Notifier();
    Notifier(const Notifier&) = delete;
    Notifier& operator=(const Notifier&) = delete;

    void offer(const Event& event);
    // What the destructor begins with, so that several can end at the same time.
    void end_soon();
    NotifierStatus status() const;

private:
    void run();
    std::optional<Notice> next();

    const Severity least_;
    const Deliver deliver_;
    mutable Mutex mutex_;
    ConditionVariable changed_;
    std::deque<Event> waiting_ HF_GUARDED_BY(mutex_);
    NotifierStatus status_ HF_GUARDED_BY(mutex_);
    uint64_t left_out_ HF_GUARDED_BY(mutex_) = 0;  // not told yet
    std::optional<uint64_t> ends_ns_ HF_GUARDED_BY(mutex_);
    std::thread thread_;  // last: it uses the others
};

}  // namespace holdfast::replicator

// The threads of a filter: they read requests, have them carried out and send the answers. One more looks after what
// waits: idle times, parked requests, slots.
//
// Ending: unmounting wakes every reader; stop() wakes them with a signal that does nothing.
// Thread rule: run() once, by one thread; stop() from anywhere, signal handlers included.
#pragma once

#include <pthread.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "fusefs/filter/answers.h"
#include "fusefs/filter/parked.h"
#include "fusefs/filter/shared.h"

namespace holdfast::fusefs {

class Server {
public:
    Server(Shared& shared, unsigned threads);
    ~Server();

    Status run();
    void stop();
    bool is_unmounted() const { return is_unmounted_; }

private:
    struct Serving {
        Thread state;
        std::atomic<bool> is_reading = false;
        std::atomic<bool> has_ended = false;
        std::thread thread;
    };
    void serve(Serving& serving);
    void process(Thread& thread, ByteSpan bytes);
    Answer carry_out(Thread& thread, Request& request);
    bool take_slot(Thread& thread);
    void maintain();
    void retry_parked(Thread& thread);
    void release_killed();
    void end(Status status);
    void wait_for_the_end();
    bool is_ending() const { return is_ending_.load(); }

    Shared& shared_;
    OwedAnswers owed_;
    Parked parked_;
    std::vector<std::unique_ptr<Serving>> serving_;
    Serving maintenance_;
    UniqueFd wake_;  // eventfd: something to look at for run()
    std::atomic<bool> is_ending_ = false;
    std::atomic<bool> is_unmounted_ = false;
    std::mutex status_mutex_;
    Status status_;
};

}  // namespace holdfast::fusefs

// A helper thread that syncs the journal while the thread of an fsync syncs the backing file: both disks work at once.
// One sync serves all who began to wait before it started.
// Thread rule: any thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "fusefs/filter/recorder.h"

namespace holdfast::fusefs {

class JournalSync {
public:
    explicit JournalSync(Recorder& recorder);
    ~JournalSync();

    // Everything recorded before begin() is durable when wait() returns.
    uint64_t begin();
    void wait(uint64_t ticket);

private:
    void run();

    Recorder& recorder_;
    std::mutex mutex_;
    std::condition_variable wanted_changed_, done_changed_;
    uint64_t wanted_ = 0, done_ = 0;
    bool is_over_ = false;
    std::thread thread_;  // only with a journal
};

}  // namespace holdfast::fusefs

#include "fusefs/filter/journal_sync.h"

namespace holdfast::fusefs {

JournalSync::JournalSync(Recorder& recorder) : recorder_(recorder) {
    if (recorder.has_journal()) thread_ = std::thread([this] { run(); });
}

JournalSync::~JournalSync() {
    {
        std::lock_guard lock(mutex_);
        is_over_ = true;
    }
    wanted_changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

uint64_t JournalSync::begin() {
    if (!recorder_.is_recording()) return 0;
    std::lock_guard lock(mutex_);
    wanted_changed_.notify_one();
    return ++wanted_;
}

void JournalSync::wait(uint64_t ticket) {
    std::unique_lock lock(mutex_);
    done_changed_.wait(lock, [&] { return done_ >= ticket; });
}

void JournalSync::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        wanted_changed_.wait(lock, [&] { return is_over_ || wanted_ > done_; });
        if (wanted_ == done_) return;
        const uint64_t serves = wanted_;
        lock.unlock();
        recorder_.sync();
        lock.lock();
        done_ = serves;
        done_changed_.notify_all();
    }
}

}  // namespace holdfast::fusefs

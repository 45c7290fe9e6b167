// A thread for work that blocks: one volume's journal, or the lookup of a name. Jobs run one after the other in the order in
// which they came; what each returns is called on the loop's thread.
//
// Limits: who adds jobs bounds them; a session has no more under way than its window.
// Thread rule: the loop's thread. What a job returned may still be called after this object is gone (Work guards against that).
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "base/mutex.h"
#include "replicator/engine/loop.h"

namespace holdfast::replicator {

class Worker {
public:
    explicit Worker(Loop& loop) : loop_(loop), thread_([this] { run(); }) {}
    ~Worker() { finish(); }

    // Does what was added and ends the thread.
    void finish() {
        if (!thread_.joinable()) return;
        {
            MutexLock lock(mutex_);
            is_ending_ = true;
        }
        added_.notify_all();
        thread_.join();
    }

    using Job = std::function<Loop::Call()>;
    void add(Job job) {
        MutexLock lock(mutex_);
        jobs_.push_back(std::move(job));
        added_.notify_all();
    }

private:
    void run() {
        for (;;) {
            Job job;
            {
                MutexLock lock(mutex_);
                while (jobs_.empty() && !is_ending_) added_.wait(mutex_);
                if (jobs_.empty()) return;
                job = std::move(jobs_.front());
                jobs_.pop_front();
            }
            if (Loop::Call answer = job()) loop_.post(std::move(answer));
        }
    }

    Loop& loop_;
    Mutex mutex_;
    ConditionVariable added_;
    std::deque<Job> jobs_ HF_GUARDED_BY(mutex_);
    bool is_ending_ HF_GUARDED_BY(mutex_) = false;
    std::thread thread_;  // last: it uses the others
};

}  // namespace holdfast::replicator

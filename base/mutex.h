// A mutex that clang's thread-safety analysis understands (std::mutex of libstdc++ is not annotated). With another
// compiler the annotations are nothing.
//
//     Mutex mutex_;                        // lock order, if there is one, is said here
//     int count_ HF_GUARDED_BY(mutex_);
//     void grow_locked() HF_REQUIRES(mutex_);
//     ...
//     MutexLock lock(mutex_);
//     while (count_ == 0) changed_.wait(mutex_);
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define HF_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define HF_THREAD_ATTRIBUTE(x)
#endif
#define HF_GUARDED_BY(x) HF_THREAD_ATTRIBUTE(guarded_by(x))
#define HF_PT_GUARDED_BY(x) HF_THREAD_ATTRIBUTE(pt_guarded_by(x))
#define HF_REQUIRES(...) HF_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define HF_EXCLUDES(...) HF_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))
#define HF_ACQUIRE(...) HF_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define HF_RELEASE(...) HF_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define HF_TRY_ACQUIRE(...) HF_THREAD_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define HF_NO_THREAD_SAFETY_ANALYSIS HF_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace holdfast {

class HF_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
public:
    void lock() HF_ACQUIRE() { mutex_.lock(); }
    void unlock() HF_RELEASE() { mutex_.unlock(); }
    bool try_lock() HF_TRY_ACQUIRE(true) { return mutex_.try_lock(); }

private:
    friend class ConditionVariable;
    std::mutex mutex_;
};

class HF_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
public:
    explicit MutexLock(Mutex& mutex) HF_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~MutexLock() HF_RELEASE() { mutex_.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

private:
    Mutex& mutex_;
};

// Wakes may come for no reason: wait in a loop around the condition.
class ConditionVariable {
public:
    void wait(Mutex& mutex) HF_REQUIRES(mutex) {
        std::unique_lock<std::mutex> held(mutex.mutex_, std::adopt_lock);
        condition_.wait(held);
        held.release();
    }
    // False when TIMEOUT passed.
    bool wait_for(Mutex& mutex, std::chrono::nanoseconds timeout) HF_REQUIRES(mutex) {
        std::unique_lock<std::mutex> held(mutex.mutex_, std::adopt_lock);
        bool woken = condition_.wait_for(held, timeout) == std::cv_status::no_timeout;
        held.release();
        return woken;
    }
    void notify_one() { condition_.notify_one(); }
    void notify_all() { condition_.notify_all(); }

private:
    std::condition_variable condition_;
};

}  // namespace holdfast

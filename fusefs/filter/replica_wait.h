// The answers to fsync and to synchronous writes that wait for a replica. The work is done and the local disks have it; only the
// answer is held, by its request's number, so the threads go on serving everybody else, readers above all.
//
//     const Lsn below = replica_wait.begin();          before the local flush: what is recorded by now
//     ... flush ...
//     return replica_wait.finish(request, below, answer);      the answer, or none: it is sent from here later
//
// One thread holds the clock to the policy (fusefs/filter/durability_policy.h), sends what may go, and says in the in-flight table how
// things stand. A request whose process is being killed is answered with EINTR; other signals interrupt no fsync, as on any
// other file system. When the filter ends its answers go with it: an ended connection fails them in the kernel, and a
// successor is sent the requests again. A gap in the recording ends all waits, because what is not recorded cannot get to a replica.
//
// What the kernel holds meanwhile is not ours: it keeps a file locked for writers, and a directory for lookups, while it is fsynced.
//
// Limits: held_answers_max; beyond it the thread of the request waits itself. A process being killed is seen within killed_check_ns, or one
// more of them for each killed_checks_max that wait.
// Thread rule: any thread.
#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "fusefs/filter/device.h"
#include "fusefs/filter/durability_policy.h"
#include "fusefs/filter/recorder.h"

namespace holdfast::fusefs {

inline constexpr size_t held_answers_max = 16384;
inline constexpr uint64_t killed_check_ns = 250'000'000;
inline constexpr size_t killed_checks_max = 256;

class ReplicaWait {
public:
    ReplicaWait(const Wiring& wiring, Recorder& recorder, const Device& device);
    ~ReplicaWait();

    // 0: nothing is waited for.
    journal::Lsn begin() const;
    Answer finish(const Request& request, journal::Lsn below, const Answer& answer);
    // From here on, also for those that wait already. Nothing, when there is no journal.
    void change(const journal::Durability& durability);
    // The filter ends: what is held is not answered any more. Only sets a flag.
    void end() { is_over_ = true; }

private:
    struct Held {
        uint64_t unique;
        uint32_t pid;
        journal::Lsn below;
        Answer answer;
    };

    void run();
    DurabilityPolicy::Seen see(journal::DurabilityMode mode) const;
    void look_locked() HF_REQUIRES(mutex_);
    std::vector<Held> take_released_locked() HF_REQUIRES(mutex_);
    std::vector<Held> take_killed_locked() HF_REQUIRES(mutex_);
    void publish_state_locked() HF_REQUIRES(mutex_);
    uint64_t nap_ns_locked() const HF_REQUIRES(mutex_);

    Recorder& recorder_;
    const Device& device_;
    const Clock& clock_;
    journal::InflightTable* const table_;  // null: null filter
    std::atomic<bool> waits_ = false;      // for begin(): as the policy has it
    std::atomic<bool> is_over_ = false;
    Mutex mutex_;
    ConditionVariable changed_;  // something was released, or the durability is another one
    DurabilityPolicy policy_ HF_GUARDED_BY(mutex_);
    std::vector<Held> held_ HF_GUARDED_BY(mutex_);
    uint64_t killed_checked_ns_ HF_GUARDED_BY(mutex_) = 0;
    size_t killed_checked_ HF_GUARDED_BY(mutex_) = 0;  // how far in held_ the last check came
    std::thread thread_;  // only with a journal
};

}  // namespace holdfast::fusefs

// Taking this host out of its streams before it is rebooted, so that nobody has to compare or copy anything afterwards (docs/engine.md).
//
//     none ──prepare()──> draining ──every replica has it──> settling ──received is applied──> prepared ──done()──> none
//      ^                     │                                  │
//      └──── the time is up: who is behind; everything goes on ─┘
//
// Draining: what its sources had published is on every replica's disk. Settling: its edges are at rest, and what its replicas had received is on the
// disk and in their images. From then on peers are told "in maintenance", which is no alarm there.
//
// What is durable when: `prepared` before anybody is told so; it survives the engine, which begins in it, until done(). The steps before do not.
// Thread rule: the loop's thread. Ownership: the host outlives it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/json.h"
#include "replicator/engine/host.h"

namespace holdfast::replicator {

inline constexpr uint64_t maintenance_timeout_ns_default = 10ULL * 60 * 1'000'000'000;
inline constexpr uint64_t maintenance_look_ns = 100'000'000;

class Maintenance {
public:
    struct Callbacks {
        std::function<void()> begin_draining;                         // remembers what is to be drained
        std::function<std::vector<std::string>()> undrained;  // who is behind, a sentence each
        std::function<void()> follow;                                 // host.is_in_maintenance has changed
        std::function<std::vector<std::string>()> unsettled;
    };
    // Begins in the state that DIRECTORY remembers, and says so in HOST. Errors: permission, io.
    static Result<std::unique_ptr<Maintenance>> open(Host& host, const std::string& directory, Callbacks callbacks);
    ~Maintenance();
    Maintenance(const Maintenance&) = delete;
    Maintenance& operator=(const Maintenance&) = delete;

    // Begins; show() tells how it goes. Errors: exists (it is on, or being prepared).
    Status prepare(uint64_t timeout_ns);
    // Errors: not_found (it is not on), io.
    Status done();

    // `state`, `behind` (sentences, while it waits), `why` (the last preparation came to nothing).
    Json show() const;

private:
    enum class State { none, draining, settling, prepared };

    Maintenance(Host& host, std::unique_ptr<Disk> disk, Callbacks callbacks) : host_(host), disk_(std::move(disk)), callbacks_(std::move(callbacks)) {}

    void look();
    void settle();
    void give_up(const std::string& why);
    void rest(bool is_on);
    std::vector<std::string> behind() const;

    Host& host_;
    const std::unique_ptr<Disk> disk_;
    const Callbacks callbacks_;
    State state_ = State::none;
    uint64_t until_ns_ = 0;  // of the loop's clock
    std::string why_;
    Loop::TimerId look_ = 0;
};

}  // namespace holdfast::replicator

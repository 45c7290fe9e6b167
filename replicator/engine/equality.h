// The continuous proof that a replica equals its source (SPEC N-06), and the comparison that a person asks for, on the replica's side.
//
// The replica's store compares itself with its source's in parts (rewind/sync/comparison.h), each at a moment of its own, and rests between
// them so long that it reads about `bytes_per_second`. When the last object was reached a round is complete: "identical, since it began and
// for all that was there the whole time". Then the next one begins. A comparison that is asked for is a round in one part, at one moment, as fast as it goes.
//
// Where a round stands is kept in STORE/equality, so that it goes on after a restart; losing the file costs a round.
//
// Thread rule: the loop's thread, except load_equality() and save_equality().
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/disk.h"
#include "base/json.h"
#include "replicator/engine/status.h"
#include "replicator/engine/sync_link.h"
#include "replicator/protocol/messages.h"
#include "rewind/sync/comparison.h"

namespace holdfast::replicator {

inline constexpr uint64_t equality_part_ns = 10'000'000'000;
// A small replica is compared again after so long, not at once.
inline constexpr uint64_t equality_rest_ns = 10'000'000'000;
// After a part that came to nothing.
inline constexpr uint64_t equality_retry_ns = 60'000'000'000;
inline constexpr uint64_t equality_asked_retry_ns = 2'000'000'000;

// A round that is under way.
struct Round {
    Compared found;  // in the parts that were done
    rewind::ComparePosition position;
};

// Nothing: there is none, or it makes no sense.
std::optional<Round> load_equality(Disk& store);
Status save_equality(Disk& store, const Round& round);

class Equality {
public:
    struct Events {
        std::function<bool()> can_compare;                        // now
        std::function<void(Lsn at)> begun;
        std::function<void(std::vector<std::byte>)> question;     // for the source's store
        std::function<void(const Compared&)> ended;               // once for each that has begun
        std::function<uint64_t()> wait_ns;                        // as SyncLink's
        std::function<void(const Round&)> save;
    };

    // SOCKET is that of the replica's store service. Zero BYTES_PER_SECOND: only what is asked for.
    Equality(Loop& loop, std::string socket, uint64_t bytes_per_second, Events events);
    ~Equality();
    Equality(const Equality&) = delete;
    Equality& operator=(const Equality&) = delete;

    void go_on_with(const Round& round) { round_ = round; }
    // The next one goes over everything, at one moment.
    void ask();
    // The same for somebody who waits for what it finds. Errors: busy.
    Status ask_here();
    // Now and then.
    void tick();
    void give(ByteSpan answer);
    // The source cannot go on. Nothing is said to it any more.
    void broken(const std::string& why);
    // The session is over.
    void abandon();

    const EqualityStatus& status() const { return status_; }

private:
    void begin();
    void take(const Json& told);
    void take_part(const rewind::ComparedPart& part);
    void fail(const std::string& why, bool is_told);
    void close();

    Loop& loop_;
    const std::string socket_;
    const uint64_t bytes_per_second_;
    const Events events_;
    std::shared_ptr<SyncLink> link_;
    Round round_;
    bool is_asked_ = false;    // and not begun
    bool is_answering_ = false;  // what is under way was asked for
    bool has_begun_ = false;   // the source knows of it
    uint64_t moment_ns_ = 0;   // of the part
    uint64_t due_ns_;
    EqualityStatus status_;
};

}  // namespace holdfast::replicator

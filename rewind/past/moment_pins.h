// Which moment a relative name ("@-10m", "@now") stands for, for whom and how long.
//
// A relative name means another moment each time it is read, but one walk must see one moment: `cp -a @-10m/tree X`
// names the directory again for every file. So the first look of a process fixes the moment for that process, and it
// stays fixed while anything under it is being used; after pin_idle_ns without a request the next look is a new
// moment. Two processes that ask at different times see different moments, as they should. Who wants
// several commands to see one moment uses a bookmark, a time or lsn:N.
//
// Bound: at most pins_max; beyond it the one that was not used for longest is dropped.
// Thread rule: all methods from any thread.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "rewind/past/past_nodes.h"

namespace holdfast::rewind {

inline constexpr uint64_t pin_idle_ns = 60'000'000'000;
inline constexpr size_t pins_max = 1024;

class MomentPins {
public:
    // Null: PROCESS has none that is still fixed at NOW.
    std::shared_ptr<PastMoment> find(const std::string& text, pid_t process, uint64_t now_ns);
    void pin(pid_t process, std::shared_ptr<PastMoment> moment, uint64_t now_ns);

private:
    void make_room_locked(uint64_t now_ns) HF_REQUIRES(mutex_);

    Mutex mutex_;
    std::map<std::pair<std::string, pid_t>, std::shared_ptr<PastMoment>> pins_ HF_GUARDED_BY(mutex_);
};

// The process that a thread belongs to; the thread itself when it cannot be told (it is gone, or lives in another
// PID namespace).
pid_t process_of(pid_t thread);

}  // namespace holdfast::rewind

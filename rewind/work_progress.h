// How far a long piece of work is, told to whoever waits for it.
// Thread rule: called from the thread that works, about twice a second at most.
#pragma once

#include <cstdint>
#include <functional>

namespace holdfast::rewind {

struct WorkProgress {
    uint64_t files = 0;        // objects done
    uint64_t bytes = 0;        // bytes done
    uint64_t files_total = 0;  // 0: not known
    uint64_t bytes_total = 0;
};

// False asks the work to stop soon, in order: it then returns ErrorCode::unavailable with a sentence.
using ProgressSink = std::function<bool(const WorkProgress&)>;

}  // namespace holdfast::rewind

// The questions of a replica's store that are under way, and what is to be done with their answers, which come in the same order.
//
// Asking never waits, so that an answer may lead to the next question; wait() takes one answer. Who asks keeps what is under way below
// a bound of its own (bytes_under_way()).
// Thread rule: one thread.
#pragma once

#include <deque>
#include <functional>

#include "rewind/sync/sync_messages.h"

namespace holdfast::rewind {

// Where questions go and answers come from: a SyncPipe, or a source in the same process.
class SyncLine {
public:
    virtual ~SyncLine() = default;
    virtual Status ask(ByteSpan question) = 0;
    virtual Result<std::vector<std::byte>> answer() = 0;  // waits
};

class Questions {
public:
    using Then = std::function<Status(const SyncAnswer&)>;

    explicit Questions(SyncLine& line) : line_(line) {}

    // EXPECTED: about how many bytes the answer has.
    Status ask(const SyncQuestion& question, uint64_t expected, Then then);
    // Takes the next answer. Errors: those of the line, of the source and of THEN. REQUIRES: something was asked.
    Status wait();
    bool is_empty() const { return asked_.empty(); }
    uint64_t bytes_under_way() const { return under_way_; }
    uint64_t bytes_received() const { return received_; }

private:
    struct Asked { SyncKind kind; uint64_t expected; Then then; };

    SyncLine& line_;
    std::deque<Asked> asked_;
    uint64_t under_way_ = 0;
    uint64_t received_ = 0;
};

}  // namespace holdfast::rewind

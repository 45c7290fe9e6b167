// A replica's store asks its source's in the same process.
// Thread rule: one thread. The source outlives it.
#pragma once

#include <deque>
#include <functional>

#include "rewind/sync/questions.h"
#include "rewind/sync/sync_source.h"

namespace holdfast::test {

// The source in this process. Answers that are left before the line breaks; what happens then.
class DirectLine final : public rewind::SyncLine {
public:
    DirectLine(const rewind::Store& source, journal::Lsn at) : source_(source, at, {}) {}

    Status ask(ByteSpan question) override {
        answers_.push_back(source_.answer(question));
        return ok();
    }
    Result<std::vector<std::byte>> answer() override {
        if (answers_left-- == 0) {
            if (at_break) at_break();
            return Error{ErrorCode::unavailable, "the line broke"};
        }
        auto answer = std::move(answers_.front());
        answers_.pop_front();
        return answer;
    }

    uint64_t answers_left = UINT64_MAX;
    std::function<void()> at_break;

private:
    rewind::SyncSource source_;
    std::deque<std::vector<std::byte>> answers_;
};

}  // namespace holdfast::test

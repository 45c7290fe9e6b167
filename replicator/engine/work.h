// Work that blocks, asked for on the loop and answered there: a thread, and a way to say that answers are not wanted any more.
//
// Jobs run one after the other in the order in which they were asked for, so a journal that only jobs touch belongs to one
// thread. Answers that come after forget() or the destructor are dropped; so THEN may use what owns this object. The jobs themselves
// are still done: what was received stays received.
//
// Limits: a session has no more under way than its window; everything else asks once and waits.
// Thread rule: the loop's thread.
#pragma once

#include <memory>
#include <utility>

#include "replicator/engine/worker.h"

namespace holdfast::replicator {

class Work {
public:
    explicit Work(Loop& loop) : worker_(loop) {}
    ~Work() { forget(); }

    // JOB runs on the thread, THEN gets what it returned, on the loop.
    template <typename Job, typename Then>
    void ask(Job job, Then then) {
        worker_.add([job = std::move(job), then = std::move(then), generation = generation_, asked = *generation_]() mutable -> Loop::Call {
            auto result = std::make_shared<decltype(job())>(job());
            return [result, then = std::move(then), generation, asked]() mutable {
                if (*generation == asked) then(std::move(*result));
            };
        });
    }
    void forget() { ++*generation_; }
    // Does what was asked for, drops the answers, and ends the thread.
    void finish() {
        forget();
        worker_.finish();
    }

private:
    const std::shared_ptr<uint64_t> generation_ = std::make_shared<uint64_t>(0);  // the loop's thread alone
    Worker worker_;
};

}  // namespace holdfast::replicator

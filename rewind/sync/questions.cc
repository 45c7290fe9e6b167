#include "rewind/sync/questions.h"

#include "base/check.h"

namespace holdfast::rewind {

Status Questions::ask(const SyncQuestion& question, uint64_t expected, Then then) {
    HF_TRY(line_.ask(encode_question(question)));
    asked_.push_back({question.kind, expected, std::move(then)});
    under_way_ += expected;
    return ok();
}

Status Questions::wait() {
    HF_CHECK(!asked_.empty());
    const auto bytes = HF_TRY(line_.answer());
    received_ += bytes.size();
    const SyncAnswer answer = HF_TRY(decode_answer(bytes));
    if (answer.failure) return *answer.failure;
    const Asked asked = std::move(asked_.front());
    asked_.pop_front();
    under_way_ -= asked.expected;
    if (answer.kind != asked.kind) return Error{ErrorCode::corrupt, "the source answered another question than was asked"};
    return asked.then(answer);
}

}  // namespace holdfast::rewind

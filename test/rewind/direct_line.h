// A replica's store asks its source's in the same process.
// Thread rule: one thread. The source outlives it.
#pragma once

#include <deque>
#include <functional>
#include <map>

#include "rewind/sync/questions.h"
#include "rewind/sync/sync_source.h"

namespace holdfast::test {

// The source in this process, which may speak an older version. Answers that are left before the line breaks; what happens then.
class DirectLine final : public rewind::SyncLine {
public:
    DirectLine(const rewind::Store& source, journal::Lsn at, uint32_t version = rewind::sync_version, size_t page_bytes = rewind::catalog_page_bytes)
        : source_(source, at, {}, page_bytes), version_(version) {}

    Status ask(ByteSpan question) override {
        const rewind::SyncKind kind = HF_TRY(rewind::decode_question(question)).kind;
        answers_.push_back(source_.answer(question));
        if (kind == rewind::SyncKind::begin && version_ != rewind::sync_version) answers_.back() = answer_of_version(version_);
        ++asked[kind];
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
    std::map<rewind::SyncKind, int> asked;

private:
    static std::vector<std::byte> answer_of_version(uint32_t version) {
        const auto* bytes = reinterpret_cast<const std::byte*>(&version);
        return rewind::encode_answer({rewind::SyncKind::begin, false, {}, version == 1 ? std::vector<std::byte>() : std::vector(bytes, bytes + sizeof version)});
    }

    rewind::SyncSource source_;
    const uint32_t version_;
    std::deque<std::vector<std::byte>> answers_;
};

}  // namespace holdfast::test

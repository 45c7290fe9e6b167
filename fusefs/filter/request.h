// One request as it came from the kernel, and its answer.
//
// Everything in a request is checked before it is used: lengths against the bytes that came, names for their zero.
// Parts that are missing read as an EIO for this request, nothing more.
//
// Thread rule: values of one thread. A Request borrows the buffer that it was read into.
#pragma once

#include <sys/uio.h>

#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/disk.h"
#include "fusefs/filter/protocol.h"

namespace holdfast::fusefs {

class Request {
public:
    // Nothing when BYTES are not one whole request.
    static std::optional<Request> parse(ByteSpan bytes);

    const fuse_in_header& header() const { return header_; }
    uint32_t opcode() const { return header_.opcode; }
    uint64_t node() const { return header_.nodeid; }
    // The kernel's id without the mark that says "sent again".
    uint64_t id() const { return header_.unique & ~protocol::unique_resend_bit; }
    bool is_resent() const { return header_.unique & protocol::unique_resend_bit; }
    ByteSpan bytes() const { return bytes_; }

    // Takes the next part of the body. Null or empty when it is not there.
    template <typename T>
    const T* take() {
        if (body_.size() < sizeof(T)) return nullptr;
        const auto* value = reinterpret_cast<const T*>(body_.data());
        body_ = body_.subspan(sizeof(T));
        return value;
    }
    // A string that ends in a zero, which is not part of it. Nothing when there is none.
    std::optional<std::string_view> take_text();
    ByteSpan take_bytes(size_t count);
    ByteSpan rest() const { return body_; }

private:
    fuse_in_header header_{};
    ByteSpan bytes_;  // the whole request
    ByteSpan body_;   // what was not taken yet, without extensions
};

// The answer to one request: an error, or up to a fixed size of plain structures, or bulk data that is borrowed.
class Answer {
public:
    static constexpr size_t plain_bytes_max = 512;

    static Answer error(int number) {
        Answer answer;
        answer.error_ = number;
        return answer;
    }
    static Answer nothing() { return {}; }
    static Answer none() {  // FORGET and the like have no answer at all
        Answer answer;
        answer.is_sent_ = false;
        return answer;
    }
    // The request cannot be carried out now: it waits for space in the journal.
    static Answer parked() {
        Answer answer = none();
        answer.is_parked_ = true;
        return answer;
    }
    template <typename T>
    static Answer of(const T& value) {
        Answer answer;
        answer.add(value);
        return answer;
    }
    static Answer data(ByteSpan bytes) {
        Answer answer;
        answer.bulk_ = bytes;
        return answer;
    }
    template <typename T>
    Answer& add(const T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        std::memcpy(plain_ + plain_bytes_, &value, sizeof value);
        plain_bytes_ += sizeof value;
        return *this;
    }

    bool is_sent() const { return is_sent_; }
    bool is_parked() const { return is_parked_; }
    int error() const { return error_; }
    ByteSpan plain() const { return {plain_, plain_bytes_}; }
    ByteSpan bulk() const { return bulk_; }

private:
    int error_ = 0;
    bool is_sent_ = true;
    bool is_parked_ = false;
    size_t plain_bytes_ = 0;
    ByteSpan bulk_;
    alignas(8) std::byte plain_[plain_bytes_max];
};

}  // namespace holdfast::fusefs

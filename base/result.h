// Errors are values. A fallible function returns Result<T>, or Status when it yields nothing; exceptions
// never cross a module boundary. The method names are those of std::expected, so that the type can be
// replaced by it one day.
//
// An Error names the outcome that callers treat differently (code), the errno behind it when there was
// one, and one sentence for a person. Add context once, where it is known: what, which object, which
// offset.
#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace holdfast {

enum class ErrorCode {
    invalid_argument,  // the caller or the user asked for something that makes no sense
    not_found,
    exists,
    permission,
    io,           // the system refused or failed; sys_errno says how
    no_space,     // a disk, a quota or a named limit of ours is full
    corrupt,      // bytes that were once written whole are damaged
    torn,         // an end that was being written when the writer died
    foreign,      // bytes that belong to another volume or another program
    unsupported,  // newer format, or a feature this kernel or file system lacks
    busy,         // somebody else holds it
    unavailable,  // a peer process is not there
    gap,          // the moment lies in an interval that was not captured
};

const char* to_string(ErrorCode code);

struct [[nodiscard]] Error {
    ErrorCode code;
    std::string message;
    int sys_errno = 0;

    // The same error with "CONTEXT: " before its sentence.
    Error within(std::string_view context) && {
        message = std::string(context) + ": " + message;
        return std::move(*this);
    }
};

// An error from errno, with the code that fits it. WHAT says what was tried: "open /srv/x".
Error errno_error(int sys_errno, std::string_view what);

template <typename T>
class [[nodiscard]] Result {
public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const { return state_.index() == 0; }
    explicit operator bool() const { return has_value(); }
    T& value() & { return std::get<0>(state_); }
    const T& value() const& { return std::get<0>(state_); }
    T value() && { return std::get<0>(std::move(state_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    Error& error() & { return std::get<1>(state_); }
    const Error& error() const& { return std::get<1>(state_); }
    Error error() && { return std::get<1>(std::move(state_)); }

private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    bool has_value() const { return !error_; }
    explicit operator bool() const { return has_value(); }
    void value() const {}
    Error& error() & { return *error_; }
    const Error& error() const& { return *error_; }
    Error error() && { return std::move(*error_); }

private:
    std::optional<Error> error_;
};

using Status = Result<void>;
inline Status ok() {
    return {};
}

}  // namespace holdfast

// auto x = HF_TRY(f());   HF_TRY(g());   leaves the enclosing function with the error of f or g.
#define HF_TRY(expression)                                     \
    ({                                                         \
        auto hf_result_ = (expression);                        \
        if (!hf_result_) return std::move(hf_result_).error(); \
        std::move(hf_result_).value();                         \
    })

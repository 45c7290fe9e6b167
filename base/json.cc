#include "base/json.h"

namespace holdfast {

namespace {

constexpr ErrorCode all_codes[] = {
    ErrorCode::invalid_argument, ErrorCode::not_found, ErrorCode::exists,      ErrorCode::permission, ErrorCode::io,
    ErrorCode::no_space,         ErrorCode::corrupt,   ErrorCode::torn,        ErrorCode::foreign,    ErrorCode::unsupported,
    ErrorCode::busy,             ErrorCode::unavailable, ErrorCode::gap,
};

}  // namespace

std::string line_of(const Json& message) {
    return message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::optional<uint64_t> number_at(const Json& object, std::string_view key) {
    if (!object.is_object()) return std::nullopt;
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number_integer()) return std::nullopt;
    // One that was not read from text may be signed.
    const bool is_negative = !found->is_number_unsigned() && found->get<int64_t>() < 0;
    return is_negative ? std::nullopt : std::optional(found->get<uint64_t>());
}

uint64_t number_or(const Json& object, std::string_view key, uint64_t fallback) {
    return number_at(object, key).value_or(fallback);
}

Json json_of(const Error& error) {
    Json body = {{"code", to_string(error.code)}, {"message", error.message}};
    if (error.sys_errno != 0) body["errno"] = error.sys_errno;
    return {{"error", body}};
}

Error error_of(const Json& body) {
    Error error{ErrorCode::io, "the service reported an error without a sentence"};
    if (!body.is_object()) return error;
    if (auto text = body.find("message"); text != body.end() && text->is_string())
        error.message = text->get_ref<const std::string&>();
    if (auto number = body.find("errno"); number != body.end() && number->is_number_integer())
        error.sys_errno = number->get<int>();
    if (auto name = body.find("code"); name != body.end() && name->is_string()) {
        for (ErrorCode code : all_codes)
            if (name->get_ref<const std::string&>() == to_string(code)) error.code = code;
    }
    return error;
}

}  // namespace holdfast

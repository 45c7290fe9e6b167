#include "fusefs/filter/request.h"

namespace holdfast::fusefs {

std::optional<Request> Request::parse(ByteSpan bytes) {
    Request request;
    if (bytes.size() < sizeof request.header_) return std::nullopt;
    std::memcpy(&request.header_, bytes.data(), sizeof request.header_);
    if (request.header_.len != bytes.size()) return std::nullopt;
    const size_t extension_bytes = size_t{request.header_.total_extlen} * 8;
    if (extension_bytes > bytes.size() - sizeof request.header_) return std::nullopt;
    request.bytes_ = bytes;
    request.body_ = bytes.subspan(sizeof request.header_, bytes.size() - sizeof request.header_ - extension_bytes);
    return request;
}

std::optional<std::string_view> Request::take_text() {
    const auto* start = reinterpret_cast<const char*>(body_.data());
    const auto* end = static_cast<const char*>(body_.empty() ? nullptr : std::memchr(start, 0, body_.size()));
    if (!end) return std::nullopt;
    const std::string_view text(start, static_cast<size_t>(end - start));
    body_ = body_.subspan(text.size() + 1);
    return text;
}

ByteSpan Request::take_bytes(size_t count) {
    if (count > body_.size()) return {};
    const ByteSpan bytes = body_.first(count);
    body_ = body_.subspan(count);
    return bytes;
}

}  // namespace holdfast::fusefs

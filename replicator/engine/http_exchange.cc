#include "replicator/engine/http_exchange.h"

#include <poll.h>
#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/text.h"

namespace holdfast::replicator {

namespace {

constexpr uint64_t millisecond_ns = 1'000'000;
constexpr size_t piece_bytes = 64 << 10;

Error no_answer(const char* why) {
    return {ErrorCode::corrupt, std::string("what came is no answer of an engine: ") + why};
}

std::string encoded(std::string_view text) {
    std::string out;
    for (const unsigned char letter : text) {
        const bool is_plain = (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') || letter == '-' || letter == '_' || letter == '.';
        char escape[4];
        std::snprintf(escape, sizeof escape, "%%%02X", letter);
        out += is_plain ? std::string(1, static_cast<char>(letter)) : escape;
    }
    return out;
}

template <typename Number>
std::optional<Number> number_in(std::string_view text) {
    Number number = 0;
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (wrong != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

// Waits until the socket can be read or written.
Status wait_for(int socket, short what, uint64_t end_ns) {
    for (;;) {
        const uint64_t now_ns = system_clock().monotonic_ns();
        if (now_ns >= end_ns) return Error{ErrorCode::unavailable, "it has not answered in time"};
        pollfd entry{socket, what, 0};
        if (::poll(&entry, 1, static_cast<int>((end_ns - now_ns + millisecond_ns - 1) / millisecond_ns)) > 0) return ok();
    }
}

Status say(int socket, std::string_view text, uint64_t end_ns) {
    while (!text.empty()) {
        HF_TRY(wait_for(socket, POLLOUT, end_ns));
        const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        // It may have answered and closed before it took everything.
        if (sent < 0 && errno == EPIPE) return ok();
        if (sent < 0 && errno != EAGAIN && errno != EINTR) return errno_error(errno, "send a request");
        text.remove_prefix(static_cast<size_t>(std::max<ssize_t>(sent, 0)));
    }
    return ok();
}

Result<std::string> hear(int socket, uint64_t end_ns) {
    std::string text;
    std::string piece(piece_bytes, '\0');
    for (;;) {
        HF_TRY(wait_for(socket, POLLIN, end_ns));
        const ssize_t got = ::recv(socket, piece.data(), piece.size(), MSG_DONTWAIT);
        if (got == 0) return text;
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (got < 0) return errno_error(errno, "receive an answer");
        if (text.size() + static_cast<size_t>(got) > http_answer_bytes_max) return no_answer("it is too long");
        text.append(piece, 0, static_cast<size_t>(got));
    }
}

bool is_called(std::string_view line, std::string_view name) {
    return line.size() > name.size() && line[name.size()] == ':' && ::strncasecmp(line.data(), name.data(), name.size()) == 0;
}

std::string_view value_of(std::string_view line) {
    line.remove_prefix(std::min(line.find(':') + 1, line.size()));
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    return line;
}

}  // namespace

std::string http_request_text(const HttpRequest& request) {
    std::string target = request.path;
    char separator = '?';
    for (const auto& [name, value] : request.query) target += std::exchange(separator, '&') + encoded(name) + "=" + encoded(value);
    return request.method + " " + target + " HTTP/1.1\r\nHost: engine\r\nConnection: close\r\nContent-Length: " + std::to_string(request.body.size()) + "\r\n\r\n" + request.body;
}

Result<HttpAnswer> parse_http_answer(std::string_view text) {
    if (text.empty()) return Error{ErrorCode::unavailable, "it closed the connection without an answer"};
    const size_t head_end = text.find("\r\n\r\n");
    constexpr std::string_view version = "HTTP/1.1 ";
    if (!text.starts_with(version)) return no_answer("it is not HTTP");
    if (head_end == text.npos) return Error{ErrorCode::unavailable, "it closed the connection in the middle of its answer"};
    const std::string_view body = text.substr(head_end + 4);
    std::string_view head = text.substr(0, head_end);
    const auto status = number_in<unsigned>(head.substr(version.size(), 3));
    if (!status || *status < 200 || *status > 599) return no_answer("it has no status");
    HttpAnswer answer{.status = *status, .type = {}, .body = {}};
    std::optional<uint64_t> length;
    while (!head.empty()) {
        const size_t end = std::min(head.find("\r\n"), head.size());
        const std::string_view line = head.substr(0, end);
        head.remove_prefix(std::min(end + 2, head.size()));
        if (is_called(line, "Content-Type")) answer.type = value_of(line);
        if (is_called(line, "Allow")) answer.allow = value_of(line);
        if (is_called(line, "Content-Length")) length = number_in<uint64_t>(value_of(line));
        if (is_called(line, "Transfer-Encoding")) return no_answer("it comes in pieces");
    }
    if (!length) return no_answer("it does not say how long it is");
    if (body.size() < *length) return Error{ErrorCode::unavailable, "it closed the connection in the middle of its answer"};
    if (body.size() > *length) return no_answer("it is longer than it says");
    answer.body = body;
    return answer;
}

Result<HttpAnswer> http_exchange(int socket, const HttpRequest& request, uint64_t timeout_ns) {
    const uint64_t end_ns = system_clock().monotonic_ns() + timeout_ns;
    HF_TRY(say(socket, http_request_text(request), end_ns));
    const std::string text = HF_TRY(hear(socket, end_ns));
    return parse_http_answer(text);
}

}  // namespace holdfast::replicator

#include "base/json_socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <mutex>

#include "base/check.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "base/unix_server.h"
#include "base/unix_socket.h"

namespace holdfast {
namespace {

// A peer that neither reads nor speaks for this long loses its connection, so that it cannot hold one for ever.
constexpr int send_timeout_ms = 10'000;
constexpr int idle_timeout_ms = 60'000;

Status send_all(int fd, std::string_view text) {
    while (!text.empty()) {
        ssize_t sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return errno_error(errno, "write to the control socket");
        text.remove_prefix(static_cast<size_t>(sent));
    }
    return ok();
}

// Lines from a socket, one after the other, each at most LINE_BYTES_MAX.
class LineReader {
public:
    LineReader(int fd, size_t line_bytes_max) : fd_(fd), line_bytes_max_(line_bytes_max) {}

    // The next line without its end, or nothing when the peer has closed.
    Result<std::optional<std::string>> next() {
        size_t searched = 0;
        for (;;) {
            size_t end = buffer_.find('\n', searched);
            if (end != std::string::npos) {
                std::string line = buffer_.substr(0, end);
                buffer_.erase(0, end + 1);
                return std::optional<std::string>(std::move(line));
            }
            searched = buffer_.size();
            if (searched > line_bytes_max_)
                return Error{ErrorCode::invalid_argument,
                             "a line on the control socket is longer than " + human_bytes(line_bytes_max_)};
            char piece[16384];
            ssize_t got = ::recv(fd_, piece, sizeof piece, 0);
            if (got == 0) return std::optional<std::string>();
            if (got > 0) buffer_.append(piece, static_cast<size_t>(got));
            else if (errno != EINTR) return errno_error(errno, "read from the control socket");
        }
    }

private:
    int fd_;
    size_t line_bytes_max_;
    std::string buffer_;
};

void set_timeouts(int fd, int send_ms, int receive_ms) {
    const auto set = [fd](int option, int milliseconds) {
        const timeval time{milliseconds / 1000, milliseconds % 1000 * 1000};
        ::setsockopt(fd, SOL_SOCKET, option, &time, sizeof time);
    };
    set(SO_SNDTIMEO, send_ms);
    set(SO_RCVTIMEO, receive_ms);
}

// A service has a thread for each connection: whatever it is busy with, it says something to a question on a new one.
bool says_anything(const std::string& path) {
    auto fd = connect_unix(path);
    if (!fd) return fd.error().sys_errno != ETIMEDOUT;  // it is gone, which the connection that waits finds out itself
    set_timeouts(fd->get(), json_probe_ms, json_probe_ms);
    if (!send_all(fd->get(), line_of(Json{{"verb", "status"}}))) return true;
    char byte = 0;
    ssize_t got;
    do got = ::recv(fd->get(), &byte, 1, 0);
    while (got < 0 && errno == EINTR);
    return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

Error hangs(int fd, const std::string& path) {
    ucred peer{};
    socklen_t size = sizeof peer;
    const bool is_known = ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0;
    const std::string process = is_known ? ", process " + std::to_string(peer.pid) + "," : "";
    return {ErrorCode::unavailable, "the service at " + quoted(path) + process + " answers nothing: it is stopped or hangs" +
                                        (is_known ? "; `ps -o pid,stat,wchan:30,cmd -p " + std::to_string(peer.pid) + "` shows which" : ""),
            ETIMEDOUT};
}

// The next line, as long as the service lives.
Result<std::optional<std::string>> await_line(LineReader& reader, int fd, const std::string& path) {
    for (;;) {
        auto line = reader.next();
        const bool is_silent = !line && (line.error().sys_errno == EAGAIN || line.error().sys_errno == EWOULDBLOCK);
        if (!is_silent) return line;
        if (!says_anything(path)) return hangs(fd, path);
    }
}

}  // namespace

class JsonServer::Impl {
public:
    Impl(std::string path, Handler handler) : path_(std::move(path)), handler_(std::move(handler)) {}

    Status start(UnixListener listener) {
        server_ = HF_TRY(UnixServer::start(std::move(listener), json_connections_max, [this](int fd) { serve(fd); }, [this](int fd) { refuse(fd); }));
        return ok();
    }

private:
    void refuse(int fd) {
        set_timeouts(fd, send_timeout_ms, idle_timeout_ms);
        const Error full{ErrorCode::busy, "too many connections to " + quoted(path_) + "; try again"};
        (void)send_all(fd, line_of(json_of(full))).has_value();
    }

    void serve(int fd) {
        set_timeouts(fd, send_timeout_ms, idle_timeout_ms);
        LineReader reader(fd, json_line_bytes_max);
        for (;;) {
            auto line = reader.next();
            if (!line) {
                if (line.error().code == ErrorCode::invalid_argument)
                    (void)send_all(fd, line_of(json_of(line.error()))).has_value();
                return;
            }
            if (!line->has_value() || !send_all(fd, line_of(answer(fd, **line)))) return;
        }
    }

    Json answer(int fd, const std::string& line) {
        Json request = Json::parse(line, nullptr, false);
        if (!request.is_object())
            return json_of(Error{ErrorCode::invalid_argument, "a request must be one JSON object on one line"});
        std::mutex sending;  // a handler may report from several threads
        auto progress = [&](const Json& state) {
            HF_CHECK(state.contains("progress"));
            std::lock_guard lock(sending);
            // A client that went away does not stop what it asked for.
            (void)send_all(fd, line_of(state)).has_value();
        };
        try {
            auto result = handler_(request, progress);
            if (!result) return json_of(result.error());
            HF_CHECK(!result->contains("progress"));
            return *result;
        } catch (const Json::exception& wrong) {
            // The library's way to say that a member is absent or of another type than the handler expects.
            return json_of(Error{ErrorCode::invalid_argument, std::string("the request is malformed: ") + wrong.what()});
        }
    }

    const std::string path_;
    const Handler handler_;
    std::unique_ptr<UnixServer> server_;  // last: serves by the others
};

JsonServer::JsonServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JsonServer::~JsonServer() = default;

Result<std::unique_ptr<JsonServer>> JsonServer::start(const std::string& path, Handler handler) {
    UnixListener listener = HF_TRY(UnixListener::open(path, json_connections_max));
    return start(std::move(listener), std::move(handler));
}

Result<std::unique_ptr<JsonServer>> JsonServer::start(UnixListener listener, Handler handler) {
    auto impl = std::make_unique<Impl>(listener.path(), std::move(handler));
    HF_TRY(impl->start(std::move(listener)));
    return std::unique_ptr<JsonServer>(new JsonServer(std::move(impl)));
}

Result<Json> json_call(const std::string& path, const Json& request, const JsonServer::Progress& progress) {
    UniqueFd fd = HF_TRY(connect_unix(path));
    std::string line = line_of(request);
    if (line.size() > json_line_bytes_max)
        return Error{ErrorCode::invalid_argument, "the request is longer than " + human_bytes(json_line_bytes_max)};
    set_timeouts(fd.get(), json_probe_ms, json_silence_ms);
    // A server that is full answers and closes without reading, so a failed write is not yet the last word.
    Status sent = send_all(fd.get(), line);
    LineReader reader(fd.get(), json_answer_bytes_max);
    for (;;) {
        auto answer = await_line(reader, fd.get(), path);
        if (!sent && (!answer || !answer->has_value())) return std::move(sent).error();
        if (!answer && answer.error().sys_errno == ECONNRESET) answer = std::optional<std::string>();
        if (!answer) return std::move(answer).error();
        if (!answer->has_value())
            return Error{ErrorCode::unavailable, "the service at " + quoted(path) + " ended before it answered"};
        Json message = Json::parse(**answer, nullptr, false);
        if (!message.is_object())
            return Error{ErrorCode::corrupt, "the service at " + quoted(path) + " did not answer with a JSON object"};
        if (message.contains("progress")) {
            if (progress) progress(message);
            continue;
        }
        if (auto error = message.find("error"); error != message.end()) return error_of(*error);
        return message;
    }
}

}  // namespace holdfast

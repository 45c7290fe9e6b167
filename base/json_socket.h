// A control socket: one JSON object per line in, one or more JSON objects per line out; the last answer of a
// request has no "progress" member. Unix domain, mode 0600, in a directory that only root may enter.
//
// Server: one thread per connection, at most json_connections_max at once; a handler may be called from several
// threads. A request line is at most json_line_bytes_max, an answer json_answer_bytes_max. A connection that says
// nothing for a minute is closed. Errors travel as {"error": {"code", "message"}}.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/json.h"
#include "base/result.h"
#include "base/unix_socket.h"

namespace holdfast {

inline constexpr size_t json_line_bytes_max = 1 << 20;
inline constexpr size_t json_answer_bytes_max = 64 << 20;
inline constexpr int json_connections_max = 32;
// A service that says nothing for so long is asked on another connection whether it still lives; and has so long to say anything there.
inline constexpr int json_silence_ms = 5'000;
inline constexpr int json_probe_ms = 5'000;

class JsonServer {
public:
    // PROGRESS may be called any number of times, with a "progress" member, before the handler returns its final
    // answer, which has none. An exception of the JSON library (a member is absent or of another type) is answered
    // as invalid_argument.
    using Progress = std::function<void(const Json&)>;
    using Handler = std::function<Result<Json>(const Json& request, const Progress& progress)>;

    // Replaces a stale socket at PATH, makes its directory (0700). Errors: busy when somebody answers there.
    static Result<std::unique_ptr<JsonServer>> start(const std::string& path, Handler handler);
    static Result<std::unique_ptr<JsonServer>> start(UnixListener listener, Handler handler);
    ~JsonServer();  // stops accepting, waits for handlers that run

private:
    class Impl;
    explicit JsonServer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// One request, its answer, however long that takes, as long as the service answers anything at all. Errors: unavailable when nobody listens, with
// sys_errno ETIMEDOUT when the process that does is stopped or hangs, and is named; or the error that the server sent.
Result<Json> json_call(const std::string& path, const Json& request, const JsonServer::Progress& progress = {});

}  // namespace holdfast

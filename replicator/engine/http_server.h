// An HTTP/1.1 server on a Unix domain socket (base/unix_socket.h: mode 0600), for those on this host who may speak to it; or on sockets that
// somebody else has made, for those who have proved elsewhere who they are. It knows HTTP and nothing of what is asked.
//
// Limits (HttpLimits): so many connections at once, and one more is closed without an answer; a connection that is silent is closed; a body
// must have come within its time and is answered 413 when it is longer; a request line with its headers has at most http_head_bytes_max. What is no HTTP is answered by the library (libmicrohttpd), without JSON.
//
// Thread rule: start() and the destructor from one thread; the handler is called by a thread for each connection, and may block.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "base/unix_socket.h"

namespace holdfast::replicator {

inline constexpr size_t http_head_bytes_max = 16 << 10;
// Of a body that is too long so much is taken and dropped, so that its sender hears why; one that goes on beyond is cut off.
inline constexpr size_t http_drained_bytes_max = 1 << 20;

struct HttpLimits {
    unsigned connections = 32;
    size_t body_bytes = 64 << 10;
    unsigned idle_seconds = 10;
    uint64_t body_ns = 30'000'000'000;
};

struct HttpRequest {
    std::string method, path;  // the path without its query, decoded
    std::map<std::string, std::string, std::less<>> query;
    std::string body;
    std::string peer = {};  // who asks from elsewhere; empty: somebody on this host
};

struct HttpAnswer {
    unsigned status = 200;
    std::string type = "application/json";
    std::string body;
    std::string allow = {};  // 405: the methods that there are
};

// STATUS with ERROR as base/json.h writes it.
HttpAnswer http_error(unsigned status, const Error& error);

class HttpServer {
public:
    using Handler = std::function<HttpAnswer(const HttpRequest&)>;

    // Errors: those of UnixListener, io.
    static Result<std::unique_ptr<HttpServer>> start(const std::string& path, Handler handler, const HttpLimits& limits = {});
    static Result<std::unique_ptr<HttpServer>> start(UnixListener listener, Handler handler, const HttpLimits& limits = {});
    // Listens nowhere and serves the sockets that adopt() gives it. Errors: io.
    static Result<std::unique_ptr<HttpServer>> start_adopting(Handler handler, const HttpLimits& limits = {});
    // Any thread. SOCKET leads to PEER, whose name its requests carry. Errors: unavailable: there are too many.
    Status adopt(UniqueFd socket, const std::string& peer);
    // Connections from now on wait for another process that listens at the same socket; those that are there are served.
    void stop_accepting();
    ~HttpServer();  // takes no more, waits for handlers that run, and at most a second until their answers are sent

private:
    class Impl;
    explicit HttpServer(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::replicator

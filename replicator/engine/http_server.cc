#include "replicator/engine/http_server.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <thread>

#include "base/check.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "base/unix_socket.h"

namespace holdfast::replicator {

namespace {

constexpr int answer_ms_max = 1'000, answer_pause_ms = 5;

// What has come of a request; kept by the library from its first call to its last.
struct Incoming {
    HttpRequest request;
    uint64_t began_ns;
    size_t dropped_bytes = 0;
};

MHD_Result keep_argument(void* query, MHD_ValueKind, const char* key, const char* value) {
    (*static_cast<std::map<std::string, std::string, std::less<>>*>(query))[key] = value == nullptr ? "" : value;
    return MHD_YES;
}

MHD_Result send(MHD_Connection* connection, const HttpAnswer& answer) {
    // The library takes the bytes without writing to them, and makes a copy.
    MHD_Response* response = MHD_create_response_from_buffer(answer.body.size(), const_cast<char*>(answer.body.data()), MHD_RESPMEM_MUST_COPY);
    if (response == nullptr) return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer.type.c_str());
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (!answer.allow.empty()) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer.allow.c_str());
    const MHD_Result queued = MHD_queue_response(connection, answer.status, response);
    MHD_destroy_response(response);
    return queued;
}

uint64_t announced_bytes(MHD_Connection* connection) {
    const char* text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text == nullptr ? 0 : std::strtoull(text, nullptr, 10);
}

}  // namespace

HttpAnswer http_error(unsigned status, const Error& error) {
    return {.status = status, .body = line_of(json_of(error))};
}

class HttpServer::Impl {
public:
    Impl(std::optional<UnixListener> listener, Handler handler, const HttpLimits& limits) : listener_(std::move(listener)), handler_(std::move(handler)), limits_(limits) {}
    ~Impl() {
        if (daemon_ == nullptr) return;
        stop_accepting();
        // The library breaks off what is under way.
        for (int waited_ms = 0; under_way_ > 0 && waited_ms < answer_ms_max; waited_ms += answer_pause_ms) std::this_thread::sleep_for(std::chrono::milliseconds(answer_pause_ms));
        MHD_stop_daemon(daemon_);
    }

    void stop_accepting() {
        if (listener_ && !quiet_) quiet_.reset(MHD_quiesce_daemon(daemon_));
    }

    Status start() {
        // The library closes the socket that it is given; the path belongs to the listener.
        UniqueFd socket;
        if (listener_) {
            socket.reset(::fcntl(listener_->fd(), F_DUPFD_CLOEXEC, 0));
            if (!socket) return errno_error(errno, "duplicate a socket");
        }
        const unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC | (listener_ ? 0U : static_cast<unsigned>(MHD_USE_NO_LISTEN_SOCKET));
        // The library refuses any descriptor here from one who says that there is none.
        const MHD_OptionItem listening[] = {{listener_ ? MHD_OPTION_LISTEN_SOCKET : MHD_OPTION_END, socket.get(), nullptr}, {MHD_OPTION_END, 0, nullptr}};
        // poll, because an engine with many edges has descriptors that select cannot name.
        daemon_ = MHD_start_daemon(flags, 0, nullptr, nullptr, &Impl::called, this, MHD_OPTION_ARRAY, listening, MHD_OPTION_CONNECTION_LIMIT, limits_.connections, MHD_OPTION_CONNECTION_TIMEOUT,
                                   limits_.idle_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, http_head_bytes_max, MHD_OPTION_NOTIFY_COMPLETED, &Impl::completed,
                                   this, MHD_OPTION_END);
        if (daemon_ == nullptr) return Error{ErrorCode::io, "the HTTP server" + (listener_ ? " at " + quoted(listener_->path()) : std::string(" for peers")) + " cannot be started"};
        (void)socket.release();
        return ok();
    }

    // The name travels as the address that the library keeps of a connection.
    Status adopt(UniqueFd socket, const std::string& peer) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        HF_CHECK(!listener_ && !peer.empty() && peer.size() < sizeof address.sun_path);
        memcpy(address.sun_path, peer.data(), peer.size());
        // It closes the socket in any case.
        if (MHD_add_connection(daemon_, socket.release(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != MHD_YES)
            return Error{ErrorCode::unavailable, "too many ask at once"};
        return ok();
    }

private:
    std::string peer_of(MHD_Connection* connection) const {
        if (listener_) return {};
        const auto* info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        return reinterpret_cast<const sockaddr_un*>(info->client_addr)->sun_path;
    }
    static MHD_Result called(void* self, MHD_Connection* connection, const char* path, const char* method, const char*, const char* bytes, size_t* size, void** kept) {
        return static_cast<Impl*>(self)->called(connection, path, method, {bytes, *size}, size, kept);
    }
    static void completed(void* self, MHD_Connection*, void** kept, MHD_RequestTerminationCode) {
        if (*kept != nullptr) --static_cast<Impl*>(self)->under_way_;
        delete static_cast<Incoming*>(*kept);
        *kept = nullptr;
    }

    // Once when the headers are there, then for each piece of the body, and once more when all is there. MHD_NO closes the connection.
    MHD_Result called(MHD_Connection* connection, const char* path, const char* method, std::string_view bytes, size_t* size, void** kept) {
        auto* incoming = static_cast<Incoming*>(*kept);
        const uint64_t now_ns = system_clock().monotonic_ns();
        if (incoming == nullptr) {
            ++under_way_;
            *kept = incoming = new Incoming{{method, path, {}, {}, peer_of(connection)}, now_ns};
            MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, &keep_argument, &incoming->request.query);
            // An answer now closes the connection, and who is still sending may not come to read it.
            return announced_bytes(connection) > limits_.body_bytes + http_drained_bytes_max ? send(connection, too_long()) : MHD_YES;
        }
        if (*size == 0) return answer(connection, *incoming);
        std::string& body = incoming->request.body;
        if (body.size() + bytes.size() <= limits_.body_bytes && incoming->dropped_bytes == 0) body += bytes;
        else incoming->dropped_bytes += bytes.size();
        *size = 0;
        return now_ns - incoming->began_ns <= limits_.body_ns && incoming->dropped_bytes <= http_drained_bytes_max ? MHD_YES : MHD_NO;
    }

    MHD_Result answer(MHD_Connection* connection, const Incoming& incoming) {
        if (incoming.dropped_bytes > 0) return send(connection, too_long());
        // The time that a handler takes is no silence of the peer's, and the library would count it as that.
        MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
        const HttpAnswer answer = handler_(incoming.request);
        MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, limits_.idle_seconds);
        return send(connection, answer);
    }

    HttpAnswer too_long() const {
        return http_error(MHD_HTTP_CONTENT_TOO_LARGE, {ErrorCode::invalid_argument, "a request's body has at most " + human_bytes(limits_.body_bytes)});
    }

    const std::optional<UnixListener> listener_;  // none: sockets are adopted
    const Handler handler_;
    const HttpLimits limits_;
    MHD_Daemon* daemon_ = nullptr;
    UniqueFd quiet_;  // the socket at which nobody is accepted any more; the library may look at it until its end
    std::atomic<int> under_way_ = 0;  // requests
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::start(const std::string& path, Handler handler, const HttpLimits& limits) {
    // Callers that do not wait for their connection find no room in a short queue when several come at once.
    UnixListener listener = HF_TRY(UnixListener::open(path, SOMAXCONN));
    return start(std::move(listener), std::move(handler), limits);
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(UnixListener listener, Handler handler, const HttpLimits& limits) {
    auto impl = std::make_unique<Impl>(std::move(listener), std::move(handler), limits);
    HF_TRY(impl->start());
    return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

Result<std::unique_ptr<HttpServer>> HttpServer::start_adopting(Handler handler, const HttpLimits& limits) {
    auto impl = std::make_unique<Impl>(std::nullopt, std::move(handler), limits);
    HF_TRY(impl->start());
    return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

void HttpServer::stop_accepting() {
    impl_->stop_accepting();
}

Status HttpServer::adopt(UniqueFd socket, const std::string& peer) {
    return impl_->adopt(std::move(socket), peer);
}

}  // namespace holdfast::replicator

// The way to a volume's services: the capture worker (only while the directory is mounted) and the store service
// (while it is mounted, or started here for as long as this object lives, so that history can be read at any time).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/json_socket.h"
#include "base/result.h"
#include "journal/volume.h"
#include "tools/cli/programs.h"

namespace holdfast::cli {

// A store with much to recover opens slowly; while its process lives we wait this long for its socket.
inline constexpr int service_start_timeout_ms = 120'000;
// The supervisor starts a dead service again within seconds; opening its store may take as long as above.
inline constexpr int supervised_start_timeout_ms = 30'000;

class StoreService {
public:
    enum class Start {
        never,      // error unavailable when the service does not run
        transient,  // started when it does not run, and stopped with this object
        detached,   // started when it does not run, and left running
    };
    static Result<StoreService> connect(const journal::Volume& volume, Start start);

    Result<Json> call(const Json& request, const JsonServer::Progress& progress = {}) const;
    bool was_started_here() const { return started_here_; }

private:
    explicit StoreService(std::string socket) : socket_(std::move(socket)) {}
    Result<StoreService> wait_for_supervised(const journal::Volume& volume);
    std::string socket_;
    bool started_here_ = false;
    std::unique_ptr<Child> child_;
};

// The address behind everything that applications have been told is done. Nothing: the directory is not mounted.
Result<std::optional<uint64_t>> published_end(const journal::Volume& volume);

// {"verb": "sync"} and the like. Errors: unavailable with a sentence when the directory is not mounted.
Result<Json> capture_call(const journal::Volume& volume, const Json& request);

// A moment as the store service understands it. AT as the person wrote it, through name_to_text.
struct Moment {
    uint64_t lsn = 0;
    uint64_t time_ns = 0;
};
Result<Moment> resolve_moment(const StoreService& service, const std::string& at);
// Waits until the service has applied everything that is published. BEHIND hears how many bytes are still to come, of
// how many at the start. Errors: unavailable after TIMEOUT_MS, or when the store has failed.
using BehindSink = std::function<void(uint64_t behind, uint64_t at_start)>;
Result<uint64_t> wait_applied(const journal::Volume& volume, const StoreService& service, uint64_t timeout_ms, const BehindSink& behind = {});

// "lsn:123"
std::string lsn_text(uint64_t lsn);

}  // namespace holdfast::cli

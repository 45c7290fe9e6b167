// The store service of one volume: `holdfast-store run STORE`. Wires the follower, the catalog of bookmarks, the mounts
// of the past and the control socket, and ends them in order.
//
// A supervised service (--until-eof) belongs to the mounted volume. Any other was started by a command that wants to
// look into the past of a volume that is not mounted; it makes way for a supervised one (verb `stop`), and ends
// by itself when nobody has asked it anything for a while and no past is mounted.
//
// Thread rule: run() from the main thread, with SIGTERM, SIGINT and SIGHUP blocked in all threads; the accessors from
// any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "base/clock.h"
#include "base/json_socket.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "journal/volume.h"
#include "rewind/bookmarks.h"
#include "rewind/past/past_source.h"
#include "rewind/service/follower.h"
#include "rewind/service/moments.h"
#include "rewind/service/outside.h"
#include "rewind/service/past_mounts.h"
#include "rewind/service/sync_server.h"

namespace holdfast::rewind {

inline constexpr uint64_t unasked_ns_max = 600'000'000'000;
inline constexpr uint64_t takeover_wait_ms = 30'000;

class Service final : public PastSource {
public:
    struct Options {
        int until_eof_fd = -1;  // ends at its end of file; the service takes it over
        uint64_t delay_ns = 0;  // nothing is applied before it is so old
        std::string standby_refused;  // why the directory that was asked for is no standby directory
        bool is_supervised() const { return until_eof_fd >= 0; }
    };
    // OUTSIDE: by default this process reaches there itself. Errors: busy (another process has the store and does not make way), io.
    static Result<std::unique_ptr<Service>> start(const journal::Volume& volume, const Clock& clock,
                                                  const Options& options, std::unique_ptr<Outside> outside = nullptr);
    ~Service() override;

    // Until told to end; then applies what is left, and returns the error that kept it from that.
    Status run();

    Result<StoreLoan> borrow() const override { return follower_.borrow(); }
    Result<Moment> resolve(std::string_view text) const override { return moments_.resolve(text); }
    std::vector<BookmarkEntry> offered_bookmarks() const override;
    pid_t process_of(pid_t thread) const override { return outside_->process_of(thread); }

    const journal::Volume& volume() const { return volume_; }
    Follower& follower() { return follower_; }
    Bookmarks& bookmarks() { return *bookmarks_; }
    PastMounts& past_mounts() { return past_mounts_; }
    Outside& outside() { return *outside_; }
    bool is_supervised() const { return options_.is_supervised(); }
    const std::string& standby_refused() const { return options_.standby_refused; }
    bool applies_late() const { return options_.delay_ns > 0; }
    // True when long work should end soon.
    bool is_ending() const { return ending_; }
    void ask_to_end();
    // Held by the one rewind that may run.
    std::unique_lock<std::mutex> claim_rewind() { return std::unique_lock(rewinding_, std::try_to_lock); }

private:
    Service(const journal::Volume& volume, const Clock& clock, const Options& options, std::unique_ptr<Disk> store_disk,
            std::unique_ptr<Bookmarks> bookmarks, std::unique_ptr<Outside> outside);
    Status open();
    Result<Json> answer(const Json& request, const JsonServer::Progress& progress);
    void wait_for_end();
    Status finish();
    bool nobody_asks() const;
    // How to reach the capture worker of the mount that the service belongs to; empty: there is none.
    GapHealer::Connect healing() const;

    const journal::Volume volume_;
    const Clock& clock_;
    const Options options_;
    const std::unique_ptr<Outside> outside_;
    std::unique_ptr<Disk> store_disk_;
    std::unique_ptr<Bookmarks> bookmarks_;
    Follower follower_;
    Moments moments_;
    PastMounts past_mounts_;
    UniqueFd until_eof_;
    UniqueFd signals_;
    UniqueFd end_;  // eventfd: ask_to_end()
    std::mutex rewinding_;
    std::atomic<bool> ending_{false};
    std::atomic<int> requests_{0};
    std::atomic<uint64_t> last_request_ns_{0};
    std::unique_ptr<JsonServer> server_;
    std::unique_ptr<UnixServer> sync_server_;
};

}  // namespace holdfast::rewind

// The keeper: descriptors that must outlive the capture worker.
//
// A file that lost its last name lives only as long as somebody has it open. When the worker dies, its descriptors
// die with it, and an application that still uses such a file would lose it. So before a last name goes, the worker
// hands a descriptor to the supervisor (SCM_RIGHTS over a socketpair), and its successor fetches it from there.
//
// The same socket carries one message that is not about descriptors: READY, when the worker begins to serve.
//
// KeeperClient: any thread; one request at a time. KeeperStore: the supervisor's one thread, never blocks.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "fusefs/filter.h"

namespace holdfast::fusefs {

inline constexpr size_t kept_descriptors_max = 65536;  // beyond: keep() fails with no_space and the caller goes on without
inline constexpr unsigned keeper_answer_seconds_max = 10;

// Connected message sockets: the first for the store, the second for the client. Both close on exec.
Result<std::pair<UniqueFd, UniqueFd>> keeper_socketpair();

class KeeperClient final : public OrphanKeeper {
public:
    explicit KeeperClient(UniqueFd socket);

    // Errors: unavailable (the supervisor is gone), no_space.
    Status keep(uint64_t inode, int fd) override;
    void release(uint64_t inode) override;
    // Errors: not_found, unavailable.
    Result<UniqueFd> fetch(uint64_t inode) override;
    // What a predecessor left. Empty when the supervisor is gone.
    std::vector<uint64_t> kept() override;
    Status announce_ready();

    // Becomes readable for end of file when the supervisor dies.
    int socket_fd() const { return socket_.get(); }

private:
    struct Answer;
    Result<Answer> call(uint32_t verb, uint64_t inode, int fd);

    Mutex mutex_;  // one request and its answer at a time
    const UniqueFd socket_;
    bool lost_ HF_GUARDED_BY(mutex_) = false;
};

class KeeperStore {
public:
    enum class Event {
        served,     // a request about a descriptor
        ready,      // the worker says that it serves
        closed,     // no worker at the other end
        nothing,    // nothing waits
    };
    // Takes one message from SOCKET and answers it.
    Event handle(int socket);

    size_t count() const { return kept_.size(); }
    void clear() { kept_.clear(); }

private:
    uint32_t carry_out(uint32_t verb, uint64_t& inode, UniqueFd fd, int& answer_fd);

    // The descriptor pins its inode, so a number here cannot come to mean another file. Ordered, for kept().
    std::map<uint64_t, UniqueFd> kept_;
};

}  // namespace holdfast::fusefs

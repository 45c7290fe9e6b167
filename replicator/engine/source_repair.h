// The source's side of a repair: takes a moment from the store service, keeps the journal from there on, and passes on what the two stores say.
//
// A replica that may have everything needs a moment that is new: between what it has and the same there is no place for what is repaired. Then a bookmark is made for it.
//
// A moment whose segment the journal has just forgotten is given up for a new one, repair_moments_max times. Ends with the object.
//
// Thread rule: the loop's thread. Ownership: loop, work and journal outlive it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "replicator/engine/source_journal.h"
#include "replicator/engine/sync_link.h"
#include "replicator/engine/work.h"

namespace holdfast::replicator {

inline constexpr int repair_moments_max = 3;

class SourceRepair {
public:
    struct Events {
        std::function<void(const SourceJournal::RepairOffer&)> offered;  // once, first
        std::function<void(std::vector<std::byte>)> answer;              // from the store
        std::function<uint64_t()> wait_ns;                               // as SyncLink's
        std::function<void(const Error&)> failed;                        // once, last
    };

    // SOCKET is the store service's sync socket.
    SourceRepair(Loop& loop, Work& work, std::shared_ptr<SourceJournal> journal, std::string socket, bool needs_new_moment, Events events);
    ~SourceRepair();
    SourceRepair(const SourceRepair&) = delete;
    SourceRepair& operator=(const SourceRepair&) = delete;

    void ask(ByteSpan question) { link_->give(question); }
    uint64_t moved_bytes() const { return link_ ? link_->moved_bytes() : 0; }

private:
    void begin();
    void open(const Json& request);
    void take_moment(const Json& told);
    void offer(const Result<SourceJournal::RepairOffer>& offer);
    void fail(const Error& why);

    Loop& loop_;
    Work& work_;
    const std::shared_ptr<SourceJournal> journal_;
    const std::string socket_;
    const bool needs_new_moment_;
    const Events events_;
    const std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
    int moments_ = 0;
    std::shared_ptr<SyncLink> link_;  // null until it is known which moment is asked for
};

}  // namespace holdfast::replicator

// What the mount of the past needs from whoever has the store open.
//
// The store can be away for a while (it is closed and opened again after a failure), so it is borrowed for the length
// of one answer: as long as a loan lives the store stays open.
// Thread rule: all methods from any thread.
#pragma once

#include <shared_mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "rewind/bookmarks.h"
#include "rewind/moment.h"
#include "rewind/past/moment_pins.h"
#include "rewind/store.h"

namespace holdfast::rewind {

class StoreLoan {
public:
    StoreLoan(std::shared_lock<std::shared_timed_mutex> open, const Store& store)
        : open_(std::move(open)), store_(&store) {}
    const Store& operator*() const { return *store_; }
    const Store* operator->() const { return store_; }

private:
    std::shared_lock<std::shared_timed_mutex> open_;
    const Store* store_;
};

class PastSource {
public:
    virtual ~PastSource() = default;

    // Errors: unavailable with the sentence that says why there is no store now.
    virtual Result<StoreLoan> borrow() const = 0;
    // A moment as a person writes it. May wait a bounded time for the store to take in what is published.
    virtual Result<Moment> resolve(std::string_view text) const = 0;
    // The bookmarks that can be looked at now, oldest first.
    virtual std::vector<BookmarkEntry> offered_bookmarks() const = 0;
    // Of a thread that looks at a relative moment.
    virtual pid_t process_of(pid_t thread) const { return rewind::process_of(thread); }
};

}  // namespace holdfast::rewind

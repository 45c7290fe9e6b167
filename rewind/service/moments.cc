#include "rewind/service/moments.h"

#include <algorithm>

namespace holdfast::rewind {

// Returns when everything that decides about TEXT is applied.
Status Moments::wait_for(const MomentText& text) const {
    const Lsn published = follower_.published();
    if (std::holds_alternative<NowMoment>(text)) return follower_.reach(published, resolve_wait_ms);
    if (const auto* lsn = std::get_if<LsnMoment>(&text))
        return follower_.reach(std::min(lsn->lsn, published), resolve_wait_ms);
    if (const auto* named = std::get_if<NamedMoment>(&text)) {
        if (bookmarks_.find(named->name)) return ok();
        return follower_.reach(published, resolve_wait_ms);
    }
    uint64_t wanted_ns = clock_.realtime_ns();
    if (const auto* time = std::get_if<TimeMoment>(&text)) wanted_ns = time->time_ns;
    if (const auto* age = std::get_if<AgeMoment>(&text)) wanted_ns -= std::min(wanted_ns, age->age_ns);
    {
        const StoreLoan store = HF_TRY(follower_.borrow());
        const auto newest_ns = HF_TRY(store->index().time_at_lsn(store->applied()));
        if (newest_ns && *newest_ns > wanted_ns) return ok();
    }
    return follower_.reach(published, resolve_wait_ms);
}

Result<Moment> Moments::resolve(std::string_view text) const {
    MomentText parsed = parse_moment(text);
    HF_TRY(wait_for(parsed));
    const StoreLoan store = HF_TRY(follower_.borrow());
    Timeline timeline;
    timeline.now_ns = clock_.realtime_ns();
    timeline.applied = store->applied();
    timeline.window_begin = store->window_begin();
    timeline.lsn_at_time = [&](uint64_t time_ns) { return store->index().lsn_at_time(time_ns); };
    timeline.time_at_lsn = [&](Lsn lsn) { return store->index().time_at_lsn(lsn); };
    timeline.check_moment = [&](Lsn lsn) { return store->check_moment(lsn); };
    // All names only when the one that was asked for is not there and others have to be suggested.
    if (const auto* named = std::get_if<NamedMoment>(&parsed)) {
        if (auto bookmark = bookmarks_.find(named->name))
            timeline.bookmarks.push_back(std::move(*bookmark));
        else
            timeline.bookmarks = bookmarks_.list();
    }
    return resolve_moment(text, timeline);
}

}  // namespace holdfast::rewind

// Moments as people write them: a bookmark's name, an ISO 8601 time, an age ("10m", "-10m"), an address ("lsn:123"
// or digits), "now"; a leading @ is allowed, because that is how past mounts spell them.
//
// Reading the text and finding the moment are apart: the first is a pure function of the text, the second of the
// text and of a Timeline, which says what the store knows.
// Thread rule: pure functions.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "rewind/bookmarks.h"

namespace holdfast::rewind {

struct NowMoment {};
struct LsnMoment { Lsn lsn; };
struct TimeMoment { uint64_t time_ns; };
struct AgeMoment { uint64_t age_ns; };
struct NamedMoment { std::string name; };
using MomentText = std::variant<NowMoment, LsnMoment, TimeMoment, AgeMoment, NamedMoment>;

// Never fails: what is nothing else is a name. A bookmark's name cannot be anything else (journal/bookmark_name.h).
MomentText parse_moment(std::string_view text);
// True when the same text means another moment later on.
bool is_relative(const MomentText& text);

struct Moment {
    Lsn lsn = 0;
    uint64_t time_ns = 0;
};

struct Timeline {
    uint64_t now_ns = 0;
    Lsn applied = 0;            // the newest moment
    Lsn window_begin = 0;       // the oldest moment
    std::vector<BookmarkEntry> bookmarks;
    std::function<Result<std::optional<Lsn>>(uint64_t time_ns)> lsn_at_time;  // Index::lsn_at_time
    std::function<Result<std::optional<uint64_t>>(Lsn)> time_at_lsn;          // Index::time_at_lsn
    std::function<Status(Lsn)> check_moment;                                  // Store::check_moment
};

// Errors: not_found (before the window, or an unknown name, with the nearest ones), invalid_argument (in the future),
// gap; each a sentence that says what to do.
Result<Moment> resolve_moment(std::string_view text, const Timeline& timeline);

// At most COUNT of NAMES that a person may have meant by NAME, best first.
std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& names, size_t count);

}  // namespace holdfast::rewind

#include "rewind/moment.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace holdfast::rewind {

namespace {

constexpr size_t suggestions_max = 3;
// Clocks of the writer and of whoever asks may be read a moment apart.
constexpr uint64_t future_tolerance_ns = 2'000'000'000;

std::optional<Lsn> parse_lsn(std::string_view text) {
    if (text.starts_with("lsn:")) text.remove_prefix(4);
    Lsn lsn = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), lsn);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return lsn;
}

size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t substitution = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitution});
        }
    }
    return row[b.size()];
}

Error unknown_name(std::string_view name, const std::vector<BookmarkEntry>& bookmarks) {
    std::vector<std::string> names;
    for (const BookmarkEntry& bookmark : bookmarks) names.push_back(bookmark.name);
    std::string sentence = "there is no bookmark " + quoted(name);
    const auto near = nearest_names(name, names, suggestions_max);
    for (size_t i = 0; i < near.size(); ++i) sentence += (i == 0 ? "; did you mean " : " or ") + quoted(near[i]);
    if (!near.empty()) sentence += "?";
    if (near.empty())
        sentence += ", and it is no time (2026-03-01T14:03:20), age (10m), address (lsn:123) or \"now\" either";
    return {ErrorCode::not_found, sentence};
}

class Resolver {
public:
    explicit Resolver(const Timeline& timeline) : timeline_(timeline) {}

    Result<Moment> operator()(const NowMoment&) const { return checked(timeline_.applied); }

    Result<Moment> operator()(const LsnMoment& text) const {
        if (text.lsn > timeline_.applied)
            return Error{ErrorCode::invalid_argument, "lsn " + std::to_string(text.lsn) +
                                                          " lies in the future; the newest moment is lsn " +
                                                          std::to_string(timeline_.applied)};
        return checked(text.lsn);
    }

    Result<Moment> operator()(const TimeMoment& text) const {
        if (text.time_ns > timeline_.now_ns + future_tolerance_ns)
            return Error{ErrorCode::invalid_argument,
                         iso8601_utc(text.time_ns) + " lies in the future; now it is " + iso8601_utc(timeline_.now_ns)};
        const auto lsn = HF_TRY(timeline_.lsn_at_time(text.time_ns));
        if (!lsn || *lsn < timeline_.window_begin) return before_window(iso8601_utc(text.time_ns));
        Moment moment = HF_TRY(checked(*lsn));
        moment.time_ns = text.time_ns;
        return moment;
    }

    Result<Moment> operator()(const AgeMoment& text) const {
        if (text.age_ns > timeline_.now_ns) return before_window("that age");
        return (*this)(TimeMoment{timeline_.now_ns - text.age_ns});
    }

    Result<Moment> operator()(const NamedMoment& text) const {
        for (const BookmarkEntry& bookmark : timeline_.bookmarks) {
            if (bookmark.name != text.name) continue;
            const Status status = timeline_.check_moment(bookmark.lsn);
            if (!status) return Error(status.error()).within("bookmark " + quoted(text.name));
            return Moment{bookmark.lsn, bookmark.time_ns};
        }
        return unknown_name(text.name, timeline_.bookmarks);
    }

private:
    Result<Moment> checked(Lsn lsn) const {
        HF_TRY(timeline_.check_moment(lsn));
        const auto time = HF_TRY(timeline_.time_at_lsn(lsn));
        return Moment{lsn, time.value_or(timeline_.now_ns)};
    }

    Error before_window(const std::string& what) const {
        std::string sentence = what + " lies before the window of history";
        if (const auto begin = timeline_.time_at_lsn(timeline_.window_begin); begin && *begin)
            sentence += ", which begins at " + iso8601_utc(**begin);
        return {ErrorCode::not_found, sentence + "; choose a later moment"};
    }

    const Timeline& timeline_;
};

}  // namespace

MomentText parse_moment(std::string_view text) {
    if (text.starts_with('@')) text.remove_prefix(1);
    if (text == "now") return NowMoment{};
    if (const auto lsn = parse_lsn(text)) return LsnMoment{*lsn};
    const std::string_view age = text.starts_with('-') ? text.substr(1) : text;
    if (auto age_ns = parse_duration_ns(age)) return AgeMoment{*age_ns};
    if (auto time_ns = parse_iso8601_ns(text)) return TimeMoment{*time_ns};
    return NamedMoment{std::string(text)};
}

bool is_relative(const MomentText& text) {
    return std::holds_alternative<NowMoment>(text) || std::holds_alternative<AgeMoment>(text);
}

Result<Moment> resolve_moment(std::string_view text, const Timeline& timeline) {
    if (text.empty() || text == "@")
        return Error{ErrorCode::invalid_argument, "a moment is needed: a bookmark, a time, an age, an lsn or \"now\""};
    return std::visit(Resolver(timeline), parse_moment(text));
}

std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& names, size_t count) {
    std::vector<std::pair<size_t, std::string>> ranked;
    const size_t distance_max = std::max<size_t>(2, name.size() / 3);
    for (const std::string& candidate : names) {
        const size_t distance = edit_distance(name, candidate);
        if (distance <= distance_max || candidate.starts_with(name)) ranked.emplace_back(distance, candidate);
    }
    std::sort(ranked.begin(), ranked.end());
    std::vector<std::string> nearest;
    for (size_t i = 0; i < ranked.size() && i < count; ++i) nearest.push_back(ranked[i].second);
    return nearest;
}

}  // namespace holdfast::rewind

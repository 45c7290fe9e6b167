#include "rewind/chains.h"

#include "base/json.h"
#include "base/small_file.h"

namespace holdfast::rewind {
namespace {

constexpr std::string_view chains_file = "chains";
constexpr size_t point_bytes_max = 80;
constexpr size_t file_bytes_max = chains_max * point_bytes_max;

Result<std::deque<ChainPoint>> parse(const std::string& text) {
    const Error damaged{ErrorCode::corrupt, "no list of hash chains"};
    const Json json = Json::parse(text, nullptr, false);
    std::deque<ChainPoint> points;
    if (!json.is_array() || json.size() > chains_max) return damaged;
    for (const Json& point : json) {
        if (!point.is_array() || point.size() != 2 || !point[0].is_number_unsigned() || !point[1].is_string()) return damaged;
        const auto chain = HF_TRY(journal::parse_chain(point[1].get<std::string>()));
        points.push_back({point[0].get<journal::Lsn>(), chain});
        if (points.size() > 1 && points[points.size() - 2].lsn >= points.back().lsn) return damaged;
    }
    return points;
}

std::string to_text(const std::deque<ChainPoint>& points) {
    Json json = Json::array();
    for (const ChainPoint& point : points) json.push_back({point.lsn, journal::to_text(point.chain)});
    return json.dump() + "\n";
}

}  // namespace

Result<bool> Chains::load(Disk& store) {
    auto text = read_small_file(store, chains_file, file_bytes_max);
    if (!text && text.error().code != ErrorCode::not_found && text.error().code != ErrorCode::corrupt) return std::move(text).error();
    auto points = text ? parse(*text) : Result<std::deque<ChainPoint>>(text.error());
    const MutexLock lock(mutex_);
    points_ = points ? std::move(*points) : std::deque<ChainPoint>();
    is_saved_ = true;
    return points || points.error().code == ErrorCode::not_found;
}

void Chains::add(const ChainPoint& point) {
    const MutexLock lock(mutex_);
    while (!points_.empty() && points_.back().lsn >= point.lsn) points_.pop_back();
    points_.push_back(point);
    if (points_.size() > chains_max) points_.pop_front();
    is_saved_ = false;
}

Status Chains::cut(Disk& store, journal::Lsn at) {
    {
        const MutexLock lock(mutex_);
        while (!points_.empty() && points_.back().lsn > at) {
            points_.pop_back();
            is_saved_ = false;
        }
    }
    return save(store, 0);
}

Status Chains::save(Disk& store, journal::Lsn window_begin) {
    std::string text;
    {
        const MutexLock lock(mutex_);
        while (!points_.empty() && points_.front().lsn < window_begin) {
            points_.pop_front();
            is_saved_ = false;
        }
        if (is_saved_) return ok();
        text = to_text(points_);
    }
    HF_TRY(replace_small_file(store, chains_file, text));
    const MutexLock lock(mutex_);
    is_saved_ = true;
    return ok();
}

std::vector<ChainPoint> Chains::points() const {
    const MutexLock lock(mutex_);
    return {points_.begin(), points_.end()};
}

}  // namespace holdfast::rewind

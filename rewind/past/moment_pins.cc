#include "rewind/past/moment_pins.h"

#include <algorithm>
#include <charconv>
#include <fstream>

namespace holdfast::rewind {

namespace {

bool is_idle(const PastMoment& moment, uint64_t now_ns) {
    const uint64_t used_ns = moment.last_used_ns.load(std::memory_order_relaxed);
    return now_ns > used_ns && now_ns - used_ns > pin_idle_ns;
}

}  // namespace

std::shared_ptr<PastMoment> MomentPins::find(const std::string& text, pid_t process, uint64_t now_ns) {
    MutexLock lock(mutex_);
    const auto pin = pins_.find({text, process});
    if (pin == pins_.end()) return nullptr;
    if (is_idle(*pin->second, now_ns)) {
        pins_.erase(pin);
        return nullptr;
    }
    return pin->second;
}

void MomentPins::pin(pid_t process, std::shared_ptr<PastMoment> moment, uint64_t now_ns) {
    MutexLock lock(mutex_);
    moment->last_used_ns = now_ns;
    std::string text = moment->text;
    pins_.insert_or_assign({std::move(text), process}, std::move(moment));
    if (pins_.size() > pins_max) make_room_locked(now_ns);
}

void MomentPins::make_room_locked(uint64_t now_ns) {
    std::erase_if(pins_, [&](const auto& pin) { return is_idle(*pin.second, now_ns); });
    while (pins_.size() > pins_max) {
        pins_.erase(std::min_element(pins_.begin(), pins_.end(), [](const auto& a, const auto& b) {
            return a.second->last_used_ns.load() < b.second->last_used_ns.load();
        }));
    }
}

pid_t process_of(pid_t thread) {
    std::ifstream status("/proc/" + std::to_string(thread) + "/status");
    for (std::string line; std::getline(status, line);) {
        constexpr std::string_view key = "Tgid:\t";
        if (!line.starts_with(key)) continue;
        pid_t process = 0;
        const auto [end, error] = std::from_chars(line.data() + key.size(), line.data() + line.size(), process);
        return error == std::errc() ? process : thread;
    }
    return thread;
}

}  // namespace holdfast::rewind

#include "replicator/notify/notifier.h"

#include "base/log.h"

namespace holdfast::replicator {

Json to_json(const Notice& notice) {
    Json json = to_json(notice.event);
    if (notice.left_out > 0) json["left_out"] = notice.left_out;
    return json;
}

Notifier::Notifier(Severity least, Deliver deliver) : least_(least), deliver_(std::move(deliver)), thread_([this] { run(); }) {}

Notifier::~Notifier() {
    end_soon();
    thread_.join();
}

void Notifier::end_soon() {
    MutexLock lock(mutex_);
    if (!ends_ns_) ends_ns_ = system_clock().monotonic_ns() + drain_ns_max;
    changed_.notify_all();
}

void Notifier::offer(const Event& event) {
    if (event.severity < least_) return;
    MutexLock lock(mutex_);
    if (waiting_.size() == notices_max) {
        waiting_.pop_front();
        ++left_out_;
        ++status_.left_out;
    }
    waiting_.push_back(event);
    changed_.notify_all();
}

NotifierStatus Notifier::status() const {
    MutexLock lock(mutex_);
    return status_;
}

std::optional<Notice> Notifier::next() {
    MutexLock lock(mutex_);
    while (waiting_.empty() && !ends_ns_) changed_.wait(mutex_);
    if (waiting_.empty() || (ends_ns_ && system_clock().monotonic_ns() >= *ends_ns_)) return std::nullopt;
    Notice notice{std::move(waiting_.front()), std::exchange(left_out_, 0)};
    waiting_.pop_front();
    return notice;
}

void Notifier::run() {
    while (const auto notice = next()) {
        const Status delivered = deliver_(*notice);
        if (!delivered) log_warning(to_string(notice->event.code) + " could not be told: " + delivered.error().message + ".");
        MutexLock lock(mutex_);
        ++(delivered ? status_.delivered : status_.failed);
        status_.why = delivered ? "" : delivered.error().message;
    }
}

}  // namespace holdfast::replicator

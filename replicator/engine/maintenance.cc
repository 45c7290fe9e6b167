#include "replicator/engine/maintenance.h"

#include "base/small_file.h"
#include "base/text.h"
#include "replicator/trust/private_file.h"

namespace holdfast::replicator {

namespace {

constexpr std::string_view maintenance_file = "maintenance";
constexpr size_t maintenance_file_bytes_max = 64;

std::string joined(const std::vector<std::string>& sentences) {
    std::string all;
    for (const std::string& sentence : sentences) all += (all.empty() ? "" : "; ") + sentence;
    return all;
}

}  // namespace

Result<std::unique_ptr<Maintenance>> Maintenance::open(Host& host, const std::string& directory, Callbacks callbacks) {
    auto disk = HF_TRY(open_private_directory(directory));
    std::unique_ptr<Maintenance> maintenance(new Maintenance(host, std::move(disk), std::move(callbacks)));
    const auto remembered = read_private_file(*maintenance->disk_, maintenance_file, maintenance_file_bytes_max);
    if (!remembered && remembered.error().code != ErrorCode::not_found) return remembered.error();
    if (!remembered) return maintenance;
    maintenance->state_ = State::prepared;
    host.is_in_maintenance = true;
    return maintenance;
}

Maintenance::~Maintenance() {
    host_.loop.cancel(look_);
}

Status Maintenance::prepare(uint64_t timeout_ns) {
    if (state_ == State::prepared) return Error{ErrorCode::exists, "this host is in maintenance already; `holdfast maintenance done` ends it"};
    if (state_ != State::none) return Error{ErrorCode::exists, "maintenance is being prepared already"};
    why_.clear();
    until_ns_ = host_.loop.now_ns() + timeout_ns;
    state_ = State::draining;
    callbacks_.begin_draining();
    look();
    return ok();
}

void Maintenance::look() {
    const auto waiting = behind();
    if (waiting.empty() && state_ == State::settling) return settle();
    if (waiting.empty()) {
        state_ = State::settling;
        rest(true);
    } else if (host_.loop.now_ns() >= until_ns_) {
        return give_up("the time is up, and " + joined(waiting));
    }
    look_ = host_.loop.after(maintenance_look_ns, [this] { look(); });
}

void Maintenance::settle() {
    const std::string since = std::to_string(host_.clock.realtime_ns()) + "\n";
    if (Status kept = replace_small_file(*disk_, maintenance_file, since); !kept) return give_up(kept.error().message);
    state_ = State::prepared;
    host_.events->raise(EventCode::maintenance_prepared);
}

void Maintenance::give_up(const std::string& why) {
    why_ = why;
    state_ = State::none;
    rest(false);
    host_.events->raise(EventCode::maintenance_not_prepared, {.why = why});
}

Status Maintenance::done() {
    if (state_ != State::prepared) return Error{ErrorCode::not_found, "this host is not in maintenance"};
    HF_TRY(disk_->remove(maintenance_file));
    HF_TRY(disk_->sync_directory());
    state_ = State::none;
    rest(false);
    host_.events->raise(EventCode::maintenance_done);
    return ok();
}

void Maintenance::rest(bool is_on) {
    if (std::exchange(host_.is_in_maintenance, is_on) != is_on) callbacks_.follow();
}

std::vector<std::string> Maintenance::behind() const {
    if (state_ == State::draining) return callbacks_.undrained();
    if (state_ == State::settling) return callbacks_.unsettled();
    return {};
}

Json Maintenance::show() const {
    constexpr const char* names[] = {"none", "draining", "settling", "prepared"};
    Json json = {{"state", names[static_cast<size_t>(state_)]}, {"behind", behind()}};
    if (!why_.empty()) json["why"] = why_;
    return json;
}

}  // namespace holdfast::replicator

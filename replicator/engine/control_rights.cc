#include "replicator/engine/control_rights.h"

#include <algorithm>
#include <iterator>

#include "base/text.h"

namespace holdfast::replicator {

namespace {

constexpr const char* names[] = {"none", "view", "operate"};  // in the order of the enumeration

}  // namespace

const char* to_string(ControlRight right) {
    return names[static_cast<size_t>(right)];
}

std::optional<ControlRight> parse_control_right(std::string_view text) {
    const auto name = std::find(std::begin(names), std::end(names), text);
    if (name == std::end(names)) return std::nullopt;
    return static_cast<ControlRight>(name - std::begin(names));
}

ControlNeed control_need(std::string_view method, bool changes_trust) {
    if (changes_trust) return ControlNeed::trust;
    return method == "GET" ? ControlNeed::look : ControlNeed::act;
}

Status check_control(ControlRight right, ControlNeed need, std::string_view peer, std::string_view host) {
    if (need == ControlNeed::trust)
        return Error{ErrorCode::permission, "whom host " + quoted(host) + " trusts is changed on that host itself, by nobody from elsewhere"};
    const ControlRight needed = need == ControlNeed::look ? ControlRight::view : ControlRight::operate;
    if (right >= needed) return ok();
    return Error{ErrorCode::permission, "host " + quoted(host) + " lets " + quoted(peer) + (right == ControlRight::none ? " neither look nor do anything" : " look, and do nothing") +
                                            "; a [[peer]] with control = \"" + to_string(needed) + "\" in its configuration would allow it"};
}

}  // namespace holdfast::replicator

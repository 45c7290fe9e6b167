#include "replicator/engine/standby_news.h"

namespace holdfast::replicator {

namespace {

std::string text_in(const Json& json, const char* name) {
    return json.contains(name) && json[name].is_string() ? json[name].get<std::string>() : "";
}

}  // namespace

StandbySaid standby_said(const Json& answer) {
    if (!answer.is_object() || !answer.contains("standby") || !answer["standby"].is_object()) return {};
    const Json& standby = answer["standby"];
    return {text_in(standby, "state"), text_in(standby, "why"), number_or(standby, "position", 0)};
}

std::optional<StandbyNews::News> StandbyNews::look(const StandbySaid& said, uint64_t now_ns) {
    if (said.state.empty()) return std::nullopt;
    if (said.why.empty()) {
        const bool was_told = !told_.empty();
        *this = {};
        if (!was_told) return std::nullopt;
        return News{EventCode::standby_follows, said.state == "comparing" ? "it is compared with the replica first" : "it has what the replica has"};
    }
    if (!since_ns_) since_ns_ = now_ns;
    if (said.why == told_ || now_ns - *since_ns_ < standby_patience_ns) return std::nullopt;
    told_ = said.why;
    return News{EventCode::standby_stands_still, said.why};
}

}  // namespace holdfast::replicator

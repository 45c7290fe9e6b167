#include "replicator/engine/status.h"

#include <utility>

#include "replicator/engine/connection.h"

namespace holdfast::replicator {

void EdgeTotals::add(const Connection* connection) {
    if (connection == nullptr) return;
    wire_sent_bytes += connection->sent_bytes();
    wire_received_bytes += connection->received_bytes();
}

Status EqualityStatus::ask() {
    if (is_pending) return Error{ErrorCode::busy, "a comparison of this replica was asked for already and has not ended"};
    is_pending = true;
    return ok();
}

void EqualityStatus::give_up(const std::string& why) {
    Compared failed;
    failed.was_asked = failed.has_failed = true;
    failed.text = why;
    if (is_pending) note(failed);
}

void EqualityStatus::note(const Compared& compared) {
    if (compared.was_asked && std::exchange(is_pending, false)) ++asked;
    const bool is_result = compared.was_asked || (compared.is_whole && !compared.has_failed);
    if (is_result) whole = compared;
    if (!compared.has_failed) current = compared.is_whole ? std::nullopt : std::optional(compared);
}

std::string summary(const Compared& compared) {
    std::string first = compared.text.substr(0, compared.text.find('\n'));
    return std::to_string(compared.differences) + " of " + std::to_string(compared.objects) + " objects differ" + (first.empty() ? "" : ", among them " + first);
}

namespace {

Json to_json(const Compared& compared) {
    if (compared.has_failed) return {{"failed", compared.text}};
    return {{"at", compared.at}, {"time_ns", compared.time_ns}, {"began_ns", compared.began_ns}, {"objects", compared.objects},
            {"bytes", compared.bytes}, {"differences", compared.differences}, {"text", compared.text}};
}

// What is not known is left out.
Json to_json(const EqualityStatus& equality) {
    Json json = {{"asked", equality.asked}, {"pending", equality.is_pending}};
    if (equality.current) json["current"] = to_json(*equality.current);
    if (equality.whole) json["whole"] = to_json(*equality.whole);
    return json;
}

}  // namespace

Json to_json(const EdgeStatus& edge) {
    Json json = {{"role", edge.role},
                 {"volume", edge.volume},
                 {"peer", edge.peer},
                 {"state", edge.state},
                 {"sessions", edge.totals.sessions},
                 {"stream_bytes", edge.totals.stream_bytes},
                 {"repair_bytes", edge.totals.repair_bytes},
                 {"wire_sent_bytes", edge.totals.wire_sent_bytes},
                 {"wire_received_bytes", edge.totals.wire_received_bytes}};
    const struct { const char* name; const std::string& text; } texts[] = {{"store", edge.store}, {"why", edge.why}, {"handshake", edge.handshake}, {"durability", edge.durability}, {"standby", edge.standby}, {"standby_why", edge.standby_why}};
    for (const auto& [name, text] : texts)
        if (!text.empty()) json[name] = text;
    json["equality"] = to_json(edge.equality);
    const struct { const char* name; std::optional<uint64_t> value; } figures[] = {
        {"published", edge.published}, {"sent", edge.sent},       {"received", edge.received}, {"durable", edge.durable},
        {"applied", edge.applied},     {"lag_ns", edge.lag_ns},   {"behind_bytes", edge.behind_bytes()},
        {"streams", edge.streams},     {"packing_level", edge.packing_level}, {"packing_permille", edge.packing_permille},
        {"standby_position", edge.standby_position}, {"standby_behind_bytes", edge.standby_behind_bytes()},
        {"alone", edge.alone},         {"times_alone", edge.times_alone}, {"waiting_fsyncs", edge.waiting_fsyncs},
    };
    for (const auto& [name, value] : figures)
        if (value) json[name] = *value;
    return json;
}

Json to_json(const EngineStatus& engine) {
    Json edges = Json::array();
    for (const EdgeStatus& edge : engine.edges) edges.push_back(to_json(edge));
    return {{"name", engine.name}, {"key", engine.key}, {"listen", engine.listen}, {"refused", engine.refused}, {"edges", edges}};
}

}  // namespace holdfast::replicator

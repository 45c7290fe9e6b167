#include "replicator/engine/status.h"

#include "replicator/engine/connection.h"

namespace holdfast::replicator {

void EdgeTotals::add(const Connection* connection) {
    if (connection == nullptr) return;
    wire_sent_bytes += connection->sent_bytes();
    wire_received_bytes += connection->received_bytes();
}

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
    const struct { const char* name; const std::string& text; } texts[] = {{"store", edge.store}, {"why", edge.why}, {"handshake", edge.handshake}, {"durability", edge.durability}};
    for (const auto& [name, text] : texts)
        if (!text.empty()) json[name] = text;
    const struct { const char* name; std::optional<uint64_t> value; } figures[] = {
        {"published", edge.published}, {"sent", edge.sent},       {"received", edge.received}, {"durable", edge.durable},
        {"applied", edge.applied},     {"lag_ns", edge.lag_ns},   {"behind_bytes", edge.behind_bytes()},
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

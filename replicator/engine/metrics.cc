#include "replicator/engine/metrics.h"

#include <cinttypes>
#include <cstdio>
#include <set>

namespace holdfast::replicator {

namespace {

using Value = std::optional<uint64_t>;
constexpr uint64_t nanoseconds = 1'000'000'000, thousandths = 1000;

Value whole(const EdgeStatus& edge, uint64_t Compared::*figure) {
    const auto& last = edge.equality.whole;
    return last && !last->has_failed ? Value((*last).*figure) : std::nullopt;
}

struct EdgeMetric {
    MetricFamily family;
    Value (*value)(const EdgeStatus& edge);
    uint64_t parts = 1;  // of the unit, in which VALUE counts
};

// The rows of docs/engine.md.
constexpr EdgeMetric edge_metrics[] = {
    {{"holdfast_edge_behind_bytes", "gauge", "bytes", "What is published and not applied on the replica."}, [](const EdgeStatus& edge) { return edge.behind_bytes(); }},
    {{"holdfast_edge_lag_seconds", "gauge", "seconds", "How long the oldest of it has been waiting."}, [](const EdgeStatus& edge) { return edge.lag_ns; }, nanoseconds},
    {{"holdfast_edge_published_address", "gauge", "", "End of the source's journal that others may read."}, [](const EdgeStatus& edge) -> Value { return edge.published; }},
    {{"holdfast_edge_sent_address", "gauge", "", "Sent up to here."}, [](const EdgeStatus& edge) -> Value { return edge.sent; }},
    {{"holdfast_edge_received_address", "gauge", "", "In the replica's memory up to here."}, [](const EdgeStatus& edge) -> Value { return edge.received; }},
    {{"holdfast_edge_durable_address", "gauge", "", "On the replica's disk up to here."}, [](const EdgeStatus& edge) -> Value { return edge.durable; }},
    {{"holdfast_edge_applied_address", "gauge", "", "In the replica's image up to here."}, [](const EdgeStatus& edge) -> Value { return edge.applied; }},
    {{"holdfast_edge_standby_behind_bytes", "gauge", "bytes", "What is in the replica's image and not yet in its standby directory."}, [](const EdgeStatus& edge) { return edge.standby_behind_bytes(); }},
    {{"holdfast_edge_alone", "gauge", "", "Whether no replica of the volume keeps up or answers its fsyncs."}, [](const EdgeStatus& edge) -> Value { return edge.alone; }},
    {{"holdfast_edge_times_alone", "counter", "", "How often that began since the host started."}, [](const EdgeStatus& edge) -> Value { return edge.times_alone; }},
    {{"holdfast_edge_waiting_fsyncs", "gauge", "", "Fsyncs of the volume that wait for a replica."}, [](const EdgeStatus& edge) -> Value { return edge.waiting_fsyncs; }},
    {{"holdfast_edge_compared_timestamp_seconds", "gauge", "seconds", "When the last comparison of everything began, whatever it found."}, [](const EdgeStatus& edge) { return whole(edge, &Compared::began_ns); }, nanoseconds},
    {{"holdfast_edge_differences", "gauge", "", "Objects that it found to differ."}, [](const EdgeStatus& edge) { return whole(edge, &Compared::differences); }},
    {{"holdfast_edge_compared_objects", "gauge", "", "Objects that it compared."}, [](const EdgeStatus& edge) { return whole(edge, &Compared::objects); }},
    {{"holdfast_edge_streams", "gauge", "", "Connections over which the session goes."}, [](const EdgeStatus& edge) -> Value { return edge.streams; }},
    {{"holdfast_edge_packing_level", "gauge", "", "Of zstd, for the last batch that was sent; 0: as it was."}, [](const EdgeStatus& edge) -> Value { return edge.packing_level; }},
    {{"holdfast_edge_packing_ratio", "gauge", "ratio", "What packing left of the last few batches."}, [](const EdgeStatus& edge) -> Value { return edge.packing_permille; }, thousandths},
    {{"holdfast_edge_sessions", "counter", "", "Connections that came to streaming."}, [](const EdgeStatus& edge) -> Value { return edge.totals.sessions; }},
    {{"holdfast_edge_stream_bytes", "counter", "bytes", "Records that were sent or taken, before they were packed."}, [](const EdgeStatus& edge) -> Value { return edge.totals.stream_bytes; }},
    {{"holdfast_edge_repair_bytes", "counter", "bytes", "What stores said while replicas were compared, before it was packed."}, [](const EdgeStatus& edge) -> Value { return edge.totals.repair_bytes; }},
    {{"holdfast_edge_wire_sent_bytes", "counter", "bytes", "Packed and encrypted bytes to the peer."}, [](const EdgeStatus& edge) -> Value { return edge.totals.wire_sent_bytes; }},
    {{"holdfast_edge_wire_received_bytes", "counter", "bytes", "Packed and encrypted bytes from the peer."}, [](const EdgeStatus& edge) -> Value { return edge.totals.wire_received_bytes; }},
};
constexpr MetricFamily state_metric = {"holdfast_edge_state", "stateset", "", "What the edge is doing."};
constexpr const char* states[] = {"waiting", "preparing", "connecting", "greeting", "repairing", "streaming", "suspended", "maintenance", "waiting for its hours"};

constexpr MetricFamily build_metric = {"holdfast_build", "info", "", "What is running."};
constexpr MetricFamily refused_metric = {"holdfast_refused_connections", "counter", "", "Connections from elsewhere that came to nothing."};

std::string number(uint64_t value, uint64_t parts) {
    if (parts == 1) return std::to_string(value);
    char text[40];
    std::snprintf(text, sizeof text, "%" PRIu64 ".%09" PRIu64, value / parts, value % parts * (nanoseconds / parts));
    return text;
}

void begin(std::string& text, const MetricFamily& family) {
    const std::string name = family.name;
    text += "# TYPE " + name + " " + family.type + "\n";
    if (*family.unit != 0) text += "# UNIT " + name + " " + family.unit + "\n";
    text += "# HELP " + name + " " + family.help + "\n";
}

// NAME{LABELS} VALUE, under the name that a sample of that type has.
void sample(std::string& text, const MetricFamily& family, const std::string& labels, const std::string& value) {
    const std::string type = family.type;
    text += family.name + std::string(type == "counter" ? "_total" : type == "info" ? "_info" : "");
    text += (labels.empty() ? "" : "{" + labels + "}") + " " + value + "\n";
}

std::string labels_of(const EdgeStatus& edge) {
    return std::string("role=\"") + edge.role + "\",volume=\"" + label_value(edge.volume) + "\",peer=\"" + label_value(edge.peer) + "\"";
}

}  // namespace

std::string label_value(std::string_view text) {
    std::string escaped;
    for (const char letter : text) {
        if (letter == '\n') escaped += "\\n";
        else if (letter == '"' || letter == '\\') escaped += {'\\', letter};
        else escaped += letter;
    }
    return escaped;
}

std::string metrics_text(const EngineStatus& status) {
    std::string text;
    begin(text, build_metric);
    sample(text, build_metric, "version=\"" HOLDFAST_VERSION "\"", "1");
    begin(text, refused_metric);
    sample(text, refused_metric, "", std::to_string(status.refused));
    begin(text, state_metric);
    for (const EdgeStatus& edge : status.edges)
        for (const char* state : states)
            sample(text, state_metric, labels_of(edge) + "," + state_metric.name + "=\"" + state + "\"", edge.state == std::string_view(state) ? "1" : "0");
    for (const EdgeMetric& metric : edge_metrics) {
        begin(text, metric.family);
        for (const EdgeStatus& edge : status.edges)
            if (const Value value = metric.value(edge)) sample(text, metric.family, labels_of(edge), number(*value, metric.parts));
    }
    return text + "# EOF\n";
}

std::vector<MetricFamily> metric_families() {
    std::vector<MetricFamily> all = {build_metric, refused_metric, state_metric};
    for (const EdgeMetric& metric : edge_metrics) all.push_back(metric.family);
    return all;
}

}  // namespace holdfast::replicator

#include "replicator/engine/metrics.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>

#include "test/engine/open_metrics.h"

using namespace holdfast;
using namespace holdfast::replicator;
using namespace holdfast::test;

namespace {

EngineStatus an_engine() {
    EdgeStatus source{.role = "source", .volume = "/srv/data", .peer = "beta", .state = "streaming"};
    source.published = 5000;
    source.sent = 4000;
    source.received = 3000;
    source.durable = 2000;
    source.applied = 1000;
    source.standby_position = 900;
    source.lag_ns = 1'500'000'000;
    source.alone = 1;
    source.times_alone = 2;
    source.waiting_fsyncs = 5;
    source.streams = 5;
    source.packing_level = 3;
    source.packing_permille = 480;
    source.totals.sessions = 3;
    source.totals.stream_bytes = 1ULL << 60;
    source.totals.repair_bytes = 77;
    source.totals.wire_sent_bytes = 70;
    source.totals.wire_received_bytes = 7;
    EdgeStatus replica{.role = "replica", .volume = "3f0c", .peer = "gamma", .state = "waiting"};
    return {.name = "alpha", .key = "k", .listen = "", .refused = 12, .edges = {source, replica}};
}

double value_of(const MetricFamilyRead& family, const std::string& label, const std::string& value) {
    for (const MetricSample& sample : family.samples)
        if (const auto found = sample.labels.find(label); found != sample.labels.end() && found->second == value) return sample.value;
    FAIL("no sample with " << label << "=" << value);
    return 0;
}

}  // namespace

TEST_CASE("metrics: every family is read by a strict reader, with type, unit and help") {
    const auto families = OpenMetricsReader::read(metrics_text(an_engine()));
    REQUIRE(families.size() == metric_families().size());
    for (const MetricFamily& family : metric_families()) {
        INFO(family.name);
        REQUIRE(families.contains(family.name));
        CHECK(families.at(family.name).type == family.type);
        CHECK(families.at(family.name).unit == family.unit);
        CHECK(families.at(family.name).help == family.help);
    }
}

TEST_CASE("metrics: an edge's figures are what its status says, and one that is not known has no line") {
    const auto families = OpenMetricsReader::read(metrics_text(an_engine()));
    const struct { const char* name; double value; bool has_replica; } table[] = {
        {"holdfast_edge_behind_bytes", 4000, false},    {"holdfast_edge_lag_seconds", 1.5, false},      {"holdfast_edge_published_address", 5000, false},
        {"holdfast_edge_sent_address", 4000, false},    {"holdfast_edge_received_address", 3000, false}, {"holdfast_edge_durable_address", 2000, false},
        {"holdfast_edge_applied_address", 1000, false}, {"holdfast_edge_sessions", 3, true},            {"holdfast_edge_alone", 1, false},         {"holdfast_edge_standby_behind_bytes", 100, false},
        {"holdfast_edge_times_alone", 2, false},        {"holdfast_edge_waiting_fsyncs", 5, false},
        {"holdfast_edge_streams", 5, false},
        {"holdfast_edge_packing_level", 3, false},      {"holdfast_edge_packing_ratio", 0.48, false},       {"holdfast_edge_stream_bytes", double(1ULL << 60), true},
        {"holdfast_edge_repair_bytes", 77, true},       {"holdfast_edge_wire_sent_bytes", 70, true},    {"holdfast_edge_wire_received_bytes", 7, true},
    };
    for (const auto& row : table) {
        INFO(row.name);
        const MetricFamilyRead& family = families.at(row.name);
        CHECK(value_of(family, "role", "source") == row.value);
        CHECK(family.samples.size() == (row.has_replica ? 2 : 1));
        CHECK(family.samples[0].labels == std::map<std::string, std::string>{{"role", "source"}, {"volume", "/srv/data"}, {"peer", "beta"}});
    }
    CHECK(families.at("holdfast_refused_connections").samples.at(0).value == 12);
    CHECK(families.at("holdfast_build").samples.at(0).labels.contains("version"));
}

TEST_CASE("metrics: an edge is in exactly one state") {
    const auto families = OpenMetricsReader::read(metrics_text(an_engine()));
    std::map<std::string, std::set<std::string>> states;
    for (const MetricSample& sample : families.at("holdfast_edge_state").samples)
        if (sample.value == 1) states[sample.labels.at("role")].insert(sample.labels.at("holdfast_edge_state"));
    CHECK(states == decltype(states){{"source", {"streaming"}}, {"replica", {"waiting"}}});
}

TEST_CASE("metrics: whatever a volume is called is one label, as it is") {
    for (const std::string& name : {std::string("/srv/a \"quoted\" one"), std::string("/srv/back\\slash"), std::string("/srv/two\nlines"), std::string("\\n\\\"\n\"\\"),
                                    std::string("/srv/data\"} 1\n# EOF\n"), std::string("/srv/Zürich"), std::string()}) {
        INFO(name);
        EngineStatus engine = an_engine();
        engine.edges.resize(1);
        engine.edges[0].volume = name;
        const auto families = OpenMetricsReader::read(metrics_text(engine));
        CHECK(families.at("holdfast_edge_sessions").samples.at(0).labels.at("volume") == name);
    }
}

TEST_CASE("metrics: an engine without edges has its own figures") {
    const auto families = OpenMetricsReader::read(metrics_text({.name = "a", .key = "k", .listen = ""}));
    CHECK(families.at("holdfast_edge_sessions").samples.empty());
    CHECK(families.at("holdfast_refused_connections").samples.size() == 1);
}

TEST_CASE("metrics: the page names every family with its type") {
    std::ifstream page(std::filesystem::path(HOLDFAST_SOURCE_DIR) / "docs/engine.md");
    std::set<std::string> documented, there;
    for (std::string line; std::getline(page, line);)
        if (line.starts_with("| `holdfast_")) documented.insert(line.substr(0, line.find(" | ", line.find(" | ") + 3)));
    for (const MetricFamily& family : metric_families()) there.insert("| `" + std::string(family.name) + "` | " + family.type);
    CHECK(documented == there);
}

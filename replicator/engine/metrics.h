// The engine's figures for collectors such as Prometheus: OpenMetrics text, version 1.0.0.
//
// Each edge has the labels role, volume and peer. A figure that is not known has no line.
// Thread rule: pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "replicator/engine/status.h"

namespace holdfast::replicator {

inline constexpr const char* metrics_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";

std::string metrics_text(const EngineStatus& status);

// A text as the value of a label, between its quotes.
std::string label_value(std::string_view text);

// All families, in their order: what a test holds against the page.
struct MetricFamily {
    const char* name;
    const char* type;  // of OpenMetrics
    const char* unit;  // "": none; else the name ends with it
    const char* help;
};
std::vector<MetricFamily> metric_families();

}  // namespace holdfast::replicator

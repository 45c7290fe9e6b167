// OpenMetrics text, read as strictly as its specification is: what is not allowed stops the test.
#pragma once

#include <catch2/catch.hpp>
#include <cctype>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::test {

struct MetricSample {
    std::map<std::string, std::string> labels;
    double value;
};
struct MetricFamilyRead {
    std::string type, unit, help;
    std::vector<MetricSample> samples;
};

class OpenMetricsReader {
public:
    static std::map<std::string, MetricFamilyRead> read(std::string_view text) { return OpenMetricsReader(text).families(); }

private:
    explicit OpenMetricsReader(std::string_view text) : rest_(text) {}

    std::map<std::string, MetricFamilyRead> families() {
        std::map<std::string, MetricFamilyRead> all;
        std::string current;
        std::set<std::pair<std::string, std::map<std::string, std::string>>> seen;
        while (rest_ != "# EOF\n") {
            REQUIRE_FALSE(rest_.empty());  // it ends with # EOF and nothing behind it
            if (take("# ")) {
                const std::string what = word(), name = (expect(" "), metric_name());
                REQUIRE((what == "TYPE" || what == "UNIT" || what == "HELP"));
                if (what == "TYPE") REQUIRE(all.emplace(name, MetricFamilyRead{}).second);  // so all of a family stands together
                if (what == "TYPE") current = name;
                REQUIRE(name == current);
                REQUIRE(all[name].samples.empty());
                expect(" ");
                std::string& member = what == "TYPE" ? all[name].type : what == "UNIT" ? all[name].unit : all[name].help;
                REQUIRE(member.empty());
                member = line();
                if (what == "UNIT") REQUIRE(name.ends_with("_" + member));
                continue;
            }
            MetricFamilyRead& family = all.at(current);
            const std::string suffix = family.type == "counter" ? "_total" : family.type == "info" ? "_info" : "";
            REQUIRE(metric_name() == current + suffix);
            MetricSample sample{take("{") ? labels() : std::map<std::string, std::string>{}, 0};
            expect(" ");
            sample.value = number(line());
            REQUIRE(seen.emplace(current, sample.labels).second);
            if (family.type == "stateset") REQUIRE((sample.labels.contains(current) && (sample.value == 0 || sample.value == 1)));
            if (family.type == "counter") REQUIRE(sample.value >= 0);
            family.samples.push_back(std::move(sample));
        }
        return all;
    }

    std::map<std::string, std::string> labels() {
        std::map<std::string, std::string> all;
        do {
            const std::string name = metric_name();
            REQUIRE(name.find(':') == name.npos);
            expect("=\"");
            std::string value;
            while (!take("\"")) {
                REQUIRE((!rest_.empty() && rest_.front() != '\n'));
                if (take("\\")) value += take("n") ? '\n' : take("\\") ? '\\' : (expect("\""), '"');
                else value += rest_.front(), rest_.remove_prefix(1);
            }
            REQUIRE(all.emplace(name, value).second);
        } while (take(","));
        expect("}");
        return all;
    }

    std::string metric_name() {
        size_t size = 0;
        while (size < rest_.size() && (isalnum(static_cast<unsigned char>(rest_[size])) || rest_[size] == '_' || rest_[size] == ':')) ++size;
        REQUIRE((size > 0 && !isdigit(static_cast<unsigned char>(rest_[0]))));
        return cut(size);
    }
    std::string word() { return cut(rest_.find(' ')); }
    std::string line() {
        const std::string text = cut(rest_.find('\n'));
        expect("\n");
        REQUIRE_FALSE(text.empty());
        return text;
    }
    static double number(const std::string& text) {
        REQUIRE(text.find_first_not_of("0123456789.") == text.npos);
        size_t used = 0;
        const double value = std::stod(text, &used);
        REQUIRE(used == text.size());
        return value;
    }
    std::string cut(size_t size) {
        REQUIRE(size <= rest_.size());
        const std::string text(rest_.substr(0, size));
        rest_.remove_prefix(size);
        return text;
    }
    bool take(std::string_view text) {
        if (!rest_.starts_with(text)) return false;
        rest_.remove_prefix(text.size());
        return true;
    }
    void expect(std::string_view text) {
        INFO("before: " << rest_.substr(0, 60));
        REQUIRE(take(text));
    }

    std::string_view rest_;
};

}  // namespace holdfast::test

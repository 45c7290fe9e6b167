// How results reach a person: names that cannot forge a line, tables, and a progress bar.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::cli {

using Json = nlohmann::json;

// NAME as it may be shown on a terminal: control characters and backslashes become escapes, other bytes stay.
std::string printable(std::string_view name);

// Names in answers are text (base/name_text.h): a list of them, and the list as a person reads it, "cache, var/tmp".
Json names_json(const std::vector<std::string>& names);
std::string names_text(const Json& names);

// Rows of cells as aligned columns, two spaces apart; the first row is the heading. Cells are counted in UTF-8
// characters. Columns whose heading starts with '>' (which is not shown) are flushed right.
class Table {
public:
    explicit Table(std::vector<std::string> heading) { rows_.push_back(std::move(heading)); }
    void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
    bool empty() const { return rows_.size() == 1; }
    std::string text() const;

private:
    std::vector<std::vector<std::string>> rows_;
};

// A bar on standard error that appears when a task takes longer than progress_delay_ms, and only on a terminal.
// The line is erased when the object goes. Thread rule: one thread.
inline constexpr int progress_delay_ms = 300;
inline constexpr int progress_interval_ms = 100;

class Progress {
public:
    Progress(std::string task, bool quiet);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    // TOTAL 0: unknown. UNIT_IS_BYTES decides how the numbers are written.
    void update(uint64_t done, uint64_t total, bool unit_is_bytes);
    // A service's progress message: {"progress": {"files", "bytes", "files_total", "bytes_total"}}, totals 0 when unknown.
    void update(const Json& message);
    void clear();  // takes the line away; a later update shows it again
    // What the bar would say now, without colours or cursor movements.
    static std::string line(std::string_view task, uint64_t done, uint64_t total, bool unit_is_bytes);

private:
    void show(const std::string& line);

    std::string task_;
    bool on_terminal_;
    bool shown_ = false;
    uint64_t started_ns_ = 0;
    uint64_t last_ns_ = 0;
};

// JSON that survives names which are not UTF-8 (their bytes are replaced).
std::string dump(const Json& json);

// "3 d 4 h", "12 min", "40 s", "250 ms".
std::string human_duration(uint64_t ns);
// "2026-03-01T14:03:20.123" in local time: what can be given back as a moment. "" for zero.
std::string local_time(uint64_t realtime_ns);
// "drwxr-xr-x" for a TYPE and MODE as the store service names them.
std::string mode_text(std::string_view type, uint32_t mode);
// "3 files", "1 file".
std::string counted(uint64_t count, std::string_view one, std::string_view many);

}  // namespace holdfast::cli

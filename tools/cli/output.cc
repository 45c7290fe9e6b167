#include "tools/cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "base/clock.h"
#include "base/json.h"
#include "base/name_text.h"
#include "base/text.h"

namespace holdfast::cli {

namespace {

constexpr uint64_t ns_per_ms = 1'000'000;

size_t width_of(std::string_view cell) {
    return std::count_if(cell.begin(), cell.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

void append_escape(std::string& text, unsigned char byte) {
    char escape[5];
    std::snprintf(escape, sizeof escape, "\\x%02x", byte);
    text += escape;
}

}  // namespace

std::string printable(std::string_view name) {
    std::string text;
    for (size_t index = 0; index < name.size(); ++index) {
        auto byte = static_cast<unsigned char>(name[index]);
        // 0xc2 followed by 0x80..0x9f is a control character of the second set: terminals obey those as well.
        bool second_set = byte == 0xc2 && index + 1 < name.size() && (static_cast<unsigned char>(name[index + 1]) & 0xe0) == 0x80;
        if (byte == '\\') {
            text += "\\\\";
        } else if (byte == '\n') {
            text += "\\n";
        } else if (byte == '\t') {
            text += "\\t";
        } else if (byte < 0x20 || byte == 0x7f) {
            append_escape(text, byte);
        } else if (second_set) {
            append_escape(text, byte);
            append_escape(text, static_cast<unsigned char>(name[++index]));
        } else {
            text += name[index];
        }
    }
    return text;
}

Json names_json(const std::vector<std::string>& names) {
    Json list = Json::array();
    for (const std::string& name : names) list.push_back(name_to_text(name));
    return list;
}

std::string names_text(const Json& names) {
    std::string text;
    for (const Json& name : names) text += (text.empty() ? "" : ", ") + printable(text_to_name(name.get<std::string>()));
    return text;
}

std::string Table::text() const {
    std::vector<size_t> widths(rows_.front().size());
    std::vector<bool> right(rows_.front().size());
    for (size_t column = 0; column < right.size(); ++column) right[column] = rows_.front()[column].starts_with('>');
    auto cell_at = [&](size_t row, size_t column) {
        std::string_view cell = column < rows_[row].size() ? std::string_view(rows_[row][column]) : std::string_view();
        return row == 0 && right[column] ? cell.substr(1) : cell;
    };
    for (size_t row = 0; row < rows_.size(); ++row) {
        for (size_t column = 0; column < widths.size(); ++column) {
            widths[column] = std::max(widths[column], width_of(cell_at(row, column)));
        }
    }
    std::string text;
    for (size_t row = 0; row < rows_.size(); ++row) {
        std::string line;
        for (size_t column = 0; column < widths.size(); ++column) {
            std::string_view cell = cell_at(row, column);
            std::string padding(widths[column] - width_of(cell), ' ');
            line += right[column] ? padding + std::string(cell) : std::string(cell) + padding;
            line += "  ";
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

Progress::Progress(std::string task, bool quiet)
    : task_(std::move(task)), on_terminal_(!quiet && isatty(STDERR_FILENO)), started_ns_(system_clock().monotonic_ns()) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
    if (shown_) std::fputs("\r\033[K", stderr);
    shown_ = false;
}

void Progress::update(uint64_t done, uint64_t total, bool unit_is_bytes) {
    if (on_terminal_) show(line(task_, done, total, unit_is_bytes));
}

void Progress::update(const Json& message) {
    auto progress = message.find("progress");
    if (!on_terminal_ || progress == message.end() || !progress->is_object()) return;
    auto number = [&](const char* name) { return number_or(*progress, name, 0); };
    // Bytes move evenly, files do not; but work that moves no bytes counts files.
    bool by_bytes = number("bytes_total") > 0 || (number("files_total") == 0 && number("bytes") > 0);
    if (by_bytes) {
        show(line(task_, number("bytes"), number("bytes_total"), true));
    } else {
        show(line(task_, number("files"), number("files_total"), false));
    }
}

std::string Progress::line(std::string_view task, uint64_t done, uint64_t total, bool unit_is_bytes) {
    constexpr int bar_width = 24;
    auto number = [&](uint64_t value) { return unit_is_bytes ? human_bytes(value) : std::to_string(value); };
    std::string text = printable(task) + "  ";
    if (total > 0) {
        // A total that was estimated too low must not make the bar overflow.
        double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
        int filled = static_cast<int>(share * bar_width);
        text += "[" + std::string(filled, '#') + std::string(bar_width - filled, '.') + "] ";
        text += std::to_string(static_cast<int>(share * 100)) + " %  " + number(done) + " of " + number(total);
    } else {
        text += number(done);
    }
    return text;
}

void Progress::show(const std::string& line) {
    uint64_t now = system_clock().monotonic_ns();
    if (now - started_ns_ < progress_delay_ms * ns_per_ms) return;
    if (shown_ && now - last_ns_ < progress_interval_ms * ns_per_ms) return;
    shown_ = true;
    last_ns_ = now;
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
    std::fflush(stderr);
}

std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

std::string local_time(uint64_t realtime_ns) {
    if (realtime_ns == 0) return {};
    auto seconds = static_cast<time_t>(realtime_ns / 1'000'000'000);
    tm parts{};
    if (::localtime_r(&seconds, &parts) == nullptr) return {};
    char text[64];
    size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    std::snprintf(text + length, sizeof text - length, ".%03u", static_cast<unsigned>(realtime_ns / ns_per_ms % 1000));
    return text;
}

std::string mode_text(std::string_view type, uint32_t mode) {
    struct TypeLetter {
        std::string_view type;
        char letter;
    };
    constexpr TypeLetter letters[] = {{"directory", 'd'}, {"symlink", 'l'}, {"fifo", 'p'}, {"socket", 's'}, {"character device", 'c'}, {"block device", 'b'}};
    std::string text = "-rwxrwxrwx";
    for (const TypeLetter& known : letters) {
        if (known.type == type) text[0] = known.letter;
    }
    for (int bit = 0; bit < 9; ++bit) {
        if ((mode & (0400u >> bit)) == 0) text[1 + bit] = '-';
    }
    auto special = [&](uint32_t bit, size_t place, char with_execute, char without) {
        if (mode & bit) text[place] = text[place] == 'x' ? with_execute : without;
    };
    special(04000, 3, 's', 'S');
    special(02000, 6, 's', 'S');
    special(01000, 9, 't', 'T');
    return text;
}

std::string counted(uint64_t count, std::string_view one, std::string_view many) {
    return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

std::string human_duration(uint64_t ns) {
    struct Unit {
        uint64_t ns;
        const char* name;
    };
    constexpr Unit units[] = {{86'400'000'000'000, "d"}, {3'600'000'000'000, "h"}, {60'000'000'000, "min"},
                              {1'000'000'000, "s"},      {1'000'000, "ms"}};
    constexpr size_t unit_count = std::size(units);
    for (size_t index = 0; index < unit_count; ++index) {
        const Unit& unit = units[index];
        if (ns < unit.ns) continue;
        std::string text = std::to_string(ns / unit.ns) + " " + unit.name;
        // The next smaller unit helps people down to minutes; below that it is noise.
        if (index < 2 && ns % unit.ns >= units[index + 1].ns) {
            text += " " + std::to_string(ns % unit.ns / units[index + 1].ns) + " " + units[index + 1].name;
        }
        return text;
    }
    return "0 s";
}

}  // namespace holdfast::cli

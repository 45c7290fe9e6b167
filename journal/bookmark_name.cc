#include "journal/bookmark_name.h"

#include <algorithm>
#include <ctime>
#include <string>

#include "base/text.h"

namespace holdfast::journal {
namespace {

bool is_digits(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool reads_as_address(std::string_view name) {
    return is_digits(name) || name.starts_with("lsn:");
}

bool reads_as_age(std::string_view name) {
    if (name.starts_with('-')) name.remove_prefix(1);
    return parse_duration_ns(name).has_value();
}

bool has_control_byte(std::string_view name) {
    return std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

struct Rule {
    bool (*broken_by)(std::string_view);
    const char* sentence;
};

const Rule rules[] = {
    {[](std::string_view n) { return n.empty(); }, "a bookmark needs a name"},
    {[](std::string_view n) { return n.size() > bookmark_name_bytes_max; }, "it is longer than 254 bytes"},
    {[](std::string_view n) { return n.find('/') != n.npos; }, "it contains a slash, but it becomes a directory name"},
    {has_control_byte, "it contains a control character"},
    {[](std::string_view n) { return n == "now"; }, "`now` always means the present"},
    {[](std::string_view n) { return n == "." || n == ".."; }, "it is a directory's own name"},
    {reads_as_address, "it reads as a journal address"},
    {reads_as_age, "it reads as an age"},
    {[](std::string_view n) { return parse_iso8601_ns(n).has_value(); }, "it reads as a time"},
};

}  // namespace

Status check_bookmark_name(std::string_view name) {
    for (const Rule& rule : rules)
        if (rule.broken_by(name))
            return Error{ErrorCode::invalid_argument,
                         "the bookmark name " + quoted(name.substr(0, 300)) + " cannot be used: " + rule.sentence +
                             "; choose another name"};
    return ok();
}

std::string bookmark_name_of(std::string_view what, uint64_t time_ns) {
    const auto seconds = static_cast<time_t>(time_ns / 1'000'000'000);
    tm parts{};
    ::localtime_r(&seconds, &parts);
    char text[64];
    std::strftime(text, sizeof text, "-%Y%m%d-%H%M%S", &parts);
    return std::string(what) + text;
}

}  // namespace holdfast::journal

#include "fusefs/worker_arguments.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "fusefs/mount_options.h"

namespace holdfast::fusefs {
namespace {

constexpr const char* worker_word = "--worker";
constexpr const char* recover_word = "--recover";
constexpr const char* left_out_word = "--left-out-nodes";

struct FdOption { const char* name; int WorkerArguments::* member; };
constexpr FdOption fd_options[] = {
    {"--keeper-fd", &WorkerArguments::keeper_fd},
    {"--device-fd", &WorkerArguments::device_fd},
    {"--backing-fd", &WorkerArguments::backing_fd},
    {"--view-fd", &WorkerArguments::view_fd},
};
struct SwitchOption { const char* name; bool WorkerArguments::* member; };
constexpr SwitchOption switch_options[] = {
    {"--resumed", &WorkerArguments::resumed},
    {"--begin-bypass", &WorkerArguments::begin_bypass},
};
struct TextOption { const char* name; std::string WorkerArguments::* member; };
constexpr TextOption text_options[] = {
    {"--store", &WorkerArguments::store},
    {"--bypass", &WorkerArguments::bypass},
};

Error wrong(const std::string& argument) {
    return {ErrorCode::invalid_argument, quoted(argument) + " makes no sense here; " + worker_word + " and " + recover_word +
                                             " are for the supervisor's own use"};
}

template <typename T>
bool parse_number(const std::string& text, T& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
}

// At commas.
bool parse_numbers(const std::string& text, std::vector<uint64_t>& values) {
    for (size_t at = 0; at <= text.size();) {
        const size_t end = std::min(text.find(',', at), text.size());
        if (!parse_number(text.substr(at, end - at), values.emplace_back())) return false;
        at = end + 1;
    }
    return true;
}

bool take_value(WorkerArguments& parsed, const std::string& name, const std::string& value) {
    for (const FdOption& row : fd_options)
        if (name == row.name) return parse_number(value, parsed.*row.member) && parsed.*row.member >= 0;
    for (const TextOption& row : text_options)
        if (name == row.name) return parsed.*row.member = value, true;
    if (name == "--threads") return parse_number(value, parsed.threads) && parsed.threads >= 1 && parsed.threads <= filter_threads_max;
    if (name == left_out_word) return parse_numbers(value, parsed.left_out);
    if (name == "--session") return parse_number(value, parsed.session);
    return false;
}

bool take_switch(WorkerArguments& parsed, const std::string& name) {
    for (const SwitchOption& row : switch_options)
        if (name == row.name) return parsed.*row.member = true;
    return false;
}

}  // namespace

std::vector<std::string> to_arguments(const WorkerArguments& arguments) {
    std::vector<std::string> words{arguments.recover_only ? recover_word : worker_word};
    const auto add = [&](const char* name, const std::string& value) { words.insert(words.end(), {name, value}); };
    for (const FdOption& row : fd_options)
        if (arguments.*row.member >= 0) add(row.name, std::to_string(arguments.*row.member));
    for (const TextOption& row : text_options)
        if (!(arguments.*row.member).empty()) add(row.name, arguments.*row.member);
    for (const SwitchOption& row : switch_options)
        if (arguments.*row.member) words.emplace_back(row.name);
    std::string left_out;
    for (const uint64_t node : arguments.left_out) left_out += (left_out.empty() ? "" : ",") + std::to_string(node);
    if (!left_out.empty()) add(left_out_word, left_out);
    add("--threads", std::to_string(arguments.threads));
    add("--session", std::to_string(arguments.session));
    return words;
}

Result<std::optional<WorkerArguments>> parse_worker_arguments(const std::vector<std::string>& arguments) {
    if (arguments.empty() || (arguments[0] != worker_word && arguments[0] != recover_word))
        return std::optional<WorkerArguments>();
    WorkerArguments parsed;
    parsed.recover_only = arguments[0] == recover_word;
    for (size_t at = 1; at < arguments.size(); ++at) {
        if (take_switch(parsed, arguments[at])) continue;
        if (at + 1 == arguments.size() || !take_value(parsed, arguments[at], arguments[at + 1])) return wrong(arguments[at]);
        ++at;
    }
    const bool complete = parsed.backing_fd >= 0 && (parsed.recover_only ? !parsed.store.empty() : parsed.keeper_fd >= 0 && parsed.device_fd >= 0);
    if (!complete) return wrong(arguments[0]);
    return std::optional(parsed);
}

}  // namespace holdfast::fusefs

#include "base/mount_table.h"

#include <charconv>
#include <fstream>
#include <iterator>

#include "base/text.h"

namespace holdfast {
namespace {

// The kernel writes space, tab, newline and backslash as three octal digits.
std::string unescaped(std::string_view text) {
    std::string plain;
    const auto octal = [](char c) { return c >= '0' && c <= '7'; };
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) && octal(text[i + 3])) {
            plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (!line.empty()) {
        const size_t end = std::min(line.find(' '), line.size());
        if (end > 0) words.push_back(line.substr(0, end));
        line.remove_prefix(std::min(end + 1, line.size()));
    }
    return words;
}

// id parent major:minor root point options [optional...] - type source super-options
bool parse_line(std::string_view line, MountEntry& entry) {
    const auto words = words_of(line);
    size_t dash = 6;
    while (dash < words.size() && words[dash] != "-") ++dash;
    if (dash + 2 >= words.size()) return false;
    std::from_chars(words[0].data(), words[0].data() + words[0].size(), entry.id);
    entry.device = words[2];
    entry.root = unescaped(words[3]);
    entry.point = unescaped(words[4]);
    entry.type = words[dash + 1];
    entry.source = unescaped(words[dash + 2]);
    return true;
}

}  // namespace

std::vector<MountEntry> parse_mount_table(std::string_view text) {
    std::vector<MountEntry> table;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        MountEntry entry;
        if (parse_line(text.substr(0, end), entry)) table.push_back(std::move(entry));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return table;
}

Result<std::vector<MountEntry>> read_mount_table(const std::string& pid) {
    const std::string path = "/proc/" + pid + "/mountinfo";
    std::ifstream file(path);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (!file || text.empty()) return Error{ErrorCode::io, "the mount table " + path + " cannot be read"};
    return parse_mount_table(text);
}

const MountEntry* mount_of(const std::vector<MountEntry>& table, std::string_view path) {
    const MountEntry* best = nullptr;
    for (const MountEntry& entry : table)
        if (is_within(path, entry.point) && (!best || entry.point.size() >= best->point.size())) best = &entry;
    return best;
}

const MountEntry* mount_below(const std::vector<MountEntry>& table, std::string_view path) {
    for (const MountEntry& entry : table)
        if (entry.point != path && is_within(entry.point, path)) return &entry;
    return nullptr;
}

bool is_within(std::string_view path, std::string_view directory) {
    if (directory == "/") return path.starts_with('/');
    return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

std::string path_inside(const MountEntry& entry, std::string_view path) {
    std::string_view below = entry.point == "/" ? path : path.substr(entry.point.size());
    while (below.starts_with('/')) below.remove_prefix(1);
    std::string inside = entry.root == "/" ? "" : entry.root;
    if (!below.empty()) inside += "/" + std::string(below);
    return inside.empty() ? "/" : inside;
}

}  // namespace holdfast

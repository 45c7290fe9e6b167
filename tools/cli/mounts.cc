#include "tools/cli/mounts.h"

#include <fstream>
#include <sstream>

namespace holdfast::cli {

namespace {

// mountinfo writes space, tab, newline and backslash as three octal digits.
std::string unescape(std::string_view field) {
    std::string text;
    auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
    for (size_t index = 0; index < field.size(); ++index) {
        if (field[index] == '\\' && index + 3 < field.size() && is_octal(field[index + 1]) &&
            is_octal(field[index + 2]) && is_octal(field[index + 3])) {
            text += static_cast<char>((field[index + 1] - '0') << 6 | (field[index + 2] - '0') << 3 | (field[index + 3] - '0'));
            index += 3;
        } else {
            text += field[index];
        }
    }
    return text;
}

}  // namespace

std::vector<Mount> parse_mountinfo(std::string_view text) {
    std::vector<Mount> mounts;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        // id parent major:minor root POINT options [optional ...] - TYPE SOURCE super-options
        size_t separator = line.find(" - ");
        if (separator == std::string::npos) continue;
        std::istringstream front(line.substr(0, separator)), back(line.substr(separator + 3));
        std::string id, parent, device, root, point, type, source;
        if (!(front >> id >> parent >> device >> root >> point) || !(back >> type)) continue;
        back >> source;
        mounts.push_back({unescape(point), type, unescape(source)});
    }
    return mounts;
}

Result<std::vector<Mount>> current_mounts() {
    std::ifstream file("/proc/self/mountinfo");
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) return Error{ErrorCode::io, "cannot read /proc/self/mountinfo: is /proc mounted?"};
    return parse_mountinfo(text.str());
}

const Mount* mount_at(const std::vector<Mount>& mounts, std::string_view path) {
    const Mount* found = nullptr;
    for (const Mount& mount : mounts) {
        if (mount.point == path) found = &mount;
    }
    return found;
}

const Mount* mount_below(const std::vector<Mount>& mounts, std::string_view path) {
    for (const Mount& mount : mounts) {
        if (mount.point != path && contains(path, mount.point)) return &mount;
    }
    return nullptr;
}

bool contains(std::string_view outer, std::string_view inner) {
    if (outer == "/") return true;
    return inner.starts_with(outer) && (inner.size() == outer.size() || inner[outer.size()] == '/');
}

Result<bool> is_captured(const std::string& directory) {
    auto mounts = HF_TRY(current_mounts());
    const Mount* mount = mount_at(mounts, directory);
    return mount != nullptr && mount->type == capture_mount_type;
}

}  // namespace holdfast::cli

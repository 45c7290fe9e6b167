#include "journal/left_out.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::journal {
namespace {

Error wrong(const std::string& path, std::string_view why) {
    return {ErrorCode::invalid_argument, quoted(path) + " cannot be left out: " + std::string(why)};
}

bool is_beneath(std::string_view path, std::string_view directory) {
    if (directory.empty()) return !path.empty();
    return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}

Status check_path(const std::string& path) {
    if (path.empty()) return wrong(path, "it names the protected directory itself; `holdfast unprotect` ends its protection");
    if (path.front() == '/') return wrong(path, "name the directory by its path from the top of the protected directory, as cache or var/tmp");
    if (path.find('\0') != std::string::npos) return wrong(path, "no path has a zero byte");
    for (size_t at = 0; at <= path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        const std::string_view name = std::string_view(path).substr(at, end - at);
        if (name.empty() || name == "." || name == "..") return wrong(path, "no part of the path may be empty, \".\" or \"..\"");
        at = end + 1;
    }
    return ok();
}

}  // namespace

Result<LeftOut> LeftOut::of(std::vector<std::string> paths) {
    size_t bytes = 0;
    for (std::string& path : paths) {
        while (path.size() > 1 && path.back() == '/') path.pop_back();
        HF_TRY(check_path(path));
        bytes += path.size();
    }
    if (paths.size() > left_out_max)
        return Error{ErrorCode::invalid_argument, "at most " + std::to_string(left_out_max) + " directories can be left out; leave out one that holds several of them"};
    if (bytes > left_out_bytes_max)
        return Error{ErrorCode::invalid_argument, "the paths that are left out may have " + std::to_string(left_out_bytes_max) + " bytes together; leave out directories nearer to the top"};
    std::sort(paths.begin(), paths.end());
    for (const std::string& path : paths)
        for (const std::string& other : paths) {
            if (&path != &other && path == other) return wrong(path, "it is named twice");
            if (is_beneath(path, other)) return wrong(path, "it lies in " + quoted(other) + ", which is left out with everything in it");
        }
    LeftOut left_out;
    left_out.paths_ = std::move(paths);
    return left_out;
}

bool LeftOut::is(std::string_view path) const {
    return std::find(paths_.begin(), paths_.end(), path) != paths_.end();
}

bool LeftOut::holds(std::string_view path) const {
    return std::any_of(paths_.begin(), paths_.end(), [&](const std::string& directory) { return is_beneath(path, directory); });
}

bool LeftOut::leads_to(std::string_view path) const {
    return std::any_of(paths_.begin(), paths_.end(), [&](const std::string& directory) { return is_beneath(directory, path); });
}

std::string left_out_text(const LeftOut& left_out) {
    std::string text;
    for (const std::string& path : left_out.paths()) {
        const std::string shown = quoted(path);
        text += (text.empty() ? "" : ", ") + shown.substr(1, shown.size() - 2);
    }
    return text;
}

}  // namespace holdfast::journal

#include "tools/cli/volume_path.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "base/mount_table.h"
#include "tools/cli/output.h"

namespace holdfast::cli {

namespace {

std::vector<std::string_view> components_of(std::string_view path) {
    std::vector<std::string_view> components;
    while (!path.empty()) {
        size_t slash = path.find('/');
        std::string_view component = path.substr(0, slash);
        if (!component.empty()) components.push_back(component);
        path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
    }
    return components;
}

// REAL is already without links; COMPONENT is added by its letters.
void append_component(std::string& real, std::string_view component) {
    if (component == ".") return;
    if (component == "..") {
        size_t slash = real.rfind('/');
        real.erase(slash == 0 ? 1 : slash);
        return;
    }
    if (real != "/") real += '/';
    real += component;
}

// ID or ID/PATH, when a volume of that id is registered here; else it is an ordinary path.
std::optional<VolumePath> path_of_id(std::string_view path) {
    const size_t slash = path.find('/');
    if (!journal::parse_volume_id(path.substr(0, slash))) return std::nullopt;
    auto volume = journal::find_volume(std::string(path.substr(0, slash)));
    if (!volume) return std::nullopt;
    std::string relative = "/";
    for (std::string_view component : components_of(path.substr(std::min(slash, path.size())))) append_component(relative, component);
    relative.erase(0, 1);
    std::string absolute = journal::present_directory(*volume) + (relative.empty() ? "" : "/" + relative);
    return VolumePath{std::move(*volume), std::move(relative), std::move(absolute)};
}

std::string real_or_empty(const std::string& path) {
    char buffer[PATH_MAX];
    return ::realpath(path.c_str(), buffer) != nullptr ? std::string(buffer) : std::string();
}

}  // namespace

Result<std::string> absolute_path(std::string_view path, const std::string& current_directory) {
    if (path.empty()) return Error{ErrorCode::invalid_argument, "an empty path names nothing: give a file or directory"};
    std::string full = path.front() == '/' ? std::string(path) : current_directory + "/" + std::string(path);
    auto components = components_of(full);
    std::string real = "/";
    for (size_t index = 0; index < components.size(); ++index) {
        std::string_view component = components[index];
        bool is_last = index + 1 == components.size();
        std::string next = real;
        append_component(next, component);
        // ".." of a path without links is its letters; everything else that exists may be a link. A path of more than
        // PATH_MAX bytes cannot be made real, and needs not be: relative links below it are out of its reach as well.
        if (!is_last && component != "." && component != "..") {
            std::string resolved = real_or_empty(next);
            if (!resolved.empty()) next = resolved;
        }
        real = next;
    }
    return real;
}

Result<std::string> absolute_path(std::string_view path) {
    if (!path.empty() && path.front() == '/') return absolute_path(path, "/");
    char buffer[PATH_MAX];
    if (::getcwd(buffer, sizeof buffer) != nullptr && buffer[0] == '/') return absolute_path(path, buffer);
    // The directory that this shell stands in is gone: exactly the moment in which people come here.
    const char* shell_directory = ::getenv("PWD");
    if (shell_directory != nullptr && shell_directory[0] == '/') return absolute_path(path, shell_directory);
    return Error{ErrorCode::not_found, "the current directory no longer exists: give a path that starts with /"};
}

Result<journal::Volume> resolve_volume(std::string_view directory_store_or_id) {
    if (directory_store_or_id.find('/') == std::string_view::npos && journal::parse_volume_id(directory_store_or_id)) {
        return journal::find_volume(std::string(directory_store_or_id));
    }
    std::string path = HF_TRY(absolute_path(directory_store_or_id));
    // A volume is never named by a link to it, so that its directory must be made real as a whole.
    std::string real = real_or_empty(path);
    auto found = journal::find_volume(real.empty() ? path : real);
    // A store that was never registered here (a disk from another host, a forgotten volume) describes itself.
    if (!found && found.error().code == ErrorCode::not_found) {
        auto store = journal::load_volume(real.empty() ? path : real);
        if (store || store.error().code != ErrorCode::not_found) return store;
        return Error{ErrorCode::not_found, printable(path) + " is neither a protected directory nor a store: `holdfast status` lists "
                                           "the volumes of this host"};
    }
    return found;
}

Result<journal::Volume> volume_or_current(std::string_view given) {
    if (!given.empty()) return resolve_volume(given);
    auto here = resolve_path(".");
    if (here) return std::move(here->volume);
    return std::move(here).error().within("no --volume was given, and the current directory was looked at");
}

Result<VolumePath> resolve_path(std::string_view path) {
    if (auto of_id = path_of_id(path)) return *of_id;
    std::string absolute = HF_TRY(absolute_path(path));
    auto volume = journal::find_volume(absolute);
    if (!volume && volume.error().code == ErrorCode::not_found) {
        return Error{ErrorCode::not_found, printable(absolute) + " lies in no protected directory: `holdfast status` lists the "
                                           "volumes of this host"};
    }
    if (!volume) return std::move(volume).error();
    // A replica has no other place to be named by, so its store stands for the top.
    const std::string top = journal::present_directory(*volume);
    if (volume->is_replica() && absolute == volume->store) return VolumePath{std::move(*volume), "", std::move(absolute)};
    if (!is_within(absolute, top)) {
        return Error{ErrorCode::invalid_argument, printable(absolute) + " is a store; give a path in the directory that it protects, " +
                                                  printable(top)};
    }
    std::string relative = absolute.substr(top.size());
    if (relative.starts_with('/')) relative.erase(0, 1);
    return VolumePath{std::move(*volume), std::move(relative), std::move(absolute)};
}

}  // namespace holdfast::cli

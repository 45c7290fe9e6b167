// The application's units as systemd knows them, the packages that they come from, and the users that they run as.
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <map>
#include <sstream>

#include "base/program_output.h"
#include "ha/facts/gather.h"
#include "ha/state/digest.h"

namespace holdfast::ha {

namespace {

using Properties = std::map<std::string, std::string>;

Properties properties_of(const std::string& systemctl, const std::string& unit) {
    Properties all;
    const auto said = output_of(systemctl, {"show", "--no-pager", "--property=LoadState,ActiveState,UnitFileState,FragmentPath,DropInPaths,User,NeedDaemonReload,TriggeredBy,ExecStart", "--", unit}, gather_program_ms);
    if (!said || said->status != 0) return all;
    std::istringstream lines(said->text);
    for (std::string line; std::getline(lines, line);) {
        const size_t equals = line.find('=');
        if (equals != line.npos) all.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
    return all;
}

// "{ path=/usr/bin/x ; argv[]=… }"
std::string program_of(const std::string& exec_start) {
    const size_t at = exec_start.find("path=");
    if (at == exec_start.npos) return {};
    return exec_start.substr(at + 5, exec_start.find(" ;", at) - at - 5);
}

// Of the file and what was dropped in beside it.
std::optional<std::string> unit_digest(const Properties& properties) {
    const auto file = properties.find("FragmentPath");
    if (file == properties.end() || file->second.empty()) return std::nullopt;
    std::string digests = digest_of_file(file->second).value_or("");
    if (const auto more = properties.find("DropInPaths"); more != properties.end()) {
        std::istringstream paths(more->second);
        for (std::string path; paths >> path;) digests += digest_of_file(path).value_or("");
    }
    return digest_of_text(digests);
}

void set_user(const std::string& name, Json& facts) {
    std::string room(16384, '\0');
    struct passwd user {};
    struct passwd* found = nullptr;
    if (::getpwnam_r(name.c_str(), &user, room.data(), room.size(), &found) != 0 || found == nullptr) return;
    facts["users"][name] = {{"uid", uint64_t{user.pw_uid}}, {"gid", uint64_t{user.pw_gid}}, {"home", user.pw_dir}};
    struct group group {};
    struct group* main = nullptr;
    std::string group_room(65536, '\0');
    if (::getgrgid_r(user.pw_gid, &group, group_room.data(), group_room.size(), &main) == 0 && main != nullptr) facts["groups"][group.gr_name] = {{"gid", uint64_t{group.gr_gid}}};
}

// The Debian package that FILE comes from.
void set_package(const std::string& dpkg, const std::string& file, Json& facts) {
    const auto owner = output_of(dpkg, {"--search", "--", file}, gather_program_ms);
    if (!owner || owner->status != 0) return;
    const std::string package = owner->text.substr(0, owner->text.find(": "));
    const auto version = output_of(dpkg, {"--show", "--showformat=${Version}", "--", package}, gather_program_ms);
    if (version && version->status == 0) facts["packages"][package] = version->text;
}

void set_unit(const Properties& properties, const std::string& unit, Json& facts) {
    const auto value = [&](const char* name) {
        const auto found = properties.find(name);
        return found == properties.end() ? std::string() : found->second;
    };
    Json& known = facts["units"][unit];
    known["load"] = value("LoadState");
    known["active"] = value("ActiveState");
    known["enabled"] = value("UnitFileState");
    known["user"] = value("User").empty() ? "root" : value("User");
    known["needs_daemon_reload"] = value("NeedDaemonReload") == "yes";
    known["has_trigger"] = !value("TriggeredBy").empty();
    if (const auto digest = unit_digest(properties)) known["digest"] = *digest;
    const std::string program = program_of(value("ExecStart"));
    if (!program.empty()) known["has_program"] = ::access(program.c_str(), X_OK) == 0;
    set_user(known["user"], facts);
    const std::string dpkg = program_in_path("dpkg-query");
    if (dpkg.empty()) return;
    for (const std::string& file : {value("FragmentPath"), program})
        if (!file.empty()) set_package(dpkg, file, facts);
}

}  // namespace

void gather_application(const Scenario& scenario, Json& facts) {
    const std::string systemctl = program_in_path("systemctl");
    if (systemctl.empty() || ::access("/run/systemd/system", F_OK) != 0) return;
    for (const std::string& unit : scenario.application.units) {
        const Properties properties = properties_of(systemctl, unit);
        if (!properties.empty()) set_unit(properties, unit, facts);
    }
}

}  // namespace holdfast::ha

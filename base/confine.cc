#include "base/confine.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "base/landlock.h"
#include "base/system_call_filter.h"
#include "base/text.h"

namespace holdfast {

namespace {

constexpr const char* handle_directory = "/holdfast-handles";
constexpr const char* system_time_zone = ":/etc/localtime";

std::string joined(const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
    return text;
}

// The C library looks for /etc/localtime again at every conversion unless the zone is named. It is read now, while it is there.
void keep_time_zone() {
    ::setenv("TZ", system_time_zone, 0);
    ::tzset();
}

Result<UniqueFd> open_place(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return errno_error(errno, "open " + quoted(path));
    return fd;
}

std::string parent_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == 0 ? "/" : path.substr(0, slash);
}

// A root of its own is left out where the system refuses it. Handles get a mount of their own in it.
Status take_own_root(const Confinement& confinement, Confined& done) {
    done.handle_directory = confinement.handles.directory;
    const Capabilities now = HF_TRY(effective_capabilities());
    if (!(now & capability(CAP_SYS_ADMIN))) {
        done.missing.push_back("a root of its own needs CAP_SYS_ADMIN");
        return ok();
    }
    std::vector<JailPlace> places = confinement.places;
    if (!confinement.handles.directory.empty()) places.push_back({.path = confinement.handles.directory, .at = handle_directory});
    bool must_end = false;
    Status entered = enter_jail(places, &must_end);
    if (must_end) return entered;
    done.has_own_root = entered.has_value();
    if (entered && !confinement.handles.directory.empty()) done.handle_directory = handle_directory;
    if (!entered) done.missing.push_back("no root of its own: " + entered.error().message);
    return ok();
}

// Where the rule for PLACE lies. Since Linux 6.19 (and 6.18.y) Landlock takes a file that was opened by a handle and does not lie beneath the root of the
// mount for one that was moved away from there, and goes on at that root. Had it a rule, every file of the file system could be had by its handle with a
// mount of the place. So the rule is on the directory that the mount lies in, where the mount for handles does not lie.
std::string rule_directory(const JailPlace& place, Confined& done) {
    if (!done.has_own_root) return place.path;
    if (parent_of(place.path) != "/") return parent_of(place.path);
    done.missing.push_back(quoted(place.path) + " lies in the root directory, where Landlock does not tell it from files that are opened by their handles");
    return place.path;
}

Status restrict_files(const Confinement& confinement, std::vector<UniqueFd> directories, Confined& done) {
    const int version = landlock_version();
    const auto unchecked = not_checked_by_landlock(version);
    if (!unchecked.empty()) done.missing.push_back("this kernel's Landlock (" + std::to_string(version) + ") does not check " + joined(unchecked));
    if (version < landlock_version_needed) return ok();
    for (const JailPlace& place : confinement.places)
        if (!place.read_only) directories.push_back(HF_TRY(open_place(rule_directory(place, done))));
    std::vector<LandlockRule> rules;
    for (const UniqueFd& directory : directories) rules.push_back({directory.get()});
    for (const int directory : confinement.readable) rules.push_back({directory, true});
    HF_TRY(restrict_by_landlock(rules));
    done.landlock = version;
    return ok();
}

}  // namespace

std::string Confined::text() const {
    std::vector<std::string> layers;
    if (has_own_root) layers.push_back("a root of its own");
    if (landlock > 0) layers.push_back("Landlock " + std::to_string(landlock));
    if (has_call_filter) layers.push_back("a filter of system calls");
    std::string text = layers.empty() ? "nothing" : joined(layers);
    for (const std::string& sentence : missing) text += "; " + sentence;
    return text;
}

Result<Confined> confine(const Confinement& confinement) {
    Confined done;
    // Rules lead to directories and not to paths, so those that the new root hides are opened before.
    std::vector<UniqueFd> ruled;
    for (const std::string& part : confinement.handles.parts) ruled.push_back(HF_TRY(open_place(confinement.handles.directory + part)));
    for (const std::string& path : confinement.handed_in) ruled.push_back(HF_TRY(open_place(path)));
    keep_time_zone();
    // Nobody who is not root with all its rights looks into its memory or goes its ways in /proc, and no core is written.
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errno_error(errno, "forbid dumps");
    HF_TRY(take_own_root(confinement, done));
    if (!done.handle_directory.empty()) done.handle_fd = ::open(done.handle_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (done.handle_fd >= 0) done.reconnector = HF_TRY(Reconnector::start(done.handle_fd));
    HF_TRY(forgo_new_privileges());
    HF_TRY(restrict_files(confinement, std::move(ruled), done));
    HF_TRY(keep_capabilities(confinement.capabilities));
    Status filtered = filter_system_calls(system_call_filter(::getpid(), {}, done.handle_fd));
    if (!filtered && filtered.error().code != ErrorCode::unsupported) return std::move(filtered).error();
    done.has_call_filter = filtered.has_value();
    if (!filtered) done.missing.push_back("this kernel has no filters of system calls");
    return done;
}

}  // namespace holdfast

#include "fusefs/assembly.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/text.h"

namespace holdfast::fusefs {
namespace {

constexpr int stacked_mounts_max = 16;

}  // namespace

Result<Assembly> Assembly::make(const std::string& place) {
    clear(place);
    std::error_code failed;
    std::filesystem::create_directories(std::filesystem::path(place).parent_path(), failed);
    if (failed) return errno_error(failed.value(), "make a directory around " + quoted(place));
    if (::mkdir(place.c_str(), 0700) != 0 && errno != EEXIST) return errno_error(errno, "make the directory " + quoted(place));
    if (::mount("holdfast", place.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700,size=4k") != 0)
        return errno_error(errno, "mount a place to put a mount together at " + quoted(place));
    Assembly assembly(place);
    if (::mount(nullptr, place.c_str(), nullptr, MS_PRIVATE, nullptr) != 0) return errno_error(errno, "make " + quoted(place) + " private");
    return assembly;
}

void Assembly::clear(const std::string& place) {
    if (place.empty()) return;
    for (int round = 0; round < stacked_mounts_max && ::umount2(place.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) == 0; ++round) {
    }
    (void)::rmdir(place.c_str());
}

}  // namespace holdfast::fusefs

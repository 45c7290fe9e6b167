#include "base/landlock.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/unique_fd.h"

namespace holdfast {

namespace {

// The kernel's interface, which the headers of Debian 12 know in part (include/uapi/linux/landlock.h of Linux 6.12).
struct RulesetAttributes {
    uint64_t handled_access_fs, handled_access_net, scoped;
};
struct [[gnu::packed]] PathBeneath {
    uint64_t allowed_access;
    int32_t parent_fd;
};
constexpr uint32_t ask_version = 1;
constexpr int rule_path_beneath = 1;
constexpr uint64_t execute = 1 << 0, write_file = 1 << 1, read_file = 1 << 2, read_directory = 1 << 3;
// Every version adds the next bits to the first thirteen; 2 moving, 3 truncating, 5 ioctl of devices.
constexpr uint64_t all_of_version_1 = (1 << 13) - 1, refer = 1 << 13, truncate = 1 << 14, ioctl_device = 1 << 15;
constexpr uint64_t bind_tcp = 1 << 0, connect_tcp = 1 << 1;
constexpr uint64_t abstract_sockets = 1 << 0, signals = 1 << 1;

uint64_t files_of(int version) {
    uint64_t access = all_of_version_1;
    if (version >= 2) access |= refer;
    if (version >= 3) access |= truncate;
    if (version >= 5) access |= ioctl_device;
    return access;
}

size_t attributes_size(int version) {
    if (version >= 6) return sizeof(RulesetAttributes);
    return version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

// The kernel refuses a rule on a file that gives rights which only a directory has.
Result<uint64_t> access_of(const LandlockRule& rule, uint64_t files) {
    struct stat status;
    if (::fstat(rule.directory, &status) != 0) return errno_error(errno, "look at what a Landlock rule is for");
    const uint64_t of_kind = S_ISDIR(status.st_mode) ? files : files & (write_file | read_file | truncate | ioctl_device);
    if (rule.read_only) return of_kind & (read_file | read_directory);
    return of_kind & (rule.only_existing ? read_file | read_directory | write_file : ~execute);
}

}  // namespace

int landlock_version() {
    const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, ask_version);
    return version < 0 ? 0 : static_cast<int>(version);
}

std::vector<std::string> not_checked_by_landlock(int version) {
    std::vector<std::string> parts;
    if (version < landlock_version_needed) return {"reaching files elsewhere by their handles"};
    if (version < 3) parts.push_back("truncating files by name");
    if (version < 4) parts.push_back("TCP");
    if (version < 5) parts.push_back("ioctl of devices");
    if (version < 6) parts.push_back("abstract sockets and signals");
    return parts;
}

Status restrict_by_landlock(const std::vector<LandlockRule>& rules, LandlockTcp tcp) {
    const int version = landlock_version();
    const uint64_t files = files_of(version);
    const RulesetAttributes attributes{files, tcp == LandlockTcp::may_connect ? bind_tcp : bind_tcp | connect_tcp, abstract_sockets | signals};
    const UniqueFd ruleset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, attributes_size(version), 0)));
    if (!ruleset) return errno_error(errno, "make a Landlock ruleset");
    for (const LandlockRule& rule : rules) {
        const PathBeneath beneath{HF_TRY(access_of(rule, files)), rule.directory};
        if (::syscall(SYS_landlock_add_rule, ruleset.get(), rule_path_beneath, &beneath, 0) != 0) return errno_error(errno, "add a Landlock rule");
    }
    if (::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) return errno_error(errno, "restrict by Landlock");
    return ok();
}

}  // namespace holdfast

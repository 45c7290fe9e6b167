#include "replicator/launch/confinement.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/landlock.h"
#include "base/system_call_filter.h"
#include "base/text.h"
#include "journal/inflight.h"

namespace holdfast::replicator {

namespace {

constexpr const char* name_service_settings = "/etc/nsswitch.conf";

// Beside what every confined process is refused (base/system_call_filter.cc): what Landlock does not look at, and listening.
const std::vector<uint32_t> refused_here = {
    SYS_fchmod, SYS_fchmodat, SYS_fchown, SYS_fchownat, SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr, SYS_removexattr, SYS_lremovexattr, SYS_fremovexattr,
    SYS_utimensat, SYS_listen, SYS_name_to_handle_at, SYS_inotify_init1,
#if defined(__x86_64__)
    SYS_chmod, SYS_chown, SYS_lchown, SYS_utime, SYS_utimes, SYS_futimesat, SYS_inotify_init,
#endif
};
const std::vector<uint32_t> allowed_here = {SYS_connect, SYS_io_uring_enter};
// How much of what was sent is still under way.
const std::vector<uint32_t> ioctls_here = {SIOCOUTQ, SIOCOUTQNSD};

// Modules of the C library for the sources of host names that this host is set up for. Those of glibc 2.34 and later have files and dns built in.
void load_name_services() {
    std::ifstream settings(name_service_settings);
    for (std::string line; std::getline(settings, line);) {
        std::istringstream words(line.substr(0, line.find('#')));
        std::string word;
        if (!(words >> word) || word != "hosts:") continue;
        while (words >> word)
            if (word.front() != '[') (void)::dlopen(("libnss_" + word + ".so.2").c_str(), RTLD_NOW | RTLD_GLOBAL);
    }
}

Status restrict_files(const Places& places, Confined& done) {
    const int version = landlock_version();
    if (version < landlock_version_needed) {
        done.missing.push_back("this kernel's Landlock (" + std::to_string(version) + ") does not check which files are opened");
        return ok();
    }
    std::vector<UniqueFd> opened;
    std::vector<LandlockRule> rules;
    for (const Place& place : places.all) {
        UniqueFd fd(::open(place.path.c_str(), O_PATH | O_CLOEXEC));
        if (!fd) continue;  // it went since it was looked at, and when it comes back it is a new one
        rules.push_back({fd.get(), place.use == Place::Use::read, place.use == Place::Use::write_existing});
        opened.push_back(std::move(fd));
    }
    HF_TRY(restrict_by_landlock(rules, LandlockTcp::may_connect));
    done.landlock = version;
    if (version < 3) done.missing.push_back("this kernel's Landlock (" + std::to_string(version) + ") does not check truncating files by name");
    return ok();
}

}  // namespace

void prepare_libraries() {
    ::setenv("TZ", ":/etc/localtime", 0);
    ::tzset();
    load_name_services();
    ::OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, nullptr);
    (void)::curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)journal::current_boot_id();
}

Result<Confined> confine_engine(const Places& places) {
    Confined done;
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errno_error(errno, "forbid dumps");
    HF_TRY(forgo_new_privileges());
    HF_TRY(restrict_files(places, done));
    HF_TRY(keep_capabilities(0));
    Status filtered = filter_system_calls(
        system_call_filter(::getpid(), allowed_here, -1, {.refused = refused_here, .ioctls = ioctls_here, .reaches_hosts = true}));
    if (!filtered && filtered.error().code != ErrorCode::unsupported) return std::move(filtered).error();
    done.has_call_filter = filtered.has_value();
    if (!filtered) done.missing.push_back("this kernel has no filters of system calls");
    return done;
}

}  // namespace holdfast::replicator

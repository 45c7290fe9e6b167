// The machine, its kernel and its clock; and all areas together.
#include <gnu/libc-version.h>
#include <linux/capability.h>
#include <sys/sysinfo.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <climits>
#include <fstream>

#include "base/capabilities.h"
#include "base/clock.h"
#include "base/program_output.h"
#include "ha/facts/gather.h"

namespace holdfast::ha {

namespace {

constexpr const char* settings[] = {"vm.overcommit_memory", "vm.nr_hugepages", "kernel.shmmax", "kernel.sem", "fs.file-max", "crypto.fips_enabled", "kernel.msgmax", "vm.max_map_count", "net.core.somaxconn",
                                    "net.ipv4.ip_local_port_range", "kernel.pid_max"};
constexpr struct { int number; const char* name; } capability_names[] = {{CAP_SYS_ADMIN, "sys_admin"}, {CAP_NET_ADMIN, "net_admin"}, {CAP_NET_RAW, "net_raw"}, {CAP_CHOWN, "chown"}, {CAP_DAC_READ_SEARCH, "dac_read_search"}};

// The first line, or nothing.
std::optional<std::string> line_of_file(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line)) return std::nullopt;
    return line;
}

// The value of KEY in a file of KEY=VALUE lines, without quotes.
std::optional<std::string> value_in(const std::string& path, const std::string& key) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(key + "=")) continue;
        std::string value = line.substr(key.size() + 1);
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
        return value;
    }
    return std::nullopt;
}

void set(Json& facts, const char* area, const char* name, const std::optional<std::string>& value) {
    if (value) facts[area][name] = *value;
}

std::string time_zone() {
    char target[PATH_MAX];
    const ssize_t length = ::readlink("/etc/localtime", target, sizeof target);
    const std::string link(target, static_cast<size_t>(std::max<ssize_t>(length, 0)));
    const size_t at = link.find("zoneinfo/");
    return at == link.npos ? "UTC" : link.substr(at + 9);
}

void gather_machine(Json& facts) {
    set(facts, "host", "machine_id", line_of_file("/etc/machine-id"));
    set(facts, "host", "boot_id", line_of_file("/proc/sys/kernel/random/boot_id"));
    struct utsname names {};
    if (::uname(&names) == 0) {
        facts["host"]["architecture"] = names.machine;
        facts["host"]["kernel"] = names.release;
    }
    const auto distribution = value_in("/etc/os-release", "ID");
    if (distribution) facts["host"]["distribution"] = *distribution + " " + value_in("/etc/os-release", "VERSION_ID").value_or("");
    facts["host"]["libc"] = ::gnu_get_libc_version();
    auto locale = value_in("/etc/default/locale", "LANG");
    if (!locale) locale = value_in("/etc/locale.conf", "LANG");
    facts["host"]["locale"] = locale.value_or("none");
    facts["host"]["page_bytes"] = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    facts["host"]["processors"] = static_cast<uint64_t>(::sysconf(_SC_NPROCESSORS_ONLN));
    struct sysinfo info {};
    if (::sysinfo(&info) != 0) return;
    facts["host"]["memory_bytes"] = static_cast<uint64_t>(info.totalram) * info.mem_unit;
    facts["host"]["has_swap"] = info.totalswap != 0;
}

void gather_clock(Json& facts) {
    facts["clock"]["realtime_ns"] = system_clock().realtime_ns();
    facts["clock"]["zone"] = time_zone();
    struct timex state {};
    const int answer = ::adjtimex(&state);
    if (answer >= 0) facts["clock"]["is_synchronized"] = answer != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

void gather_security(Json& facts) {
    const auto modules = line_of_file("/sys/kernel/security/lsm");
    const auto enforcing = line_of_file("/sys/fs/selinux/enforce");
    if (modules) {
        const char* major = modules->find("selinux") != modules->npos ? "selinux" : modules->find("apparmor") != modules->npos ? "apparmor" : "none";
        facts["security"]["module"] = std::string(major) + (enforcing ? *enforcing == "1" ? " enforcing" : " permissive" : "");
    }
    const auto lockdown = line_of_file("/sys/kernel/security/lockdown");
    facts["security"]["is_confidential_lockdown"] = lockdown && lockdown->find("[confidentiality]") != lockdown->npos;
}

}  // namespace

void gather_host(Json& facts) {
    gather_machine(facts);
    gather_clock(facts);
    gather_security(facts);
    for (const char* name : settings) {
        std::string path = "/proc/sys/" + std::string(name);
        for (size_t at = 10; at < path.size(); ++at)
            if (path[at] == '.') path[at] = '/';
        set(facts, "sysctl", name, line_of_file(path));
    }
    if (const auto held = effective_capabilities()) {
        facts["capabilities"] = Json::array();
        for (const auto& [number, name] : capability_names)
            if (*held & capability(number)) facts["capabilities"].push_back(name);
    }
    for (const char* name : {"systemctl", "nsupdate"}) facts["programs"][name] = !program_in_path(name).empty();
    facts["devices"]["fuse"] = ::access("/dev/fuse", F_OK) == 0;
    facts["systemd"]["is_running"] = ::access("/run/systemd/system", F_OK) == 0;
}

Json gather_facts(const Scenario& scenario, const std::string& host) {
    Json facts = Json::object();
    gather_host(facts);
    gather_places(scenario, host, facts);
    gather_application(scenario, facts);
    gather_files(scenario, facts);
    gather_network(scenario, facts);
    return facts;
}

}  // namespace holdfast::ha

// Checks of the two machines: that they are two, and alike where it matters.
#include "ha/checks/tables.h"

namespace holdfast::ha {

namespace {

constexpr auto consistency = CheckFamily::consistency;
constexpr auto error = Severity::error, warning = Severity::warning;

constexpr uint64_t skew_ns_max = 1'000'000'000;

// "6.1.0-18-amd64" -> "6.1".
std::string series_of(const std::string& kernel) {
    const size_t first = kernel.find('.');
    const size_t second = first == kernel.npos ? first : kernel.find_first_of(".-", first + 1);
    return kernel.substr(0, second);
}

void names_are_the_scenarios(Look& look) {
    for (const HostFacts& host : look.hosts()) {
        const auto name = host.facts.text({"holdfast", "name"});
        if (!name) look.does_not_know(host, {"holdfast", "name"});
        if (name && *name != host.name) look.finds("the engine that was asked as " + host.name + " calls itself " + *name);
    }
}

void machines_differ(Look& look) {
    const auto here = look.active().facts.text({"host", "machine_id"}), there = look.standby().facts.text({"host", "machine_id"});
    if (here && there && *here == *there) look.finds("both hosts have the machine id " + *here);
}

void boots_differ(Look& look) {
    const auto here = look.active().facts.text({"host", "boot_id"}), there = look.standby().facts.text({"host", "boot_id"});
    if (here && there && *here == *there) look.finds("both hosts say that they are the same running system, " + *here);
}

void kernels_are_of_one_series(Look& look) {
    const auto here = look.active().facts.text({"host", "kernel"}), there = look.standby().facts.text({"host", "kernel"});
    if (here && there && series_of(*here) != series_of(*there)) look.finds(look.active().name + " runs " + *here + ", " + look.standby().name + " " + *there);
}

void clocks_agree(Look& look) {
    const auto here = look.active().facts.number({"clock", "realtime_ns"}), there = look.standby().facts.number({"clock", "realtime_ns"});
    if (!here || !there) return;
    const uint64_t skew = *here > *there ? *here - *there : *there - *here;
    if (skew > skew_ns_max) look.finds("the clocks are " + std::to_string(skew / 1'000'000) + " ms apart");
}

void standby_has_no_less(Look& look, const FactPath& path, const std::string& what) {
    const auto here = look.active().facts.number(path), there = look.standby().facts.number(path);
    if (here && there && *there < *here - *here / 10) look.finds(look.standby().name + " has " + std::to_string(*there) + " " + what + ", " + look.active().name + " " + std::to_string(*here));
}

constexpr Check checks[] = {
    {"host-name", consistency, error, "each engine is the one that the scenario names", "give the engine's `name` in holdfastd.toml, or the scenario's `hosts`, the right name", names_are_the_scenarios},
    {"host-distinct", consistency, error, "the two hosts are two machines", "a cloned machine: make a new /etc/machine-id with systemd-machine-id-setup", machines_differ},
    {"host-boot", consistency, error, "the two hosts are two running systems", "the scenario names one host twice, or both engines run in one kernel; use two hosts", boots_differ},
    {"host-architecture", consistency, error, "both have one processor architecture", "data files of databases are not exchangeable between architectures; use equal ones",
     [](Look& look) { look.must_be_equal({"host", "architecture"}, "the architecture"); }},
    {"host-page-size", consistency, warning, "both have one page size", "boot both with kernels of one page size",
     [](Look& look) { look.must_be_equal({"host", "page_bytes"}, "the page size"); }},
    {"host-kernel-series", consistency, warning, "both run a kernel of one series", "upgrade the older one", kernels_are_of_one_series},
    {"host-distribution", consistency, warning, "both run one release of the distribution", "upgrade the older one; versions of libraries change collations and file formats",
     [](Look& look) { look.must_be_equal({"host", "distribution"}, "the distribution"); }},
    {"host-libc", consistency, warning, "both have one version of the C library", "upgrade the older one: text in indexes of databases may be sorted otherwise",
     [](Look& look) { look.must_be_equal({"host", "libc"}, "the C library"); }},
    {"host-time-zone", consistency, warning, "both have one time zone", "set it with timedatectl set-timezone", [](Look& look) { look.must_be_equal({"clock", "zone"}, "the time zone"); }},
    {"host-locale", consistency, warning, "both have one default locale", "set it with localectl", [](Look& look) { look.must_be_equal({"host", "locale"}, "the locale"); }},
    {"clock-skew", consistency, warning, "the clocks agree to a second", "let a time service set both", clocks_agree},
    {"clock-service", consistency, warning, "the clock is synchronized", "run chrony, ntpd or systemd-timesyncd",
     [](Look& look) { look.must_be({"clock", "is_synchronized"}, true, "the kernel does not hold the clock for synchronized"); }},
    {"host-memory", consistency, warning, "the standby has as much memory", "give it more, or expect less of it",
     [](Look& look) { standby_has_no_less(look, {"host", "memory_bytes"}, "bytes of memory"); }},
    {"host-processors", consistency, warning, "the standby has as many processors", "give it more, or expect less of it",
     [](Look& look) { standby_has_no_less(look, {"host", "processors"}, "processors"); }},
    {"host-swap", consistency, warning, "both have swap, or neither", "configure both alike", [](Look& look) { look.must_be_equal({"host", "has_swap"}, "whether there is swap"); }},
    {"host-overcommit", consistency, warning, "memory is overcommitted alike", "set vm.overcommit_memory alike", [](Look& look) { look.must_be_equal({"sysctl", "vm.overcommit_memory"}, "vm.overcommit_memory"); }},
    {"host-huge-pages", consistency, warning, "both reserve the same huge pages", "set vm.nr_hugepages alike; a database that is configured for them does not start without",
     [](Look& look) { look.must_be_equal({"sysctl", "vm.nr_hugepages"}, "vm.nr_hugepages"); }},
    {"host-shared-memory", consistency, warning, "both allow the same shared memory", "set kernel.shmmax alike", [](Look& look) { look.must_be_equal({"sysctl", "kernel.shmmax"}, "kernel.shmmax"); }},
    {"host-semaphores", consistency, warning, "both allow the same semaphores", "set kernel.sem alike", [](Look& look) { look.must_be_equal({"sysctl", "kernel.sem"}, "kernel.sem"); }},
    {"host-open-files", consistency, warning, "both allow the same number of open files", "set fs.file-max alike", [](Look& look) { look.must_be_equal({"sysctl", "fs.file-max"}, "fs.file-max"); }},
    {"host-security-module", consistency, warning, "both have one security module in one mode", "configure SELinux or AppArmor alike", [](Look& look) { look.must_be_equal({"security", "module"}, "the security module"); }},
    {"host-fips", consistency, warning, "both are in FIPS mode, or neither", "boot both alike", [](Look& look) { look.must_be_equal({"sysctl", "crypto.fips_enabled"}, "crypto.fips_enabled"); }},
    {"host-sysvipc-messages", consistency, warning, "both allow the same message queues", "set kernel.msgmax alike", [](Look& look) { look.must_be_equal({"sysctl", "kernel.msgmax"}, "kernel.msgmax"); }},
    {"host-map-count", consistency, warning, "both allow the same number of mappings", "set vm.max_map_count alike", [](Look& look) { look.must_be_equal({"sysctl", "vm.max_map_count"}, "vm.max_map_count"); }},
    {"host-backlog", consistency, warning, "both let as many connections wait", "set net.core.somaxconn alike", [](Look& look) { look.must_be_equal({"sysctl", "net.core.somaxconn"}, "net.core.somaxconn"); }},
    {"host-ports", consistency, warning, "both use the same local ports", "set net.ipv4.ip_local_port_range alike; a port of the application may be taken on one of them",
     [](Look& look) { look.must_be_equal({"sysctl", "net.ipv4.ip_local_port_range"}, "net.ipv4.ip_local_port_range"); }},
    {"host-pids", consistency, warning, "both allow the same number of processes", "set kernel.pid_max alike", [](Look& look) { look.must_be_equal({"sysctl", "kernel.pid_max"}, "kernel.pid_max"); }},
};

}  // namespace

std::span<const Check> host_checks() { return checks; }

}  // namespace holdfast::ha

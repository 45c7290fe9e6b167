// Facts of the machine that the tests run on: what must be true of any, and of files that the test makes.
#include "ha/facts/gather.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "ha/checks/check.h"
#include "test/support/scratch.h"

using namespace holdfast;
using namespace holdfast::ha;

namespace {

Scenario scenario_of(const std::string& more, const std::string& directory, const std::string& store) {
    const std::string text = "name = 'shop'\nhosts = ['alpha', 'beta']\n[[volume]]\ndirectory = '" + directory + "'\nstore = '" + store + "'\n" + more;
    auto scenario = parse_scenario(text, "shop.toml", [](const std::string& name) -> Result<std::string> { return Error{ErrorCode::not_found, name}; });
    INFO((scenario ? "" : scenario.error().message));
    REQUIRE(scenario);
    return std::move(*scenario);
}

void write_file(const std::string& path, const std::string& text, mode_t mode) {
    std::ofstream(path) << text;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
}

}  // namespace

TEST_CASE("facts: of any machine") {
    Json facts;
    gather_host(facts);
    const Facts known(facts);
    CHECK(known.text({"host", "architecture"}));
    CHECK(known.text({"host", "boot_id"})->size() == 36);
    CHECK(*known.number({"host", "processors"}) >= 1);
    CHECK(*known.number({"host", "memory_bytes"}) > 1 << 20);
    CHECK(*known.number({"clock", "realtime_ns"}) > 1'700'000'000'000'000'000u);
    CHECK(known.flag({"clock", "is_synchronized"}));
    CHECK(known.text({"sysctl", "kernel.pid_max"}));
    CHECK(known.flag({"devices", "fuse"}));
}

TEST_CASE("facts: of directories, stores and scripts, and nothing is changed by asking") {
    const test::ScratchDirectory scratch;
    const std::string directory = scratch / "data", store = scratch / "store", script = scratch / "check", link = scratch / "link";
    std::filesystem::create_directory(directory);
    std::filesystem::create_directory(store);
    std::filesystem::create_directory_symlink(directory, link);
    REQUIRE(::chmod(store.c_str(), 0700) == 0);
    write_file(script, "#!/bin/sh\nexit 0\n", 0755);
    const auto before = std::filesystem::last_write_time(directory);

    const Scenario scenario = scenario_of("[application]\nkind = 'scripts'\nscripts = {check = '" + script + "', stop = '" + script + ".gone', start = '" + script + "'}\n", directory, store);
    const Facts facts(gather_facts(scenario, "alpha"));
    CHECK(*facts.flag({"directories", directory, "exists"}));
    CHECK(*facts.flag({"directories", directory, "is_directory"}));
    CHECK(*facts.flag({"directories", directory, "is_real_path"}));
    CHECK_FALSE(*facts.flag({"directories", directory, "is_protected"}));
    CHECK_FALSE(*facts.flag({"directories", directory, "is_read_only"}));
    CHECK(facts.flag({"directories", directory, "keeps_user_xattrs"}));  // a tmpfs of an older kernel keeps none
    CHECK(facts.text({"directories", directory, "file_system"}) == facts.text({"directories", directory, "backing"}));
    CHECK(facts.texts({"directories", directory, "mounts_inside"})->empty());
    CHECK(*facts.number({"directories", directory, "bytes_total"}) >= *facts.number({"directories", directory, "bytes_free"}));
    CHECK(*facts.flag({"stores", store, "is_private"}));
    CHECK(*facts.flag({"stores", store, "is_on_disk_of_directory"}));
    CHECK_FALSE(facts.flag({"stores", store, "is_replica"}));
    CHECK(*facts.flag({"scripts", script, "is_executable"}));
    CHECK(facts.text({"scripts", script, "digest"})->size() == 64);
    CHECK_FALSE(*facts.flag({"scripts", script + ".gone", "exists"}));
    CHECK(std::filesystem::last_write_time(directory) == before);
    CHECK(std::filesystem::is_empty(directory));
    CHECK(std::filesystem::is_empty(store));

    // A script that others may change, by itself or by its directory.
    REQUIRE(::chmod(script.c_str(), 0777) == 0);
    CHECK(*Facts(gather_facts(scenario, "alpha")).flag({"scripts", script, "is_writable_by_others"}));
    const Facts linked(gather_facts(scenario_of("[application]\nkind = 'postgresql'\n", link, store), "alpha"));
    CHECK_FALSE(*linked.flag({"directories", link, "is_real_path"}));
    const Facts missing(gather_facts(scenario_of("[application]\nkind = 'postgresql'\n", directory + "/none", store), "alpha"));
    CHECK_FALSE(*missing.flag({"directories", directory + "/none", "exists"}));
}

TEST_CASE("facts: of the network") {
    const std::string network = "[application]\nkind = 'postgresql'\n[[network]]\nkind = 'address'\naddress = '192.0.2.130/25'\ninterface = 'lo'\n[[network]]\nkind = 'address'\naddress = '2001:db8:0:1::9/64'\ninterface = 'lo'\n";
    const Facts facts(gather_facts(scenario_of(network, "/nonexistent", "/nonexistent-store"), "alpha"));
    CHECK(*facts.flag({"network", "interfaces", "lo", "is_loopback"}));
    CHECK(facts.number({"network", "interfaces", "lo", "mtu"}));
    CHECK(facts.texts({"network", "addresses"}));
    CHECK(facts.flag({"network", "may_ping"}));
    CHECK(facts.text({"subnets", "192.0.2.130/25"}) == "192.0.2.128/25");
    CHECK(facts.text({"subnets", "2001:db8:0:1::9/64"}) == "2001:db8:0:1::/64");
}

TEST_CASE("facts: what this machine tells of itself twice is one machine, and is found to be") {
    const Scenario scenario = scenario_of("[application]\nkind = 'postgresql'\n", "/nonexistent", "/nonexistent-store");
    const Facts facts(gather_facts(scenario, "alpha"));
    const Verification verification = verify(scenario, {"alpha", facts}, {"beta", facts});
    CHECK_FALSE(verification.allows_start());
    CHECK(std::any_of(verification.findings.begin(), verification.findings.end(), [](const Finding& finding) { return finding.check.id == std::string("host-boot"); }));
}

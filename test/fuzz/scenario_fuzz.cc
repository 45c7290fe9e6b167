// Arbitrary bytes as a scenario, and as the template that it extends. What is accepted keeps its own promises, and what is refused says why.
#include <set>

#include "base/check.h"
#include "ha/scenario/scenario.h"
#include "test/fuzz/target.h"

using namespace holdfast;
using namespace holdfast::ha;

std::vector<fuzz::Input> fuzz::seeds() {
    return {input_of("name = 'a'\nhosts = ['x', 'y']\n[[volume]]\ndirectory = '/a'\nstore = '/s'\n[application]\nkind = 'systemd'\nunits = ['a.service']\n"),
            input_of("name = 'a'\nextends = 't'\nhosts = ['x', 'y']\nmaster = 'y'\nwitness = 'z'\nlease = '20s'\n"
                     "[[volume]]\ndirectory = '/a'\nstore = {x = '/s', y = '/t'}\ndurability = 'sync'\nwhen_alone = 'block'\n"
                     "[monitor]\nprofile = 'fail-fast'\nlevels = ['ping', 'custom']\nscript = '/b'\non_master_lost = 'failover'\nloss_time_max = '5s'\nloss_bytes_max = '1M'\n"
                     "[limits]\nreach-barrier = '10m'\n[[acknowledge]]\ncheck = 'c'\nreason = 'r'\n"),
            input_of("[[network]]\nkind = 'address'\naddress = '192.0.2.1/24'\ninterface = 'eth0'\n[[network]]\nkind = 'dns'\nname = 'n'\npoints_to = {x = '192.0.2.1', y = '::1'}\nserver = 's'\nkey = '/k'\nttl = '30s'\n"
                     "[[network]]\nkind = 'hostname'\nname = 'h'\n[[network]]\nkind = 'script'\nprogram = '/p'\n"),
            input_of("[application]\nkind = 'scripts'\nstop_limit = '1m'\nscripts = {check = '/c', stop = '/s', start = '/t'}\nsettings = {port = '1'}\n"), input_of("extends = 't'\n")};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto bytes = fuzz::copy_of(data, size);
    const std::string text(reinterpret_cast<const char*>(bytes.data()), size);
    const auto scenario = parse_scenario(text, "f", [&](const std::string&) -> Result<std::string> { return text; });
    if (!scenario) {
        HF_CHECK(scenario.error().code == ErrorCode::invalid_argument);
        HF_CHECK(!scenario.error().message.empty());
        return 0;
    }
    HF_CHECK(!scenario->name.empty() && scenario->hosts[0] != scenario->hosts[1]);
    HF_CHECK(scenario->master == scenario->hosts[0] || scenario->master == scenario->hosts[1]);
    HF_CHECK(scenario->witness != scenario->hosts[0] && scenario->witness != scenario->hosts[1]);
    HF_CHECK(!scenario->volumes.empty() && scenario->volumes.size() <= volumes_max && check_alive_rules(scenario->alive));
    std::set<std::string> directories;
    for (const ScenarioVolume& volume : scenario->volumes) {
        HF_CHECK(volume.directory.starts_with('/') && directories.insert(volume.directory).second);
        for (const std::string& host : scenario->hosts) HF_CHECK(volume.store.of(host).starts_with('/'));
    }
    for (const Procedure procedure : {Procedure::give, Procedure::take, Procedure::rescue})
        for (const StepRule& rule : rules_of(procedure)) HF_CHECK(scenario->limit_of(rule) != 0);
    return 0;
}

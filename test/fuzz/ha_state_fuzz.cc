// Arbitrary bytes as what a host keeps about a switchover and its right to write, and as the facts that another host tells of itself.
#include "base/check.h"
#include "ha/checks/check.h"
#include "ha/right/right_state.h"
#include "ha/state/state_file.h"
#include "ha/switchover/saga.h"
#include "test/fuzz/target.h"

using namespace holdfast;
using namespace holdfast::ha;

namespace {

const Scenario& scenario() {
    static const Scenario shop = [] {
        const std::string text = "name = 's'\nhosts = ['a', 'b']\nwitness = 'c'\n[[volume]]\ndirectory = '/d'\nstore = '/s'\n[application]\nkind = 'systemd'\nunits = ['u']\nscripts = {check = '/c'}\n"
                                 "[[network]]\nkind = 'address'\naddress = '192.0.2.1/24'\ninterface = 'e'\n[[network]]\nkind = 'dns'\nname = 'n'\npoints_to = '192.0.2.1'\nserver = 's'\nkey = '/k'\n";
        return parse_scenario(text, "f", [](const std::string&) -> Result<std::string> { return std::string(); }).value();
    }();
    return shop;
}

}  // namespace

std::vector<fuzz::Input> fuzz::seeds() {
    Saga saga = Saga::begin(Procedure::rescue, "one");
    saga.done(Verdict::failed, "nobody answers");
    std::vector<Input> all{input_of(line_of(saga.state())), input_of(line_of(to_json(RightState{{{7, "a"}, 6}, "x", {7, "a"}, "x"})))};
    all.push_back(input_of("{\"host\":{\"machine_id\":\"m\",\"processors\":2},\"directories\":{\"/d\":{\"exists\":true,\"bytes_total\":9,\"mounts_inside\":[\"/d/e\"]}},\"network\":{\"addresses\":[\"192.0.2.1/24\"],"
                           "\"interfaces\":{\"e\":{\"mtu\":1500,\"subnets\":[\"192.0.2.0/24\"]}},\"resolves\":{\"n\":[\"1\"]}},\"units\":{\"u\":{\"load\":\"loaded\",\"active\":\"active\"}},\"users\":{\"w\":{\"uid\":1}}}"));
    all.push_back(input_of("{\"body\":{},\"digest\":\"ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356\"}\n"));
    return all;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto bytes = fuzz::copy_of(data, size);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), size);
    if (const auto body = state_in(text)) HF_CHECK(body->is_object());
    const Json json = Json::parse(text, nullptr, false);
    if (auto saga = Saga::load(json)) {
        const auto again = Saga::load(saga->state());
        HF_CHECK(again && again->state() == saga->state());
        // Whatever it is in, it comes to an end.
        saga->was_restarted();
        for (int steps = 0; saga->command(); ++steps) {
            HF_CHECK(steps < 100);
            saga->done(steps % 2 ? Verdict::done : Verdict::theirs, "so");
        }
    }
    if (const auto state = right_state_of(json)) HF_CHECK(right_state_of(to_json(*state)).value() == *state);
    if (const auto facts = Facts::parse(text)) {
        const Verification verification = verify(scenario(), {"a", *facts}, {"b", *facts});
        HF_CHECK(verification.findings.size() <= findings_max);
    }
    return 0;
}

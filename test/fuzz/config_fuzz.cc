// Arbitrary bytes as the engine's configuration. What is accepted keeps its own promises, and what is refused says why.

#include <algorithm>
#include <set>

#include "base/check.h"
#include "replicator/engine/config.h"
#include "replicator/trust/peers.h"
#include "test/fuzz/target.h"

using namespace holdfast;
using namespace holdfast::replicator;

std::vector<fuzz::Input> fuzz::seeds() {
    return {input_of("name = \"alpha\"\nlisten = \"0.0.0.0:4848\"\naddress = \"[::1]:1\"\n[[send]]\nvolume = \"/srv/data\"\nto = \"beta\"\n"
                     "[[keep]]\nvolume = \"3f0c6c1e-0000-4000-8000-000000000001\"\nfrom = \"beta\"\nstore = \"/var/a\"\n"),
            input_of("[[send]]\nvolume = '/a'\nto = 'b'\nlimit = '10M'\nhours = [{days = 'fri-mon', from = 8, to = 24, limit = '1K'}]\n"),
            input_of("[[send]]\nvolume = '/a'\nto = 'b'\nschedule = [{days = 'sat', from = 0, to = 24}]\nexcept = ['2026-12-24']\n"),
            input_of("send = [{volume = '/a', to = 'b'}, {volume = '''/c''', to = \"\\u0064\"}]\n# comment\nlisten = \"h:1\"\n"), input_of("[[notify]]\nexec = ['/a', 'b']\n[[notify]]\nmin_severity = 'error'\nmail = {to = 'a@b', from = 'c@d', server = 'm:25'}\n"), input_of("[[peer]]\nname = 'b'\ncontrol = 'view'\n[[peer]]\nname = 'c'\ncontrol = 'operate'\n"), input_of("[send]\nx = 1979-05-27T07:32:00Z\n")};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const auto bytes = fuzz::copy_of(data, size);
    const auto config = parse_config({reinterpret_cast<const char*>(bytes.data()), size}, "f");
    if (!config) {
        HF_CHECK(config.error().code == ErrorCode::invalid_argument);
        HF_CHECK(config.error().message.starts_with("f, line "));
        return 0;
    }
    HF_CHECK(check_peer_name(config->name));
    HF_CHECK(check_peer_address(config->listen));
    HF_CHECK(check_peer_address(config->address));
    HF_CHECK(config->send.size() <= edges_max && config->keep.size() <= edges_max);
    std::set<std::pair<std::string, std::string>> edges;
    for (const SendRule& rule : config->send) {
        HF_CHECK(check_peer_name(rule.to) && !rule.volume.empty() && edges.emplace(rule.volume, rule.to).second);
        for (const Hours& row : rule.schedule.windows) HF_CHECK(row.days != 0 && row.from < row.to && row.to <= 24);
        for (const Date& date : rule.schedule.except) HF_CHECK(date.month >= 1 && date.month <= 12 && date.day >= 1 && date.day <= 31);
        for (const HoursLimit& row : rule.limits.hours) HF_CHECK(row.days != 0 && row.from < row.to && row.to <= 24 && row.bytes_per_second > 0);
    }
    std::set<std::string> stores;
    for (const KeepRule& rule : config->keep) {
        HF_CHECK(check_peer_name(rule.from) && rule.store.starts_with('/') && stores.insert(rule.store).second);
    }
    HF_CHECK(config->notify.size() <= notify_rules_max);
    for (const NotifyRule& rule : config->notify) HF_CHECK(!rule.exec.empty() + !rule.webhook.empty() + rule.mail.has_value() == 1);
    std::set<std::string> peers;
    for (const PeerRule& rule : config->peers) HF_CHECK(check_peer_name(rule.name) && peers.insert(rule.name).second && config->control_of(rule.name) == rule.control);
    HF_CHECK(config->keep.empty() || !config->listen.empty());
    return 0;
}

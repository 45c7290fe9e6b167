// A scenario: one protection job with high availability, as a person writes it (S-11). docs/scenario.md is the reference, with an example.
//
// Both hosts have the same file, or the engine gives it to the other; what differs between them is written per host. Who is master now is no part of it: role is data of the
// engines (S-10), the file says who is master at first.
//
// A template is a scenario without `name` and `hosts`; `extends = "FILE"` takes everything from it that is not written here. Tables are merged key by key, lists are
// replaced.
//
// Thread rule: pure. Everything that is not known is refused, so that a slip of the pen is no silent default.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "ha/monitor/alive_rules.h"
#include "ha/switchover/procedures.h"
#include "journal/durability.h"

namespace holdfast::ha {

inline constexpr size_t scenario_bytes_max = 1 << 20;
inline constexpr size_t volumes_max = 64, identities_max = 32, acknowledgements_max = 256, members_max = 64, templates_deep_max = 8;

// A value for each host: written once for both, or as { HOST = VALUE, HOST = VALUE }.
class PerHost {
public:
    const std::string& of(const std::string& host) const;
    void set(std::string host, std::string value) { values_[std::move(host)] = std::move(value); }
    const std::map<std::string, std::string>& values() const { return values_; }
    bool operator==(const PerHost&) const = default;

private:
    std::map<std::string, std::string> values_;
};

struct ScenarioVolume {
    std::string directory;  // absolute, the same on both hosts
    PerHost store;
    journal::Durability durability;
    bool operator==(const ScenarioVolume&) const = default;
};

// What is stopped, started and asked: ha/adapters.
enum class ApplicationKind : uint8_t { systemd, scripts, postgresql, mariadb, redis, nginx, samba, nfs, mail };
struct Application {
    ApplicationKind kind = ApplicationKind::systemd;
    std::vector<std::string> units;                // in the order in which they start
    std::map<std::string, std::string> scripts;    // check, quiesce, release, stop, start, verify: absolute paths, the same on both hosts
    std::map<std::string, std::string> settings;   // of the kind: port, user, database, …
    uint64_t stop_limit_ns = 120'000'000'000, start_limit_ns = 120'000'000'000;
    bool operator==(const Application&) const = default;
};

// By which clients find whoever serves.
enum class IdentityKind : uint8_t { address, dns, hostname, script };
struct Identity {
    IdentityKind kind = IdentityKind::address;
    std::string address;       // "192.0.2.10/24", as the system writes it; of dns: the name that points to a host
    PerHost interface;         // of an address
    PerHost points_to;         // of dns: each host's own address
    std::string server, key;   // of dns: who is told, and the file with the key
    uint64_t ttl_s = 30;
    std::string program;       // of script: called with acquire, release or check
    bool operator==(const Identity&) const = default;
};

enum class OnMasterLost : uint8_t { notify, failover };

struct Acknowledgement {
    std::string check, reason;
    bool operator==(const Acknowledgement&) const = default;
};

struct Scenario {
    std::string name;
    std::array<std::string, 2> hosts;    // as peers are called; a host's own name as in its holdfastd.toml
    std::string master;                  // at first
    std::string witness;                 // a peer; "": none
    std::string fence;                   // a program that switches a host off; "": none
    std::vector<ScenarioVolume> volumes;
    Application application;
    std::vector<Identity> identities;
    AliveRules alive;
    std::string ping;                    // what is pinged; "": the peer's address
    std::string alive_script;
    OnMasterLost on_master_lost = OnMasterLost::notify;
    uint64_t loss_ns_max = 0, loss_bytes_max = 0;  // what an automatic takeover may lose; 0: nothing that is known
    bool starts_backward = true;
    uint64_t lease_ns = 10'000'000'000;  // with a witness
    std::map<Step, uint64_t> limits;     // other than the table's
    std::vector<Acknowledgement> acknowledged;
    bool operator==(const Scenario&) const = default;

    // The other of the two. REQUIRES: HOST is one of them.
    const std::string& other(const std::string& host) const { return hosts[0] == host ? hosts[1] : hosts[0]; }
    uint64_t limit_of(const StepRule& rule) const;
    // Paths of everything that it would have the engine run.
    std::set<std::string> programs() const;
};

const char* to_string(ApplicationKind kind);
const char* to_string(IdentityKind kind);
const char* to_string(OnMasterLost what);

// READ gives the text of a template, whose name is resolved beside WHERE by whoever reads. WHERE names the file in sentences. Errors: invalid_argument, with file, line and
// what to do; those of READ.
using ReadTemplate = std::function<Result<std::string>(const std::string& name)>;
Result<Scenario> parse_scenario(std::string_view text, const std::string& where, const ReadTemplate& read);

}  // namespace holdfast::ha

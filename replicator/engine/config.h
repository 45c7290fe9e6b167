// The engine's configuration, a TOML file that a person writes: where it listens, and what goes from where to where.
//
//     name = "alpha"                    # what peers call this host; by default the host name
//     listen = "0.0.0.0:4848"           # absent: this host only calls others
//     address = "alpha.example.org"     # where peers reach it; told to them when they are paired
//
//     [[send]]                          # this host is the source
//     volume = "/srv/data"              # directory, store or id
//     to = "beta"                       # a peer's name
//     limit = "10M"                     # bytes a second; absent: none
//     hours = [ { days = "mon-fri", from = 8, to = 18, limit = "1M" } ]    # the first that fits wins, local time
//     schedule = [ { days = "mon-fri", from = 20, to = 24 } ]              # the hours in which it is sent; absent: always
//     streams = 5                       # connections of a session, 1 to 8; absent: 5 when the round trip is 50 ms or longer, else 1
//     except = ["2026-12-24"]           # and the dates on which it is not
//
//     [[keep]]                          # this host keeps a replica
//     volume = "1f0c…"                  # id, as `holdfast status` shows it on the source
//     from = "alpha"
//     store = "/var/lib/holdfast/replicas/data"
//     delay = "2h"                      # what arrives is applied when it is so old; absent: at once
//     verify = "4M"                     # it is compared with the source all the time, so many bytes a second; this by default, "0": never
//     trust_times = true                # a repair takes files of equal size and time for equal; absent: it compares their bytes
//     accept_deletions = true           # a comparison with the source may delete most of what is here; absent: it stops and says so
//
//     [[peer]]                          # what a peer may ask of this engine's API, over the network
//     name = "beta"
//     control = "view"                  # none (by default), view, operate
//
//     [[notify]]                        # who is told of events (docs/events.md)
//     min_severity = "warning"          # by default
//     exec = ["/usr/local/bin/page-me"] # or webhook = "https://…", or mail = { to, from, server }
//
// A [[send]] whose volume is a [[keep]]'s id or store sends the replica on to a third host.
//
// It is also the authorization: a peer whose key is known may send exactly the volumes that a [[keep]] names for it, and gets
// exactly those that a [[send]] names.
//
// Thread rule: pure. Everything that is not known here is refused, so that a slip of the pen is no silent default.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "journal/ids.h"
#include "replicator/engine/control_rights.h"
#include "replicator/engine/pace.h"
#include "replicator/notify/notify_rule.h"
#include "replicator/protocol/wire_format.h"

namespace holdfast::replicator {

inline constexpr const char* config_file_default = "/etc/holdfast/holdfastd.toml";
inline constexpr size_t config_bytes_max = 1 << 20;
inline constexpr size_t edges_max = 256;
inline constexpr size_t notify_rules_max = 16;
inline constexpr uint32_t streams_max = 1 + HF_SIDE_STREAMS_MAX;
// The source reads as much.
inline constexpr uint64_t verify_bytes_per_second_default = 4 << 20;
inline constexpr uint64_t verify_bytes_per_second_min = 64 << 10;

struct SendRule {
    std::string volume, to;
    Limits limits;
    Schedule schedule;
    uint32_t streams = 0;  // 0: as the link is
    bool operator==(const SendRule&) const = default;
};
struct KeepRule {
    journal::VolumeId volume;
    std::string from, store;
    std::string directory;  // the standby directory; "": there is none
    bool replace_contents = false;
    uint64_t delay_ns = 0;
    bool accept_deletions = false, trust_times = false;
    uint64_t verify = verify_bytes_per_second_default;  // bytes a second
    bool operator==(const KeepRule&) const = default;
};

struct PeerRule {
    std::string name;
    ControlRight control = ControlRight::none;
};

struct Config {
    std::string name;
    std::string listen, address;  // empty: none
    std::vector<SendRule> send;
    std::vector<KeepRule> keep;
    std::vector<PeerRule> peers;
    std::vector<NotifyRule> notify;

    ControlRight control_of(std::string_view peer) const;
};

// Whether SEND passes on the replica that KEEP keeps: it names its id, its store or its image.
bool sends_on(const SendRule& send, const KeepRule& keep);
// WHERE names the file in sentences. Errors: invalid_argument, with line or table and what to do.
Result<Config> parse_config(std::string_view text, const std::string& where);
// Errors: not_found, io, those of parse_config().
Result<Config> load_config(const std::string& path);
// Its text. Of a file that is open already from where it stands; PATH names it in sentences. Errors: not_found, io, invalid_argument (too long).
Result<std::string> read_config(const std::string& path);
Result<std::string> read_config(int fd, const std::string& path);

}  // namespace holdfast::replicator

// The main process of holdfastd. It listens where the configuration says, forks the engine, which confines itself, and does for it what a confined
// process cannot: it starts the programs of task.h, opens the configuration and descriptions of stores, connects to the services of this host's
// volumes, and passes on what is said to systemd. It accepts no connection and reads no byte of another host (but of a
// name server, when `listen` is a name).
//
// The engine is believed as little as possible: a store is served only where the configuration names it as a replica's, a program runs only when a
// [[notify]] has named it, a socket is connected only when it belongs to a volume that the configuration leads to, and systemd is told nothing but a
// few fixed sentences.
//
//     starts ──forks──> an engine that reaches its places (places.h)
//     a reload leads to a place that it does not reach, or such a place comes to be  ──the engine ends in order──> another one is forked
//     the engine ends otherwise ──> this process ends as it did, and whoever started it starts it anew
//
// The sockets that listen outlive the engine, so whoever calls meanwhile waits and is answered by the next one. Killed, it takes the engine along.
//
// Thread rule: one thread. Limits: tasks_max programs at once.
#pragma once

#include <signal.h>

#include <functional>
#include <string>

#include "base/result.h"
#include "replicator/launch/outside.h"
#include "replicator/launch/places.h"

namespace holdfast::replicator {

inline constexpr size_t tasks_max = 1024;
// The engine that gets it ends in order, because another one takes its place.
inline constexpr int replaced_signal = SIGUSR2;

// What the forked process does; its return is the exit status.
using EngineMain = std::function<int(Handed handed, const Places& places)>;

// Until the engine has ended and is not to be replaced. What it returns is the exit status. Errors: those of the configuration, busy (another engine has the
// state, or the address is taken), io.
// REQUIRES: SIGTERM, SIGINT, SIGHUP and replaced_signal are blocked.
Result<int> launch(const std::string& config_path, const EngineMain& engine_main);

}  // namespace holdfast::replicator

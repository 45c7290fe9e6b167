// The store service of a replica, which applies what the inbound journal receives: started for the engine, ended with it.
//
// It is a process of its own, so that a store that dies, or is opened anew after damage, does not disturb the stream. While it
// runs it is watched through its control socket for how far it has applied.
//
// Thread rule: the loop's thread, except that start() and end() block: they belong to the replica's work.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "journal/ids.h"
#include "journal/volume.h"
#include "replicator/engine/config.h"
#include "replicator/launch/task.h"

namespace holdfast::replicator {

class StoreChild {
public:
    // Of the replica that RULE keeps. Errors: not_found (the program), io.
    static Result<StoreChild> start(const KeepRule& rule);

    bool has_ended() { return child_.wait(0); }
    std::string describe_end() const { return child_.describe_end(); }
    // Tells it to apply what is left and end; kills it when that takes longer than end_ms_max.
    void end();

private:
    StoreChild(Started child, UniqueFd keep_open) : child_(std::move(child)), keep_open_(std::move(keep_open)) {}

    Started child_;
    UniqueFd keep_open_;  // its end of file is the service's sign to end
};

// A store in STORE (absolute) for a replica of VOLUME: made and registered when it is not there (rewind/replica_store.h). Errors: those of
// rewind::make_replica_store(). Thread rule: blocks, any thread.
Result<journal::Volume> ensure_store(const std::string& store, const journal::VolumeId& volume, uint64_t segment_bytes);

// Runs `holdfast-store take-back`, and waits for it. REQUIRES: no service has the store open. Errors: those that it ends with.
// Thread rule: blocks, any thread.
Status take_store_back(const std::string& store, journal::Lsn at);

}  // namespace holdfast::replicator

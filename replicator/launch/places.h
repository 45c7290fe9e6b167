// Which directories and files the engine's process may reach, and for what: those that its configuration leads to. docs/confinement.md lists them.
//
// It is the launcher that looks them up. What the engine can write it does not believe there: a store that a [[keep]] names is a replica's whatever
// its description says by now.
//
// Thread rule: reads the file system; any thread. Blocks.
#pragma once

#include <string>
#include <cstdint>
#include <vector>

#include "journal/ids.h"
#include "replicator/engine/config.h"

namespace holdfast::replicator {

struct Place {
    enum class Use { read, write_existing, change };
    std::string path;
    Use use;
    bool is_needed;  // an engine that was born without it is replaced when it is there
    // Which directory it is; one that was made anew in its place is another.
    uint64_t device = 0, inode = 0, made_ns = 0;
};

struct Places {
    std::vector<Place> all;                 // those that are there
    std::vector<journal::VolumeId> volumes; // whose services the engine may speak to
};

// A rule is on a directory that is there. So that of a store which a [[keep]] names is made, empty, where only it is missing.
void make_store_directories(const Config& config);
Places places_for(const Config& config);
// A place that is in NEEDED, is needed and is not in HAD; empty: there is none.
std::string missing_place(const Places& needed, const Places& had);
// Whether the registry names STORE, a path without links.
bool is_registered_store(const std::string& store);

}  // namespace holdfast::replicator

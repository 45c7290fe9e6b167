// Making the store of a replica: a store without a directory, which applies what another host's journal brings.
//
// The journal itself is kept by whoever receives it (journal/inbound.h, in STORE/journal, with an in-flight table beside
// it); `holdfast-store run STORE` follows it there like any other. docs/processes.md says who does what.
// Thread rule: one thread, and one process per store.
#pragma once

#include <string>

#include "base/result.h"
#include "journal/volume.h"

namespace holdfast::rewind {

// Makes an empty store in the directory STORE (absolute, new or empty) that follows the journal of another host's VOLUME,
// and registers it. History begins at AT, the address where its journal begins: the image is the empty tree there, and what
// the tree's top is comes with the stream. ORIGIN is the source's: objects keep the ids that they have there. Durable on return.
//
// Done over when a crash interrupted it: the mark STORE/first-copy stays until the store is complete, and a store of the
// same volume that is complete is registered and returned as it is, whatever AT is.
// Errors: exists (STORE holds something else, or this host has another store of VOLUME), busy (another process has the store
// open), unsupported (its file system keeps no trusted attributes), invalid_argument, io, no_space. Nothing is left of a
// store that could not be made.
Result<journal::Volume> make_replica_store(const std::string& store, const journal::VolumeId& volume, uint64_t segment_bytes, uint32_t origin,
                                           journal::Lsn at);

}  // namespace holdfast::rewind

// What the engine's process gives up before it reads the first byte of another host, for good: programs, files but its places, Unix sockets but
// those that the launcher hands it, listening anywhere, capabilities. docs/confinement.md lists it and gives the reasons.
//
// It has no root of its own, unlike a store's service: its journals lie on disks that come and go, and a mount of its own would keep each of them busy. So
// what Landlock does not look at, changing modes, owners, times and xattrs, is refused by the filter.
//
// What a kernel does not have is left out and said.
// Thread rule: before the second thread starts.
#pragma once

#include "base/confine.h"
#include "replicator/launch/places.h"

namespace holdfast::replicator {

// What the libraries would look for later, when nothing can be loaded any more: how names are looked up, the time zone, OpenSSL's settings.
void prepare_libraries();

// REQUIRES: the ring that the engine works with is there; no other is made afterwards.
// Errors: those of the system where a layer that the kernel has could be applied only in part; the process must end then.
Result<Confined> confine_engine(const Places& places);

}  // namespace holdfast::replicator

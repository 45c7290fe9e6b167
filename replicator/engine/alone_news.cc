#include "replicator/engine/alone_news.h"

#include <algorithm>

namespace holdfast::replicator {

void AloneNews::look(const journal::VolumeId& volume, const std::string& name, uint32_t changes, const journal::Durability& durability) {
    // Whoever looks for the first time begins with a volume that is not alone.
    uint32_t& told = told_.try_emplace(volume, changes & ~1u).first->second;
    if (told > changes) told = changes & ~1u;  // a table of its own run
    told = std::max(told, changes - std::min(changes, 2u));
    while (told < changes) tell(name, ++told % 2 != 0, durability);
}

void AloneNews::tell(const std::string& name, bool is_alone, const journal::Durability& durability) {
    const char* const why = is_alone ? (durability.blocks() ? "fsync waits until one does" : "fsync does not wait for one until one has caught up")
                                     : (durability.waits() ? "one has everything that was fsynced" : "its durability is async");
    events_.raise(is_alone ? EventCode::volume_alone : EventCode::volume_accompanied, {.volume = name, .why = why});
}

}  // namespace holdfast::replicator

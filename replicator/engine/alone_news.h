// Tells when a volume whose fsyncs wait for a replica goes without one, and when it has one again: what its capture process says of
// itself in the in-flight table (journal/acknowledged.h), as events. Each change is told once, however many replicas the volume has
// and so however many edges look. One that an engine finds when it starts is told as well; those that came and went unseen are not.
//
// Thread rule: the loop's thread. Ownership: the log outlives it.
#pragma once

#include <map>
#include <string>

#include "journal/acknowledged.h"
#include "replicator/engine/events.h"

namespace holdfast::replicator {

class AloneNews {
public:
    explicit AloneNews(EventLog& events) : events_(events) {}

    // NAME: what sentences call VOLUME. CHANGES and DURABILITY as of one moment, in this order.
    void look(const journal::VolumeId& volume, const std::string& name, uint32_t changes, const journal::Durability& durability);

private:
    void tell(const std::string& name, bool is_alone, const journal::Durability& durability);

    EventLog& events_;
    std::map<journal::VolumeId, uint32_t> told_;
};

}  // namespace holdfast::replicator

// Tells when the history of a volume pauses because nothing can be recorded, when it goes on, and when only a mount will make it go on: what
// its capture process says of itself in the in-flight table (journal/gap_words.h), as events. Each change is told once, however many
// replicas the volume has and so however many edges look. A gap that an engine finds when it starts is told as well; those that came and went
// unseen are not.
//
// Thread rule: the loop's thread. Ownership: the log outlives it.
#pragma once

#include <map>
#include <string>

#include "journal/gap_words.h"
#include "journal/ids.h"
#include "replicator/engine/events.h"

namespace holdfast::replicator {

class GapNews {
public:
    explicit GapNews(EventLog& events) : events_(events) {}

    // NAME: what sentences call VOLUME.
    void look(const journal::VolumeId& volume, const std::string& name, const journal::GapReport& report);

private:
    struct Told {
        uint32_t changes = 0;
        bool needs_mount = false;  // that the open one does
    };
    void tell_of_begin(const std::string& name, const journal::GapReport& report, bool is_current);
    void tell_of_end(const std::string& name, const journal::GapReport& report, bool is_current);

    EventLog& events_;
    std::map<journal::VolumeId, Told> told_;
};

}  // namespace holdfast::replicator

// A source's journal of two sealed segments and one that is being written, as its capture process shares it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "journal/cursor.h"
#include "journal/inflight.h"
#include "journal/volume.h"
#include "replicator/engine/source_journal.h"
#include "test/support/journal_builder.h"
#include "test/support/scratch.h"

namespace holdfast::test {

using Cursors = std::vector<std::pair<std::string, journal::Lsn>>;

struct SourceBench {
    ScratchDirectory scratch;
    std::unique_ptr<Disk> disk = open_disk(scratch.path()).value();
    JournalBuilder builder;
    std::unique_ptr<journal::InflightTable> table;
    std::vector<journal::Lsn> ends;  // of records, in the third segment
    journal::Volume volume;

    explicit SourceBench(uint64_t first_segment = 0) : builder(*disk, first_segment) {
        std::filesystem::create_directory(scratch / "cursors");
        volume.id = builder.volume;
        volume.directory = "/srv/data";
        volume.journal_directory = scratch.path();
        volume.segment_bytes = JournalBuilder::segment_bytes;
        for (int i = 0; i < 2; ++i) {
            builder.add_write(1000);
            builder.add_write(2000);
            builder.seal();
        }
        for (int i = 0; i < 3; ++i) {
            builder.add_write(500);
            ends.push_back(builder.end());
        }
    }
    void mount() {
        table = journal::InflightTable::open(scratch / "inflight", volume.id).value();
        table->stamp_boot();
        table->head().published = builder.end();
    }
    std::unique_ptr<replicator::SourceJournal> open(const char* peer = "beta") const { return replicator::SourceJournal::open(volume, peer).value(); }
    Cursors cursors() const { return journal::load_cursors(*open_disk(scratch / "cursors").value(), volume.id).value(); }
};

}  // namespace holdfast::test

#include <cerrno>
#include <cstdio>

#include "journal/inflight.h"
#include "journal/reader.h"
#include "tools/cli/record_text.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;
using journal::InflightTable;
using journal::Lsn;
using journal::Volume;

// The table says how far the stream is published, if it is of this run of the host; nothing otherwise.
Result<std::unique_ptr<InflightTable>> live_table(const Volume& volume) {
    auto table = InflightTable::open_existing(volume.journal_directory + "/inflight");
    if (!table && table.error().code == ErrorCode::not_found) return std::unique_ptr<InflightTable>();
    if (!table) return table;
    return (*table)->survived() ? std::move(table) : Result<std::unique_ptr<InflightTable>>(nullptr);
}

// Writes to standard output as it goes: a journal is larger than memory.
class Printer {
public:
    explicit Printer(bool json) : json_(json) {}
    // False when nobody reads any more.
    Result<bool> print(const journal::Record& record) {
        std::string text = json_ ? (first_ ? "[\n" : ",\n") + cli::record_to_json(record).dump(-1, ' ', false, Json::error_handler_t::replace) : cli::record_line(record);
        first_ = false;
        return put(text);
    }
    Status finish() {
        if (json_) HF_TRY(put(first_ ? "[]\n" : "\n]\n"));
        if (std::fflush(stdout) != 0 && errno != EPIPE) return errno_error(errno, "write the records");
        return ok();
    }

private:
    Result<bool> put(const std::string& text) {
        if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size()) return true;
        if (errno == EPIPE) return false;
        return errno_error(errno, "write the records");
    }
    bool json_;
    bool first_ = true;
};

Result<Report> journal_dump(const Arguments& arguments) {
    Volume volume = HF_TRY(cli::resolve_volume(arguments.text("VOLUME")));
    auto disk = HF_TRY(open_disk(volume.journal_directory));
    auto table = HF_TRY(live_table(volume));
    auto extent = HF_TRY(journal::Reader::extent(*disk));
    Lsn oldest = journal::segment_begin(extent.first_segment, volume.segment_bytes);
    Lsn from = HF_TRY(arguments.number_or("--from", oldest));
    Lsn to = HF_TRY(arguments.number_or("--to", journal::lsn_max));
    uint64_t limit = HF_TRY(arguments.number_or("--limit", UINT64_MAX));
    if (from < oldest)
        return Error{ErrorCode::not_found, "the journal of " + printable(journal::name_of(volume)) + " begins at " + std::to_string(oldest) +
                                               ": what came before is in the history, see `holdfast log`"};
    journal::Reader reader(*disk, volume.id, volume.segment_bytes, table.get());
    reader.seek(from);
    Printer printer(arguments.json());
    for (uint64_t count = 0; count < limit; ++count) {
        auto record = HF_TRY(reader.next());
        if (!record || record->lsn >= to || !HF_TRY(printer.print(*record))) break;
    }
    HF_TRY(printer.finish());
    Report report;
    report.printed = true;
    return report;
}

}  // namespace

const Command journal_dump_command = {
    "journal dump",
    "print the records of a volume's journal",
    "holdfast journal dump /srv/data --from lsn:4096 --limit 100",
    {{"VOLUME", Parameter::Kind::required, "", "the protected directory, its store or id"},
     {"--from", Parameter::Kind::optional, "LSN", "the first record's address; by default the oldest in the journal"},
     {"--to", Parameter::Kind::optional, "LSN", "stop before this address"},
     {"--limit", Parameter::Kind::optional, "COUNT", "at most so many records"}},
    journal_dump};

}  // namespace holdfast::tools

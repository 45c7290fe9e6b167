// What replicating a directory would take, measured without a replica: its journal is followed for a while, and every record is
// packed as the engine packs what it ships (replicator/protocol/frame.h: zstd, level 1).
#include <signal.h>
#include <zstd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/text.h"
#include "journal/inflight.h"
#include "journal/reader.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::human_duration;
using journal::Lsn;
using journal::Volume;

constexpr uint64_t second_ns = 1'000'000'000;
constexpr uint64_t day_s = 24 * 3600;
constexpr size_t piece_bytes = 1 << 20;  // what the engine packs at a time
constexpr int zstd_level = 1;
constexpr uint32_t patience_ms = 200;
constexpr uint64_t span_default_ns = 3600 * second_ns, sample_default_ns = 600 * second_ns;

volatile sig_atomic_t is_interrupted = 0;

struct Sample {
    uint64_t begin_ns = 0, seconds = 0;
    uint64_t records = 0;
    uint64_t journal_bytes = 0;  // records with their heads
    uint64_t packed_bytes = 0;
    uint64_t busiest_second_bytes = 0;  // of the journal
};

// Follows the stream and adds it up.
class Meter {
public:
    explicit Meter(ZSTD_CCtx* context) : context_(context) {}

    void begin(uint64_t now_ns) {
        sample_ = {};
        sample_.begin_ns = now_ns;
        second_bytes_ = 0;
    }
    void take(const journal::RawRecord& record) {
        ++sample_.records;
        sample_.journal_bytes += record.bytes.size();
        piece_.insert(piece_.end(), record.bytes.begin(), record.bytes.end());
        if (piece_.size() >= piece_bytes) pack();
        second_bytes_ += record.bytes.size();
    }
    void second_is_over() {
        sample_.busiest_second_bytes = std::max(sample_.busiest_second_bytes, second_bytes_);
        second_bytes_ = 0;
    }
    Sample end(uint64_t now_ns) {
        pack();
        second_is_over();
        sample_.seconds = std::max<uint64_t>(1, (now_ns - sample_.begin_ns + second_ns / 2) / second_ns);
        return sample_;
    }

private:
    // What does not shrink travels as it is.
    void pack() {
        packed_.resize(ZSTD_compressBound(piece_.size()));
        const size_t size = ZSTD_compressCCtx(context_, packed_.data(), packed_.size(), piece_.data(), piece_.size(), zstd_level);
        sample_.packed_bytes += ZSTD_isError(size) ? piece_.size() : std::min(size, piece_.size());
        piece_.clear();
    }

    ZSTD_CCtx* const context_;
    Sample sample_;
    std::vector<std::byte> piece_, packed_;
    uint64_t second_bytes_ = 0;
};

Json to_json(const Sample& sample) {
    return {{"begin_ns", sample.begin_ns},           {"seconds", sample.seconds},          {"records", sample.records},
            {"journal_bytes", sample.journal_bytes}, {"packed_bytes", sample.packed_bytes}, {"busiest_second_bytes", sample.busiest_second_bytes}};
}

std::string a_second(uint64_t bytes) {
    return human_bytes(bytes) + "/s";
}

Report report_of(const Volume& volume, const std::vector<Sample>& samples) {
    Sample all;
    const Sample* busiest = &samples.front();
    uint64_t busiest_second = 0;
    cli::Table table({"from", ">changes", ">written", ">a second", ">busiest second", ">packed", ">a second, packed"});
    Report report;
    report.json["samples"] = Json::array();
    for (const Sample& sample : samples) {
        table.add({cli::local_time(sample.begin_ns), std::to_string(sample.records), human_bytes(sample.journal_bytes), a_second(sample.journal_bytes / sample.seconds),
                   human_bytes(sample.busiest_second_bytes), human_bytes(sample.packed_bytes), a_second(sample.packed_bytes / sample.seconds)});
        report.json["samples"].push_back(to_json(sample));
        all.seconds += sample.seconds;
        all.records += sample.records;
        all.journal_bytes += sample.journal_bytes;
        all.packed_bytes += sample.packed_bytes;
        busiest_second = std::max(busiest_second, sample.busiest_second_bytes);
        if (sample.packed_bytes * busiest->seconds > busiest->packed_bytes * sample.seconds) busiest = &sample;
    }
    const uint64_t bits = busiest->packed_bytes * 8 / busiest->seconds, a_day = all.journal_bytes * day_s / all.seconds;
    report.json.update({{"seconds", all.seconds}, {"records", all.records}, {"journal_bytes", all.journal_bytes}, {"packed_bytes", all.packed_bytes},
                        {"link_bits_per_second", bits}, {"journal_bytes_per_day", a_day}});
    report.text = table.text() + "\nIn " + human_duration(all.seconds * second_ns) + " " + cli::counted(all.records, "change", "changes") + ", " +
                  human_bytes(all.journal_bytes) + " of journal, " + human_bytes(all.packed_bytes) + " on the wire.\n" +
                  "A link of " + std::to_string((bits + 999) / 1000) + " kbit/s would have kept up in the busiest sample; in the busiest second " +
                  human_bytes(busiest_second) + " of journal were written.\n" + "At this rate a day writes " + human_bytes(a_day) +
                  " of journal: so much space lets a replica stay away for a day, and a day of history takes at most that.\n";
    if (volume.journal_bytes_max != 0 && all.journal_bytes != 0)
        report.text += "The journal of " + human_bytes(volume.journal_bytes_max) + " that this volume may have lasts for " +
                       human_duration(volume.journal_bytes_max / std::max<uint64_t>(1, all.journal_bytes / all.seconds) * second_ns) + ".\n";
    return report;
}

Result<Report> assess(const Arguments& arguments) {
    const Volume volume = HF_TRY(cli::resolve_volume(arguments.text("DIR")));
    const uint64_t span_ns = HF_TRY(arguments.duration_ns_or("--for", span_default_ns));
    const uint64_t sample_ns = std::min(HF_TRY(arguments.duration_ns_or("--every", sample_default_ns)), span_ns);
    if (sample_ns < second_ns) return Error{ErrorCode::invalid_argument, "a sample of less than a second says nothing; give --for and --every longer times"};
    auto disk = HF_TRY(open_disk(volume.journal_directory));
    auto table = journal::InflightTable::open_existing(volume.journal_directory + "/inflight");
    if (!table && table.error().code != ErrorCode::not_found) return table.error();
    if (!table || !(*table)->survived())
        return Error{ErrorCode::unavailable, "nothing is written here: " + cli::printable(journal::name_of(volume)) + " is not mounted"};
    const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), &ZSTD_freeCCtx);
    if (!context) return Error{ErrorCode::no_space, "there is no memory for packing"};

    struct sigaction action = {};
    action.sa_handler = [](int) { is_interrupted = 1; };
    ::sigaction(SIGINT, &action, nullptr);
    const Clock& clock = system_clock();
    journal::Reader reader(*disk, volume.id, volume.segment_bytes, table->get());
    reader.seek((*table)->head().published.load());
    Meter meter(context.get());
    std::vector<Sample> samples;
    cli::Progress progress("following " + cli::printable(journal::name_of(volume)), arguments.json());
    const uint64_t start_ns = clock.monotonic_ns(), end_ns = start_ns + span_ns;
    meter.begin(clock.realtime_ns());
    uint64_t sample_due_ns = start_ns + sample_ns, second_due_ns = start_ns + second_ns;
    for (;;) {
        const uint64_t now_ns = clock.monotonic_ns();
        const bool is_over = now_ns >= end_ns || is_interrupted;
        if (now_ns >= second_due_ns) {
            meter.second_is_over();
            second_due_ns = now_ns + second_ns;
            progress.update((now_ns - start_ns) / second_ns, span_ns / second_ns, false);
        }
        if (now_ns >= sample_due_ns || is_over) {
            samples.push_back(meter.end(clock.realtime_ns()));
            meter.begin(clock.realtime_ns());
            sample_due_ns += sample_ns;
        }
        if (is_over) break;
        auto record = reader.next_raw();
        // The journal keeps nothing for this command.
        if (!record && record.error().code == ErrorCode::not_found)
            return Error{ErrorCode::unavailable, "the journal was faster than this command could follow it; try again when the machine is less busy"};
        if (!record) return record.error();
        if (*record)
            meter.take(**record);
        else
            (*table)->wait_published(reader.position(), patience_ms);
    }
    progress.clear();
    return report_of(volume, samples);
}

}  // namespace

const Command assess_command = {
    "assess",
    "measure what replicating a directory would take, without a replica",
    "holdfast assess /srv/data --for 8h",
    {{"DIR", Parameter::Kind::required, "", "the protected directory, its store or id"},
     {"--for", Parameter::Kind::optional, "DURATION", "how long to look, by default 1h; Ctrl-C ends earlier, with a report"},
     {"--every", Parameter::Kind::optional, "DURATION", "the length of a sample, by default 10m"}},
    assess};

}  // namespace holdfast::tools

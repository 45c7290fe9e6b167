// ship_journal SOURCE REPLICA [--only-make] [--cut]: brings the journal of the store SOURCE into the store REPLICA of the
// same volume, which it makes when it is not there, and goes on with that until SIGTERM, and then until nothing is left.
//
// It stands in for what carries a journal between hosts: same calls, no network. It keeps the cursor `replica-test` in
// the source's journal, and releases on the replica what its store has taken. It says "ready" when it begins to ship.
//     --only-make   makes the store, keeps its place in the source's journal, and ends
//     --cut         first forgets what the replica's store has not applied, as after a fork, and ships it again
// May be killed at any moment. Exit status: 0 all shipped, 1 with a sentence.
#include <signal.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/disk.h"
#include "base/json_socket.h"
#include "journal/cursor.h"
#include "journal/inbound.h"
#include "journal/reader.h"
#include "rewind/replica_store.h"

using namespace holdfast;
using namespace holdfast::journal;

namespace {

constexpr const char* own_consumer = "replica-test";
constexpr size_t batch_bytes = 64 << 10;
constexpr int batches_per_sync = 32;
constexpr uint32_t idle_ms = 20;

volatile sig_atomic_t is_ending = 0;

struct Hosts {
    Volume source, replica;
    std::unique_ptr<Disk> source_disk, source_cursors, replica_disk, replica_cursors;
    std::unique_ptr<InflightTable> source_table, replica_table;
    std::unique_ptr<Inbound> inbound;
    std::unique_ptr<Reader> reader;

    Lsn published() const { return source_table->head().published.load(); }
};

// The source keeps what the replica has not from the first moment on: nothing else brings it.
Result<Volume> make_replica(const Volume& source, const std::string& store) {
    auto disk = HF_TRY(open_disk(source.journal_directory));
    auto cursors = HF_TRY(open_disk(source.journal_directory + "/cursors"));
    const auto kept = HF_TRY(Reader::extent(*disk));
    const Lsn begin = segment_begin(kept.first_segment, source.segment_bytes);
    bool has_place = false;
    for (const auto& [consumer, position] : HF_TRY(load_cursors(*cursors, source.id))) has_place |= consumer == own_consumer;
    if (!has_place) HF_TRY(save_cursor(*cursors, source.id, own_consumer, begin));
    return rewind::make_replica_store(store, source.id, source.segment_bytes, source.origin, begin);
}

Result<Hosts> open_hosts(const Volume& source, const Volume& replica) {
    Hosts hosts;
    hosts.source = source;
    hosts.replica = replica;
    hosts.source_disk = HF_TRY(open_disk(source.journal_directory));
    hosts.source_cursors = HF_TRY(open_disk(source.journal_directory + "/cursors"));
    hosts.replica_disk = HF_TRY(open_disk(replica.journal_directory));
    hosts.replica_cursors = HF_TRY(open_disk(replica.journal_directory + "/cursors"));
    hosts.source_table = HF_TRY(InflightTable::open_existing(source.journal_directory + "/inflight"));
    hosts.replica_table = HF_TRY(InflightTable::open(replica.journal_directory + "/inflight", replica.id));
    std::string evidence;
    hosts.inbound = HF_TRY(Inbound::open(*hosts.replica_disk, hosts.replica_table.get(), replica.id, replica.segment_bytes, &evidence));
    std::printf("%s\n", evidence.c_str());
    return hosts;
}

// Nothing of what is cut may be in the store, now or a moment later: it is held meanwhile.
Status cut_what_is_not_applied(Hosts& hosts) {
    const std::string socket = store_socket(hosts.replica.id);
    const Lsn applied = HF_TRY(json_call(socket, {{"verb", "hold"}})).value("applied", Lsn{0});
    const Lsn received = hosts.inbound->received();
    const Status cut = hosts.inbound->cut(std::max(applied, hosts.inbound->begin()));
    std::printf("cut from %llu to %llu\n", static_cast<unsigned long long>(received), static_cast<unsigned long long>(hosts.inbound->received()));
    HF_TRY(json_call(socket, {{"verb", "go-on"}}));
    return cut;
}

// False: there is nothing to ship now.
Result<bool> ship_next(Hosts& hosts) {
    const Lsn from = hosts.inbound->received();
    if (from % hosts.source.segment_bytes == 0) {
        if (hosts.published() <= from + HF_SEGMENT_HEADER_BYTES) return false;
        const auto header = HF_TRY(read_segment_header(*hosts.source_disk, hosts.source.id, hosts.source.segment_bytes, from / hosts.source.segment_bytes));
        HF_TRY(hosts.inbound->begin_segment(bytes_of(header)));
        return true;
    }
    if (!hosts.reader || hosts.reader->position() != from) {
        hosts.reader = std::make_unique<Reader>(*hosts.source_disk, hosts.source.id, hosts.source.segment_bytes, hosts.source_table.get());
        hosts.reader->seek(from);
    }
    std::vector<std::byte> batch;
    do {
        const auto raw = HF_TRY(hosts.reader->next_raw());
        if (!raw) break;
        batch.insert(batch.end(), raw->bytes.begin(), raw->bytes.end());
        if (raw->type == HF_SEGMENT_END) break;
    } while (batch.size() < batch_bytes);
    if (batch.empty()) return false;
    HF_TRY(hosts.inbound->append(batch));
    return true;
}

// What the replica has durably need not stay on the source; what its store has taken need not stay on the replica.
Status acknowledge(Hosts& hosts) {
    HF_TRY(hosts.inbound->sync());
    HF_TRY(save_cursor(*hosts.source_cursors, hosts.source.id, own_consumer, hosts.inbound->durable()));
    if (const auto taken = HF_TRY(lowest_cursor(*hosts.replica_cursors, hosts.replica.id))) HF_TRY(hosts.inbound->release_below(*taken));
    return ok();
}

Status ship(Hosts& hosts) {
    for (int batches = 0;;) {
        const bool has_shipped = HF_TRY(ship_next(hosts));
        if (!has_shipped || ++batches % batches_per_sync == 0) HF_TRY(acknowledge(hosts));
        if (!has_shipped && is_ending) return ok();
        if (!has_shipped) hosts.source_table->wait_published(hosts.published(), idle_ms);
    }
}

Status run(const std::vector<std::string>& words) {
    const bool only_makes = words.back() == "--only-make", cuts = words.back() == "--cut";
    const Volume source = HF_TRY(load_volume(words[0]));
    const Volume replica = HF_TRY(make_replica(source, words[1]));
    if (only_makes) return ok();
    Hosts hosts = HF_TRY(open_hosts(source, replica));
    if (cuts) HF_TRY(cut_what_is_not_applied(hosts));
    std::printf("ready\n");
    std::fflush(stdout);
    return ship(hosts);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    struct sigaction ending {};
    ending.sa_handler = [](int) { is_ending = 1; };
    ::sigaction(SIGTERM, &ending, nullptr);
    const Status done = run({argv + 1, argv + argc});
    if (done) return 0;
    std::fprintf(stderr, "ship_journal: %s\n", done.error().message.c_str());
    return 1;
}

#include "test/sim/simulation.h"

#include <algorithm>

#include "journal/reader.h"
#include "test/sim/replica_host.h"
#include "test/sim/source_host.h"

namespace holdfast::sim {

using namespace journal;

namespace {

constexpr uint64_t millisecond = 1'000'000;
constexpr uint64_t quiet_rounds_max = 20'000;
constexpr uint64_t segment_bytes = test::JournalBuilder::segment_bytes;

class Simulation {
public:
    explicit Simulation(uint64_t seed) : random_(seed) {}

    void begin();
    void trouble(uint64_t steps);
    void quiet();
    void compare();
    std::map<std::string, uint64_t>& events() { return events_; }

private:
    struct Trouble {
        unsigned weight;
        const char* name;
        void (Simulation::*happen)();
    };
    static const Trouble troubles[];

    void count(const std::string& what) { ++events_[what]; }
    void connect();
    void deliver();
    void pass_time();
    void wait_long() { now_ns_ += 15'000 * millisecond, deliver(); }
    void work() { source_.work(now_ns_); }
    void sync() { source_.sync(); }
    void release() { source_.release(); }
    void cut_unnoticed() { network_.cut(); }
    void cut_noticed() { network_.cut(), source_.disconnected(), replica_.disconnected(); }
    void add_noise() { network_.set_noise(network_noise_ = network_noise_ ? 0 : 200); }
    void kill_replica() { network_.cut(), replica_.kill(); }
    void replica_loses_power() { network_.cut(), replica_.lose_power(); }
    void source_loses_power() { network_.cut(), source_.lose_power(); }
    void replica_diverges() { network_.cut(), replica_.diverge(); }
    void fill_disk() { replica_.fill_disk(); }
    void empty_disk() { replica_.empty_disk(); }
    void replace_disks() { network_.cut(), replica_.lose_disks(); }
    void forget_replica() { network_.cut(), source_.forget_replica(); }
    void compare_journals();

    std::mt19937_64 random_;
    uint64_t now_ns_ = 1'000'000 * millisecond;
    uint64_t network_noise_ = 0;
    std::map<std::string, uint64_t> events_;
    Ledger ledger_;
    Network network_{random_};
    SourceHost source_{random_, network_, ledger_};
    ReplicaHost replica_{random_, network_, ledger_, source_.volume()};
    std::string_view last_decision_;
};

const Simulation::Trouble Simulation::troubles[] = {
    {500, "time passes", &Simulation::pass_time},
    {250, "work", &Simulation::work},
    {60, "source syncs", &Simulation::sync},
    {60, "connect", &Simulation::connect},
    {20, "connection breaks unnoticed", &Simulation::cut_unnoticed},
    {15, "connection breaks", &Simulation::cut_noticed},
    {10, "bit errors begin or end", &Simulation::add_noise},
    {12, "replica is killed", &Simulation::kill_replica},
    {12, "replica loses power", &Simulation::replica_loses_power},
    {14, "source loses power", &Simulation::source_loses_power},
    {8, "replica writes on its own", &Simulation::replica_diverges},
    {8, "replica's disk is full", &Simulation::fill_disk},
    {16, "replica's disk has room", &Simulation::empty_disk},
    {20, "source forgets", &Simulation::release},
    {8, "long silence", &Simulation::wait_long},
    {3, "replica's disks are replaced", &Simulation::replace_disks},
    {4, "source forgets its replica", &Simulation::forget_replica},
};

void Simulation::connect() {
    if (network_.is_up() && source_.has_session() && replica_.has_session()) return;
    network_.connect();
    last_decision_ = {};
    // Who greets first is not said.
    if (random_() % 2) {
        source_.connected(now_ns_);
        replica_.connected(now_ns_);
    } else {
        replica_.connected(now_ns_);
        source_.connected(now_ns_);
    }
    count("connected");
}

void Simulation::deliver() {
    for (const auto& bytes : network_.arrived(Side::source, now_ns_)) source_.receive(bytes, now_ns_);
    for (const auto& bytes : network_.arrived(Side::replica, now_ns_)) replica_.receive(bytes, now_ns_);
    source_.tick(now_ns_);
    replica_.tick(now_ns_);
    if (source_.decision() == last_decision_) return;
    last_decision_ = source_.decision();
    if (!last_decision_.empty()) count("handshake: " + std::string(last_decision_));
}

void Simulation::pass_time() {
    uint64_t next_ns = now_ns_ + random_() % (50 * millisecond);
    if (const auto arrival = network_.next_arrival(); arrival && random_() % 4) next_ns = std::max(now_ns_, *arrival);
    else if (const auto due = replica_.sync_due(); due && random_() % 4) next_ns = std::max(now_ns_, *due);
    now_ns_ = next_ns;
    deliver();
}

// Most runs begin with a replica that was filled already: the others hardly ever come to where histories part.
void Simulation::begin() {
    if (random_() % 4 == 0) return;
    work();
    sync();
    quiet();
}

void Simulation::trouble(uint64_t steps) {
    unsigned all = 0;
    for (const Trouble& trouble : troubles) all += trouble.weight;
    for (uint64_t step = 0; step < steps; ++step) {
        unsigned draw = static_cast<unsigned>(random_() % all);
        const Trouble* chosen = troubles;
        for (; draw >= chosen->weight; ++chosen) draw -= chosen->weight;
        count(chosen->name);
        (this->*chosen->happen)();
    }
}

void Simulation::quiet() {
    network_.set_noise(0);
    replica_.empty_disk();
    // What noise has already damaged is still on its way.
    cut_noticed();
    for (uint64_t round = 0; round < quiet_rounds_max; ++round) {
        if (replica_.durable() == moment_of(source_.published(), segment_bytes) && replica_.is_streaming()) return count("in step");
        connect();
        pass_time();
    }
    throw Failure("after quiet the replica is at " + std::to_string(replica_.durable()) + " and the source at " + std::to_string(source_.published()));
}

// A seal that recovery wrote anew has another time than the one that was lost; what it says of the segment is the same.
bool is_same(const RawRecord& a, const RawRecord& b) {
    if (a.lsn != b.lsn || a.length != b.length || a.type != b.type || a.bytes.size() != b.bytes.size()) return false;
    const size_t skip = a.type == HF_SEGMENT_END ? sizeof(hf_record_header) : 0;
    return std::equal(a.bytes.begin() + static_cast<ptrdiff_t>(skip), a.bytes.end(), b.bytes.begin() + static_cast<ptrdiff_t>(skip));
}

void Simulation::compare() {
    if (replica_.repairs() > 0) events_["repairs"] += replica_.repairs();
    source_.sync();
    replica_.catch_up();
    if (source_.store().applied() != replica_.store().applied())
        throw Failure("the replica's store is at " + std::to_string(replica_.store().applied()) + " and the source's at " + std::to_string(source_.store().applied()));
    if (source_.store().image() != replica_.store().image()) throw Failure("the replica's image differs from the source's");
    // Of a journal that has just begun anew nothing need be kept.
    if (Reader::extent(replica_.disk())) compare_journals();
}

void Simulation::compare_journals() {
    const Lsn from = std::max(must(Reader::extent(source_.disk()), "extent").first_segment, must(Reader::extent(replica_.disk()), "extent").first_segment) * segment_bytes;
    Reader ours(source_.disk(), source_.volume(), segment_bytes, nullptr), theirs(replica_.disk(), source_.volume(), segment_bytes, nullptr);
    ours.seek(from);
    theirs.seek(from);
    for (;;) {
        const auto a = must(ours.next_raw(), "read the source"), b = must(theirs.next_raw(), "read the replica");
        if (!a && !b) break;
        if (!a || !b || !is_same(*a, *b)) throw Failure("the replica differs from the source at " + std::to_string(a ? a->lsn : b->lsn));
        count("records compared");
        if (a->type == HF_SEGMENT_END && a->length == HF_SEGMENT_END_BYTES) count("segments compared that are full to the last byte");
    }
}

}  // namespace

RunReport simulate(uint64_t seed, uint64_t steps) {
    RunReport report;
    Simulation simulation(seed);
    try {
        simulation.begin();
        simulation.trouble(steps);
        simulation.quiet();
        simulation.compare();
    } catch (const Failure& failure) {
        report.failure = failure.what();
    }
    report.events = simulation.events();
    return report;
}

}  // namespace holdfast::sim

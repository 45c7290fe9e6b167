// The model test of the store: random histories of every kind of record go through the real journal and the real
// store, and then the view at every LSN must equal the model's state there. No mount, no other process.
//
//   history_test [--points N] [--seed S] [--ops N]
//
// In half of them the store has a standby directory, which follows now and then, is killed at it, and must be the model's state whenever it has followed.
//
// In some of the histories the store is taken back now and then, as a replica is whose source lost its end: to a random moment,
// with the process killed in the middle of it or not, and history goes on differently from there.
//
// The seed is printed; a failing history is shrunk to the operations that matter and printed record by record.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>

#include "test/model/bench.h"
#include "rewind/service/confinement.h"
#include "test/model/compare.h"
#include "test/model/moments.h"

namespace holdfast::test {
namespace {

// Taking back a history as short as these takes about that long.
constexpr unsigned kill_after_us_max = 100'000;

// What to do with the store while a history goes into it.
struct Schedule {
    uint64_t seed;
    bool reopens;     // close and open the store now and then
    bool goes_back;   // the end of history is taken away now and then
    bool has_standby;
};

// Journal and store of one history.
class Bench {
public:
    Status open(bool has_standby) {
        volume_ = HF_TRY(make_volume(scratch_.path, has_standby));
        journal_ = HF_TRY(WrittenJournal::open(volume_));
        return open_store();
    }
    Status open_store() {
        store_.reset();
        store_ = HF_TRY(FollowingStore::open(volume_));
        return ok();
    }
    Status apply_all() { return store_->apply_all(); }
    // The store first, the journal afterwards, as on a replica. KILL_AFTER_US: a first attempt in another process is killed after so long.
    Status take_back(journal::Lsn at, std::optional<unsigned> kill_after_us) {
        if (kill_after_us) {
            store_.reset();
            HF_TRY(killed([&] { return taken_back(at); }, *kill_after_us));
            HF_TRY(open_store());
        }
        HF_TRY(store_->store().take_back(at));
        store_.reset();
        journal_.reset();
        HF_TRY(cut_journal(volume_, at));
        journal_ = HF_TRY(WrittenJournal::open(volume_));
        return open_store();
    }
    // KILL_AFTER_US: a first attempt in another process is killed after so long; 0: there is none. Nothing: it is MODEL.
    std::optional<std::string> follow_with_standby(const Model& model, unsigned kill_after_us) {
        if (kill_after_us > 0) {
            store_.reset();
            const bool confined = kill_after_us % 2;
            if (Status done = killed([&] { return advanced(confined); }, kill_after_us); !done) return done.error().message;
            if (Status opened = open_store(); !opened) return opened.error().message;
            if (Status applied = apply_all(); !applied) return applied.error().message;
        }
        advance();
        if (const auto failure = store().standby()->failure) return failure->message;
        if (store().standby()->position != store().applied()) return "it is at " + std::to_string(store().standby()->position);
        return standby_difference(volume_.directory, volume_.store, model);
    }
    journal::Writer& writer() { return journal_->writer(); }
    rewind::Store& store() { return store_->store(); }

private:
    void advance() {
        while (store().advance_standby()) {}
    }
    Status advanced(bool confined) {
        if (confined) HF_TRY(rewind::confine_to(volume_, {}));
        HF_TRY(open_store());
        HF_TRY(apply_all());
        advance();
        if (const auto failure = store().standby()->failure) return *failure;
        store().save_standby();
        return ok();
    }
    Status taken_back(journal::Lsn at) {
        HF_TRY(open_store());
        return store_->store().take_back(at);
    }
    // Runs DO in a process of its own, which may not live to its end.
    template <typename Do>
    static Status killed(Do&& what, unsigned after_us) {
        const pid_t child = ::fork();
        if (child < 0) return errno_error(errno, "fork");
        if (child == 0) ::_exit(what() ? 0 : 1);
        ::usleep(after_us);
        ::kill(child, SIGKILL);
        int status = 0;
        ::waitpid(child, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) != 0) return Error{ErrorCode::io, "taking back failed in a process of its own"};
        return ok();
    }

    ScratchHere scratch_{"history"};
    journal::Volume volume_;
    std::unique_ptr<WrittenJournal> journal_;
    std::unique_ptr<FollowingStore> store_;
};

Outcome run_history(const std::vector<Op>& ops, const Schedule& schedule, std::vector<std::string>* told = nullptr) {
    Bench bench;
    if (auto status = bench.open(schedule.has_standby); !status) return {0, "open: " + status.error().message};
    std::mt19937_64 random(schedule.seed);
    Generator generator;
    std::vector<Moment> moments;
    Model model;
    for (const Op& op : ops) {
        OwnedRecord made = generator.next(model, op);
        if (!made) continue;
        if (told) told->push_back(tell(made.record));
        auto lsn = bench.writer().append(made.record);
        if (!lsn) return {0, "append: " + lsn.error().message};
        if (moments.empty()) moments.push_back({*lsn, Model()});
        model.apply(made.record);
        moments.push_back({bench.writer().published(), model});
        if (schedule.goes_back && random() % 40 == 0) {
            if (auto status = bench.apply_all(); !status) return {0, "apply: " + status.error().message};
            const size_t index = random() % moments.size();
            const auto kill_after_us = random() % 2 ? std::optional<unsigned>(random() % kill_after_us_max) : std::nullopt;
            if (told) told->push_back("BACK TO " + std::to_string(moments[index].at));
            if (auto status = bench.take_back(moments[index].at, kill_after_us); !status) return {0, "take back: " + status.error().message};
            moments.resize(index + 1);
            model = moments.back().model;
            Outcome sample = check_moments(bench.store(), moments, 3);
            if (!sample.failure.empty()) return {0, "taken back: " + sample.failure};
            // The image alone, because nothing has come after it.
            if (auto found = difference(rewind::View(bench.store(), moments.back().at), model)) return {0, "the image taken back: " + *found};
        }
        if (random() % 16 == 0) {
            if (auto status = bench.apply_all(); !status) return {0, "apply: " + status.error().message};
            if (schedule.reopens && random() % 4 == 0) {
                if (random() % 2 == 0) (void)bench.store().checkpoint();
                if (auto status = bench.open_store(); !status) return {0, "reopen: " + status.error().message};
            }
            if (schedule.has_standby && random() % 3 == 0) {
                const unsigned kill_after_us = random() % 4 == 0 ? random() % kill_after_us_max : 0;
                if (random() % 16 == 0) (void)bench.store().compare_standby();
                if (random() % 4 == 0) bench.store().save_standby();
                if (auto found = bench.follow_with_standby(model, kill_after_us)) return {0, "the standby directory: " + *found};
            }
            if (random() % 8 == 0) {
                Outcome sample = check_moments(bench.store(), moments, 7);
                if (!sample.failure.empty()) return sample;
            }
        }
    }
    if (auto status = bench.apply_all(); !status) return {0, "apply: " + status.error().message};
    if (bench.store().applied() < bench.writer().published()) return {0, "the store did not take in everything"};
    if (schedule.has_standby)
        if (auto found = bench.follow_with_standby(model, 0)) return {0, "the standby directory in the end: " + *found};
    return check_moments(bench.store(), moments, 1);
}

// Leaves out ever smaller stretches of the history as long as it still fails (delta debugging).
std::vector<Op> shrink(std::vector<Op> ops, const Schedule& schedule) {
    for (size_t stretch = ops.size() / 2; stretch > 0; stretch /= 2) {
        for (size_t start = 0; start + stretch <= ops.size();) {
            std::vector<Op> fewer(ops.begin(), ops.begin() + start);
            fewer.insert(fewer.end(), ops.begin() + start + stretch, ops.end());
            if (run_history(fewer, schedule).failure.empty()) {
                start += stretch;
            } else {
                ops = std::move(fewer);
            }
        }
    }
    return ops;
}

int run(size_t points_wanted, uint64_t seed, size_t ops_per_history) {
    size_t points = 0, histories = 0;
    for (; points < points_wanted; ++seed, ++histories) {
        const Schedule schedule{seed, seed % 2 == 1, seed % 3 == 0, seed % 4 < 2};
        auto ops = random_ops(seed, ops_per_history);
        Outcome outcome = run_history(ops, schedule);
        points += outcome.points;
        if (outcome.failure.empty()) continue;
        std::printf("seed %lu fails: %s\n", seed, outcome.failure.c_str());
        ops = shrink(ops, schedule);
        std::vector<std::string> told;
        outcome = run_history(ops, schedule, &told);
        std::printf("shrunk to %zu operations: %s\n", ops.size(), outcome.failure.c_str());
        for (const auto& line : told) std::printf("  %s\n", line.c_str());
        return 1;
    }
    std::printf("%zu points of %zu histories equal the model, last seed %lu\n", points, histories, seed - 1);
    return 0;
}

}  // namespace
}  // namespace holdfast::test

int main(int argc, char** argv) {
    size_t points = 20000, ops = 160;
    uint64_t seed = static_cast<uint64_t>(time(nullptr)) * 1000;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string option = argv[i];
        const uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
        if (option == "--points") points = value;
        else if (option == "--seed") seed = value;
        else if (option == "--ops") ops = value;
        else return std::fprintf(stderr, "usage: history_test [--points N] [--seed S] [--ops N]\n"), 2;
    }
    if (geteuid() != 0) return std::fprintf(stderr, "skipped: needs root for owners, devices and trusted xattrs\n"), 77;
    std::printf("first seed %lu\n", seed);
    return holdfast::test::run(points, seed, ops);
}

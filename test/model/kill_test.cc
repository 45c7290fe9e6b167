// The store under kills: a child process takes a random history in and is killed at a random system call, again and again,
// also in the middle of its recovery; in between and in the end the view at every LSN must equal the model.
//
//   kill_test [--kills N] [--seed S] [--ops N]
//   kill_test --prepare DIR | --apply DIR | --check DIR  --seed S --ops N     the parts, for test/crash/store_power_loss.sh
//
// The child is traced, so that a kill falls exactly before or after a system call of its main thread: every state that the
// disk goes through is one that a kill can leave. A process that has threads (RocksDB's) must not fork, so this one
// never opens a store: whoever applies and whoever compares is a child.
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "test/model/bench.h"
#include "test/model/moments.h"

namespace holdfast::test {
namespace {

constexpr int kills_per_history = 12;
constexpr int child_failed = 3;

struct History {
    std::vector<Moment> moments;
    std::vector<std::string> told;
};

Result<History> write_history(const journal::Volume& volume, uint64_t seed, size_t ops) {
    auto journal = HF_TRY(WrittenJournal::open(volume));
    History history;
    Generator generator;
    Model model;
    for (const Op& op : random_ops(seed, ops)) {
        OwnedRecord made = generator.next(model, op);
        if (!made) continue;
        history.told.push_back(tell(made.record));
        const journal::Lsn lsn = HF_TRY(journal->writer().append(made.record));
        if (history.moments.empty()) history.moments.push_back({lsn, Model()});
        model.apply(made.record);
        history.moments.push_back({journal->writer().published(), model});
    }
    return history;
}

Status apply_history(const journal::Volume& volume, uint64_t seed) {
    std::mt19937_64 random(seed);
    auto bench = HF_TRY(FollowingStore::open(volume));
    while (HF_TRY(bench->store().apply(bench->reader(), 1 + random() % 20000)) > 0) {
        if (random() % 4 == 0) HF_TRY(bench->store().checkpoint());
    }
    HF_TRY(bench->store().checkpoint());
    return ok();
}

Status compare(const journal::Volume& volume, const History& history, bool whole) {
    // Without the table: after a reboot it knows nothing.
    auto bench = HF_TRY(FollowingStore::open(volume, false));
    const std::string evidence = bench->store().evidence();
    if (whole) HF_TRY(bench->apply_all());
    if (whole && bench->store().applied() < history.moments.back().at)
        return Error{ErrorCode::corrupt, "the store did not take in everything"};
    const Outcome outcome = check_moments(bench->store(), history.moments, 1);
    if (!outcome.failure.empty()) return Error{ErrorCode::corrupt, outcome.failure + "\n  evidence: " + evidence};
    return ok();
}

pid_t start(bool traced, const std::function<Status()>& work) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child != 0) return child;
    if (traced) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        raise(SIGSTOP);
    }
    const Status status = work();
    if (!status) std::printf("%s\n", status.error().message.c_str());
    std::fflush(nullptr);
    _exit(status ? 0 : child_failed);
}

// Lets CHILD make CALLS system calls of its main thread and kills it. True when it ended by itself before.
bool kill_after(pid_t child, uint64_t calls, int* status) {
    if (waitpid(child, status, 0) != child || !WIFSTOPPED(*status)) return true;
    ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
    int signal = 0;
    for (uint64_t stops = 0; stops < 2 * calls; ++stops) {  // one stop before, one after each call
        ptrace(PTRACE_SYSCALL, child, nullptr, signal);
        if (waitpid(child, status, 0) != child || !WIFSTOPPED(*status)) return true;
        signal = WSTOPSIG(*status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(*status);
    }
    kill(child, SIGKILL);
    waitpid(child, status, 0);
    return false;
}

// Everything about one history; false when something differed.
bool run_history(uint64_t seed, size_t ops, int* kills) {
    const ScratchHere scratch("kill");
    const auto volume = make_volume(scratch.path);
    const auto history = volume ? write_history(*volume, seed, ops) : Result<History>(volume.error());
    if (!history) return std::printf("%s\n", history.error().message.c_str()), false;
    std::mt19937_64 random(seed);
    const auto check = [&](bool whole) {
        int status = 0;
        waitpid(start(false, [&] { return compare(*volume, *history, whole); }), &status, 0);
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    };
    const auto fail = [&](const char* when) {
        std::printf("seed %lu fails %s, after %d kills\n", seed, when, *kills);
        for (const std::string& line : history->told) std::printf("  %s\n", line.c_str());
        return false;
    };
    for (int round = 0; round < kills_per_history; ++round) {
        // Evenly over the magnitudes: the opening takes some hundred calls, a history some thousand.
        const uint64_t calls = (uint64_t{1} << random() % 14) + random() % 200;
        int status = 0;
        const bool ended = kill_after(start(true, [&] { return apply_history(*volume, random()); }), calls, &status);
        if (ended && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) return fail("while applying");
        if (ended) break;
        ++*kills;
        if (random() % 3 == 0 && !check(false)) return fail("after a kill");
    }
    return check(true) || fail("in the end");
}

int run(int kills_wanted, uint64_t seed, size_t ops) {
    int kills = 0, histories = 0;
    for (; kills < kills_wanted; ++seed, ++histories)
        if (!run_history(seed, ops, &kills)) return 1;
    std::printf("%d kills in %d histories, every view equals the model, last seed %lu\n", kills, histories, seed - 1);
    return 0;
}

// The parts of a run whose end is not a kill but a loss of power: history and volume are made, taken in slowly, and
// judged in three processes.
int part(const std::string& what, const std::string& directory, uint64_t seed, size_t ops) {
    const auto report = [](const Status& status) { return status ? 0 : (std::printf("%s\n", status.error().message.c_str()), 1); };
    if (what == "--prepare") {
        const auto volume = make_volume(directory);
        const auto history = volume ? write_history(*volume, seed, ops) : Result<History>(volume.error());
        return report(history ? ok() : Status(history.error()));
    }
    auto volume = journal::load_volume(directory + "/store");
    if (!volume) return report(volume.error());
    if (what == "--apply") return report(apply_history(*volume, seed));
    // The same history once more, for its moments; the copy that was cut is only read.
    const ScratchHere scratch("power");
    const auto again = make_volume(scratch.path);
    const auto history = again ? write_history(*again, seed, ops) : Result<History>(again.error());
    if (!history) return report(history.error());
    for (const bool whole : {false, true})
        if (const int failed = report(compare(*volume, *history, whole))) return failed;
    return 0;
}

}  // namespace
}  // namespace holdfast::test

int main(int argc, char** argv) {
    int kills = 250;
    size_t ops = 60;
    uint64_t seed = static_cast<uint64_t>(time(nullptr)) * 1000;
    std::string part, directory;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string option = argv[i];
        const uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
        if (option == "--kills") kills = static_cast<int>(value);
        else if (option == "--seed") seed = value;
        else if (option == "--ops") ops = value;
        else if (option == "--prepare" || option == "--apply" || option == "--check") part = option, directory = argv[i + 1];
        else return std::fprintf(stderr, "usage: kill_test [--kills N] [--seed S] [--ops N]\n"), 2;
    }
    if (geteuid() != 0) return std::fprintf(stderr, "skipped: needs root for owners, devices and trusted xattrs\n"), 77;
    if (!part.empty()) return holdfast::test::part(part, directory, seed, ops);
    std::printf("first seed %lu\n", seed);
    return holdfast::test::run(kills, seed, ops);
}

// The store under kills: a child process takes a random history in and is killed at a random system call, again and again,
// also in the middle of its recovery; in between and in the end the view at every LSN must equal the model, and the standby directory
// the model where the store is.
//
//   kill_test [--kills N] [--seed S] [--ops N] [--confined 1]
//   kill_test --prepare DIR | --apply DIR | --check DIR  --seed S --ops N     the parts, for test/crash/store_power_loss.sh
//
// The child is traced, so that a kill falls exactly before or after a system call of its main thread: every state that the
// disk goes through is one that a kill can leave. A process that has threads (RocksDB's) must not fork, so this one
// never opens a store: whoever applies and whoever compares is a child.
//
// With --confined each child has confined itself like a store service (docs/confinement.md), and before each the kernel is made to forget
// the names that it keeps: what a handle leads to is then opened by its name, which a kill may have left anywhere.
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>

#include "rewind/image.h"
#include "rewind/index/index.h"
#include "rewind/service/confinement.h"
#include "test/model/bench.h"
#include "test/model/compare.h"
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

Status follow_with_standby(rewind::Store& store) {
    while (store.advance_standby()) {}
    const auto failure = store.standby()->failure;
    return failure ? Status(*failure) : ok();
}

Status apply_history(const journal::Volume& volume, uint64_t seed) {
    std::mt19937_64 random(seed);
    auto bench = HF_TRY(FollowingStore::open(volume));
    while (HF_TRY(bench->store().apply(bench->reader(), 1 + random() % 20000)) > 0) {
        if (random() % 4 == 0) HF_TRY(bench->store().checkpoint());
        if (random() % 3 == 0) HF_TRY(follow_with_standby(bench->store()));
        if (random() % 8 == 0) bench->store().save_standby();
        if (random() % 64 == 0) HF_TRY(bench->store().compare_standby());
    }
    HF_TRY(bench->store().checkpoint());
    return ok();
}

// That it is the model where the store is.
Status compare_standby(const journal::Volume& volume, const History& history, rewind::Store& store) {
    HF_TRY(follow_with_standby(store));
    const auto beyond = std::find_if(history.moments.begin(), history.moments.end(), [&](const Moment& moment) { return moment.at > store.applied(); });
    const Model model = beyond == history.moments.begin() ? Model() : std::prev(beyond)->model;
    const auto found = standby_difference(volume.directory, volume.store, model);
    return found ? Status(Error{ErrorCode::corrupt, "the standby directory: " + *found}) : ok();
}

// Every object is found where nothing is known but its handle: the index is an empty one.
Status find_all_without_names(const journal::Volume& volume, const rewind::Store& store) {
    const auto nothing = HF_TRY(rewind::Index::open(volume.store + "/no-names", store.undo_log()));
    rewind::Image image = HF_TRY(rewind::Image::open(volume.store));
    image.find_names_in(*nothing);
    for (const journal::ObjectId& object : HF_TRY(store.index().objects_after({}, SIZE_MAX))) {
        const auto location = HF_TRY(store.index().location(object));
        if (!location) continue;
        const UniqueFd found = HF_TRY(image.open_object(object, *location, O_PATH | O_NOFOLLOW));
        if (HF_TRY(image.object_of(found.get())) != object) return Error{ErrorCode::corrupt, "another object was found"};
    }
    return ok();
}

Status compare(const journal::Volume& volume, const History& history, bool whole, bool without_names = false) {
    // Without the table: after a reboot it knows nothing.
    auto bench = HF_TRY(FollowingStore::open(volume, false));
    if (without_names) HF_TRY(find_all_without_names(volume, bench->store()));
    const std::string evidence = bench->store().evidence();
    if (whole) HF_TRY(bench->apply_all());
    if (whole && bench->store().applied() < history.moments.back().at)
        return Error{ErrorCode::corrupt, "the store did not take in everything"};
    const Outcome outcome = check_moments(bench->store(), history.moments, 1);
    if (!outcome.failure.empty()) return Error{ErrorCode::corrupt, outcome.failure + "\n  evidence: " + evidence};
    Status standby = compare_standby(volume, history, bench->store());
    if (!standby) return std::move(standby).error().within("evidence: " + evidence);
    return ok();
}

void make_kernel_forget() {
    std::ofstream("/proc/sys/vm/drop_caches") << 2;
}

// IN: what the child confines itself to, if it does. Its system calls are counted from then on.
pid_t start(bool traced, const journal::Volume* in, const std::function<Status()>& work) {
    std::fflush(nullptr);
    if (in) make_kernel_forget();
    const pid_t child = fork();
    if (child != 0) return child;
    if (traced) ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    Status status = ok();
    if (in) {
        if (const auto confined = rewind::confine_to(*in, {}); !confined) status = Status(confined.error());
    }
    if (traced) raise(SIGSTOP);
    if (status) status = work();
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
bool run_history(uint64_t seed, size_t ops, bool confined, int* kills) {
    const ScratchHere scratch("kill");
    const auto volume = make_volume(scratch.path, true);
    const auto history = volume ? write_history(*volume, seed, ops) : Result<History>(volume.error());
    if (!history) return std::printf("%s\n", history.error().message.c_str()), false;
    const journal::Volume* in = confined ? &*volume : nullptr;
    std::mt19937_64 random(seed);
    const auto check = [&](bool whole) {
        int status = 0;
        waitpid(start(false, in, [&] { return compare(*volume, *history, whole, in && whole); }), &status, 0);
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
        const bool ended = kill_after(start(true, in, [&] { return apply_history(*volume, random()); }), calls, &status);
        if (ended && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) return fail("while applying");
        if (ended) break;
        ++*kills;
        if (random() % 3 == 0 && !check(false)) return fail("after a kill");
    }
    return check(true) || fail("in the end");
}

int run(int kills_wanted, uint64_t seed, size_t ops, bool confined) {
    int kills = 0, histories = 0;
    for (; kills < kills_wanted; ++seed, ++histories)
        if (!run_history(seed, ops, confined, &kills)) return 1;
    std::printf("%d kills in %d histories, every view equals the model, last seed %lu\n", kills, histories, seed - 1);
    return 0;
}

// The parts of a run whose end is not a kill but a loss of power: history and volume are made, taken in slowly, and
// judged in three processes.
int part(const std::string& what, const std::string& directory, uint64_t seed, size_t ops) {
    const auto report = [](const Status& status) { return status ? 0 : (std::printf("%s\n", status.error().message.c_str()), 1); };
    if (what == "--prepare") {
        const auto volume = make_volume(directory, true);
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
    bool confined = false;
    std::string part, directory;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string option = argv[i];
        const uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
        if (option == "--kills") kills = static_cast<int>(value);
        else if (option == "--seed") seed = value;
        else if (option == "--ops") ops = value;
        else if (option == "--confined") confined = value != 0;
        else if (option == "--prepare" || option == "--apply" || option == "--check") part = option, directory = argv[i + 1];
        else return std::fprintf(stderr, "usage: kill_test [--kills N] [--seed S] [--ops N] [--confined 1]\n"), 2;
    }
    if (geteuid() != 0) return std::fprintf(stderr, "skipped: needs root for owners, devices and trusted xattrs\n"), 77;
    if (!part.empty()) return holdfast::test::part(part, directory, seed, ops);
    std::printf("first seed %lu\n", seed);
    return holdfast::test::run(kills, seed, ops, confined);
}

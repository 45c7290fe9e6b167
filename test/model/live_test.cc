// The model test of the whole path: several threads make random system calls in a protected directory, shared
// mappings, nameless files and open-but-unlinked files included. Afterwards
//   1. the model that replays the journal equals the backing tree: the journal tells the truth, in a true order;
//   2. the view at every LSN equals the model at that record; after a long load, at every Nth.
//
// With --kills, the capture worker and the store service are killed at random moments meanwhile, and no
// application may notice.
//
//   live_test [--seed S] [--threads N] [--ops N] [--kills N] [--keep 1]
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/json_socket.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "journal/cursor.h"
#include "rewind/store.h"
#include "test/model/compare.h"
#include "test/model/generator.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;

int shell(const std::string& command) {
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// One thread's system calls. Errors are expected: the threads share their few names.
class Mischief {
public:
    Mischief(const std::string& directory, uint64_t seed) : random_(seed) { root_ = open(directory.c_str(), O_PATH | O_DIRECTORY); }
    ~Mischief() { close(root_); }

    void one() {
        static constexpr void (Mischief::*acts[])() = {
            &Mischief::write, &Mischief::write, &Mischief::write, &Mischief::append, &Mischief::truncate, &Mischief::allocate,
            &Mischief::allocate, &Mischief::make, &Mischief::make, &Mischief::make, &Mischief::nameless, &Mischief::link,
            &Mischief::remove, &Mischief::remove, &Mischief::rename, &Mischief::rename, &Mischief::attributes, &Mischief::xattr,
            &Mischief::mapping, &Mischief::unlinked_use, &Mischief::copy_range, &Mischief::direct};
        (this->*acts[dice(std::size(acts))])();
    }

private:
    uint64_t dice(uint64_t sides) { return random_() % sides; }
    std::string path() {
        static constexpr const char* places[] = {"", "d1/", "d2/", "d1/d3/"};
        static constexpr const char* names[] = {"a", "b", "c", "d", "e", "d1", "d2", "d3"};
        return places[dice(4)] + std::string(names[dice(8)]);
    }
    int file(int flags) { return openat(root_, path().c_str(), flags | O_NOFOLLOW | O_NONBLOCK, 0644); }
    std::string noise() {
        std::string bytes(1 + (dice(3) ? dice(300) : dice(30000)), static_cast<char>('a' + dice(26)));
        return bytes;
    }
    template <typename Act>
    void with_file(int flags, Act act) {
        int fd = file(flags);
        struct stat attributes {};
        if (fd >= 0 && fstat(fd, &attributes) == 0 && S_ISREG(attributes.st_mode)) act(fd, attributes);
        if (fd >= 0) close(fd);
    }
    // Most errors are fair: the threads share their few names. These are not: they would tell the application of our trouble.
    void note(ssize_t result, int line = __builtin_LINE()) {
        static constexpr int foul[] = {EIO, ENOTCONN, ECONNABORTED, ENOSYS, ESTALE, EBADF, ENODEV};
        if (result < 0 && std::find(std::begin(foul), std::end(foul), errno) != std::end(foul)) {
            std::printf("the system call in line %d failed with %s\n", line, strerror(errno));
            ++foul_errors;
        }
    }

    void write() {
        with_file(O_RDWR | O_CREAT, [&](int fd, auto&) { std::string bytes = noise(); note(pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(dice(60000)))); });
    }
    void append() {
        with_file(O_WRONLY | O_APPEND, [&](int fd, auto&) { for (int i = 0; i < 3; ++i) { std::string bytes = noise(); note(::write(fd, bytes.data(), bytes.size())); } });
    }
    void truncate() {
        with_file(O_RDWR, [&](int fd, auto&) { note(ftruncate(fd, static_cast<off_t>(dice(3) ? dice(60000) : 0))); });
    }
    void allocate() {
        static const std::vector<int> modes = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                               FALLOC_FL_ZERO_RANGE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE};
        const int mode = modes[dice(modes.size())];
        with_file(O_RDWR, [&](int fd, auto&) { note(fallocate(fd, mode, static_cast<off_t>(dice(10) * 4096), static_cast<off_t>((1 + dice(3)) * 4096))); });
    }
    void make() {
        const std::string name = path();
        switch (dice(5)) {
            case 0: note(mkdirat(root_, name.c_str(), 0755)); break;
            case 1: note(symlinkat("somewhere", root_, name.c_str())); break;
            case 2: note(mknodat(root_, name.c_str(), S_IFIFO | 0600, 0)); break;
            default: with_file(O_RDWR | O_CREAT | O_EXCL, [&](int fd, auto&) { note(::write(fd, "new", 3)); });
        }
    }
    void nameless() {
        int fd = openat(root_, ".", O_TMPFILE | O_RDWR, 0600);
        if (fd < 0) return;
        std::string bytes = noise();
        note(::write(fd, bytes.data(), bytes.size()));
        if (dice(2)) note(linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(fd)).c_str(), root_, path().c_str(), AT_SYMLINK_FOLLOW));
        note(pwrite(fd, "late", 4, 2));
        close(fd);
    }
    void link() { note(linkat(root_, path().c_str(), root_, path().c_str(), 0)); }
    void remove() { note(unlinkat(root_, path().c_str(), dice(3) ? 0 : AT_REMOVEDIR)); }
    void rename() {
        static constexpr unsigned flags[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
        note(renameat2(root_, path().c_str(), root_, path().c_str(), flags[dice(4)]));
    }
    void attributes() {
        const std::string name = path();
        timespec times[2] = {{0, UTIME_OMIT}, {static_cast<time_t>(1'500'000'000 + dice(1000)), static_cast<long>(dice(1'000'000'000))}};
        switch (dice(3)) {
            case 0: note(fchmodat(root_, name.c_str(), static_cast<mode_t>(dice(07777)), 0)); break;
            case 1: note(fchownat(root_, name.c_str(), static_cast<uid_t>(dice(3000)), static_cast<gid_t>(dice(3000)), AT_SYMLINK_NOFOLLOW)); break;
            default: note(utimensat(root_, name.c_str(), times, AT_SYMLINK_NOFOLLOW));
        }
    }
    void xattr() {
        with_file(O_RDONLY, [&](int fd, auto&) {
            const std::string name = "user.x" + std::to_string(dice(3));
            // Three of 1,340 bytes are more than ext4 has room for; a little less fits here, and not in the image beside the object's id.
            if (dice(8) == 0) note(fsetxattr(fd, name.c_str(), noise().append(1340, 'x').data(), 1280 + dice(60), 0));
            else if (dice(3)) note(fsetxattr(fd, name.c_str(), "value", dice(6), 0));
            else note(fremovexattr(fd, name.c_str()));
        });
    }
    void mapping() {
        with_file(O_RDWR, [&](int fd, const struct stat& attributes) {
            if (attributes.st_size < 8192) return;
            void* map = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (map == MAP_FAILED) return;
            // Another thread may cut the file while this one writes; SIGBUS is then the right answer, so go through the kernel.
            int zero = open("/dev/zero", O_RDONLY);
            note(read(zero, static_cast<char*>(map) + dice(8000), 100));
            close(zero);
            if (dice(2)) note(msync(map, 8192, MS_SYNC));
            munmap(map, 8192);
        });
    }
    void unlinked_use() {
        const std::string name = path();
        int fd = openat(root_, name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd < 0) return;
        note(unlinkat(root_, name.c_str(), 0));
        std::string bytes = noise();
        note(::write(fd, bytes.data(), bytes.size()));
        note(ftruncate(fd, 100));
        close(fd);
    }
    void copy_range() {
        int from = file(O_RDONLY);
        with_file(O_RDWR | O_CREAT, [&](int to, auto&) { if (from >= 0) { loff_t in = 0, out = static_cast<loff_t>(dice(9000)); note(copy_file_range(from, &in, to, &out, 20000, 0)); } });
        if (from >= 0) close(from);
    }
    void direct() {
        with_file(O_RDWR | O_DIRECT, [&](int fd, auto&) {
            void* buffer = nullptr;
            if (posix_memalign(&buffer, 4096, 8192) != 0) return;
            memset(buffer, 'D', 8192);
            note(pwrite(fd, buffer, 8192, static_cast<off_t>(dice(8) * 4096)));
            free(buffer);
        });
    }

    std::mt19937_64 random_;
    int root_;

public:
    size_t foul_errors = 0;
};

// How long something takes, again and again.
class Durations {
public:
    void add(std::chrono::nanoseconds taken) { all_.push_back(taken); }
    size_t count() const { return all_.size(); }
    void print(const char* what) {
        if (all_.empty()) return;
        std::sort(all_.begin(), all_.end());
        std::printf("%s: p50 %.1f ms, p99 %.1f ms, longest %.1f ms (%zu times)\n", what, at(50), at(99), at(100), all_.size());
    }

private:
    double at(size_t percent) const { return static_cast<double>(all_[(all_.size() - 1) * percent / 100].count()) / 1e6; }
    std::vector<std::chrono::nanoseconds> all_;
};

// Kills the capture worker or the store service with SIGKILL, again and again, at random moments.
class Killer {
public:
    Killer(const std::string& live, const journal::Volume& volume, uint64_t seed, size_t kills)
        : volume_(volume), random_(seed), kills_(kills), live_(open(live.c_str(), O_PATH | O_DIRECTORY)) {}

    void run(const std::atomic<bool>& over) {
        while (!over && done < kills_) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20 + random_() % 180));
            const bool is_capture = random_() % 2;
            auto status = json_call(is_capture ? journal::capture_socket(volume_.id) : journal::store_socket(volume_.id), {{"verb", "status"}});
            if (!status) continue;  // still on its way up from the last time
            kill_one((*status)["pid"].get<pid_t>(), is_capture);
            ++done;
        }
    }
    size_t done = 0;
    Durations deaths, restarts;  // of the capture worker: from the kill on

private:
    // An application's view of a restart: the time until a call on the directory is answered again. The dead give no
    // answers, so whoever answers after the death is the successor.
    void kill_one(pid_t pid, bool is_capture) {
        UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
        const auto begun = std::chrono::steady_clock::now();
        if (kill(pid, SIGKILL) != 0 || !process || !is_capture) return;
        pollfd dead{process.get(), POLLIN, 0};
        while (poll(&dead, 1, -1) < 0 && errno == EINTR) {
        }
        deaths.add(std::chrono::steady_clock::now() - begun);
        struct statfs answered {};
        if (fstatfs(live_.get(), &answered) == 0) restarts.add(std::chrono::steady_clock::now() - begun);
    }

    const journal::Volume& volume_;
    std::mt19937_64 random_;
    size_t kills_;
    UniqueFd live_;
};

struct Setup {
    std::string base, live, store, holdfast;
    int run(const std::string& arguments) const { return shell(holdfast + " " + arguments + " > " + base + "/out 2>&1"); }
};

// Each comparison looks at the whole tree: beyond this many moments they are taken evenly from all.
constexpr size_t judged_max = 20'000;

// Hands every record of the journal to VISIT, with the address behind it, until that returns false.
Status read_all(const journal::Volume& volume, const std::function<bool(journal::Lsn, const Record&)>& visit) {
    auto disk = HF_TRY(open_disk(volume.journal_directory));
    const auto extent = HF_TRY(journal::Reader::extent(*disk));
    journal::Reader reader(*disk, volume.id, volume.segment_bytes, nullptr);
    reader.seek(extent.first_segment * volume.segment_bytes);
    while (auto record = HF_TRY(reader.next()))
        if (!visit(reader.position(), *record)) break;
    return ok();
}

std::optional<std::string> check(const Setup& setup) {
    auto volume = journal::load_volume(setup.store);
    if (!volume) return volume.error().message;
    auto disk = open_disk(volume->journal_directory);
    if (!disk) return disk.error().message;
    journal::Reader reader(**disk, volume->id, volume->segment_bytes, nullptr);
    auto store = rewind::Store::open(*volume, reader, system_clock());
    if (!store) return "store: " + store.error().message;
    size_t records = 0;
    auto status = read_all(*volume, [&](journal::Lsn, const Record&) { return ++records; });
    if (!status) return "journal: " + status.error().message;
    const size_t step = records / judged_max + 1;
    std::optional<std::string> failure;
    Model model;
    size_t points = 0;
    status = read_all(*volume, [&](journal::Lsn at, const Record& record) {
        model.apply(record);
        if (points++ % step != 0) return true;
        if (auto moment = (*store)->check_moment(at); !moment) {
            failure = "moment " + std::to_string(at) + ": " + moment.error().message;
        } else if (auto found = difference(rewind::View(**store, at), model)) {
            failure = "after " + std::string(journal::to_string(record.type)) + " of " + journal::to_string(record.object) + ", at LSN " + std::to_string(at) + ": " + *found;
        }
        return !failure;
    });
    if (!status) return "journal: " + status.error().message;
    if (failure) return failure;
    if (auto found = difference(setup.live, model)) return "journal against backing tree: " + *found;
    std::printf("%zu of %zu points equal the model, and the model equals the backing tree\n", (points + step - 1) / step, points);
    return std::nullopt;
}

struct Load {
    uint64_t seed, threads, ops, kills;
};

// Threads make mischief for at least LOAD.ops calls each, and until the kills are done. Returns the foul errors seen.
size_t make_mischief(const Setup& setup, const journal::Volume& volume, const Load& load) {
    std::atomic<bool> over = false;
    std::atomic<size_t> foul_errors = 0, calls = 0;
    Killer killer(setup.live, volume, load.seed, load.kills);
    std::atomic<bool> kills_done = load.kills == 0;
    std::thread killing([&] {
        killer.run(over);
        kills_done = true;
    });
    std::vector<std::thread> workers;
    for (size_t worker = 0; worker < load.threads; ++worker) {
        workers.emplace_back([&, worker] {
            Mischief mischief(setup.live, load.seed * 1000 + worker);
            for (size_t op = 0; op < load.ops || !kills_done; ++op) {
                mischief.one();
                ++calls;
                // Some calls between two kills, and not so many that judging every moment takes longer than the kills.
                if (op >= load.ops) std::this_thread::sleep_for(std::chrono::milliseconds(20));
            }
            foul_errors += mischief.foul_errors;
        });
    }
    for (auto& worker : workers) worker.join();
    over = true;
    killing.join();
    std::printf("%zu calls by %lu threads, %zu kills, %zu foul errors\n", calls.load(), load.threads, killer.done, foul_errors.load());
    killer.deaths.print("the capture worker is dead after SIGKILL");
    killer.restarts.print("a call is answered after SIGKILL");
    return foul_errors;
}

int run(const Setup& setup, const Load& load) {
    fs::create_directories(setup.live);
    if (setup.run("protect " + setup.live + " --store " + setup.store) != 0) return shell("cat " + setup.base + "/out"), 1;
    auto volume = journal::load_volume(setup.store);
    if (!volume) return std::printf("%s\n", volume.error().message.c_str()), 1;
    // A consumer that never moves keeps the whole journal for the check.
    auto cursors = open_disk(volume->journal_directory + "/cursors");
    if (!cursors || !journal::save_cursor(**cursors, volume->id, "model-test", 0)) return std::printf("cannot place the cursor\n"), 1;
    auto phase = std::chrono::steady_clock::now();
    const auto end_of_phase = [&phase](const char* what) {
        const auto now = std::chrono::steady_clock::now();
        std::printf("%s took %.1f s\n", what, std::chrono::duration<double>(now - phase).count());
        std::fflush(stdout);
        phase = now;
    };
    const size_t foul_errors = make_mischief(setup, *volume, load);
    end_of_phase("mischief");
    if (setup.run("unprotect " + setup.live) != 0) return shell("cat " + setup.base + "/out"), 1;
    end_of_phase("taking in the rest");
    const auto failure = check(setup);
    end_of_phase("judging");
    if (failure) return std::printf("seed %lu fails: %s\n", load.seed, failure->c_str()), 1;
    return foul_errors == 0 ? 0 : 1;
}

}  // namespace
}  // namespace holdfast::test

int main(int argc, char** argv) {
    uint64_t seed = static_cast<uint64_t>(time(nullptr)), threads = 4, ops = 1500, kills = 0, keep = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string option = argv[i];
        const uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
        if (option == "--seed") seed = value;
        else if (option == "--threads") threads = value;
        else if (option == "--ops") ops = value;
        else if (option == "--kills") kills = value;
        else if (option == "--keep") keep = value;
        else return std::fprintf(stderr, "usage: live_test [--seed S] [--threads N] [--ops N] [--kills N] [--keep 1]\n"), 2;
    }
    if (geteuid() != 0 || access("/dev/fuse", R_OK) != 0) return std::fprintf(stderr, "skipped: needs root and /dev/fuse\n"), 77;
    std::string base = (std::filesystem::current_path() / "live-XXXXXX").string();
    if (!mkdtemp(base.data())) return 77;
    setenv("HOLDFAST_STATE_DIR", (base + "/state").c_str(), 1);
    setenv("HOLDFAST_RUN_DIR", (base + "/run").c_str(), 1);
    std::printf("seed %lu\n", seed);
    const holdfast::test::Setup setup{base, base + "/live", base + "/store", HOLDFAST_COMMAND};
    const int outcome = holdfast::test::run(setup, {seed, threads, ops, kills});
    if (outcome != 0) (void)setup.run("unprotect " + setup.live);
    if (!keep) std::filesystem::remove_all(base);
    return outcome;
}

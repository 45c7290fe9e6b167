// The capture worker dies at every one of its system calls, before it and after it, in the middle of every operation that
// changes something: for N = 1, 2, ... the operation is begun anew in a fresh directory and the worker is killed at its
// Nth stop, until the operation passes unharmed. A kill at random hardly ever falls between an intent and its record.
//
// After each death
//   1. the application got what it would have got on a bare directory;
//   2. the tree is what it would be there: done exactly once, or not at all when the answer is an error;
//   3. the model that replays the journal equals the tree, and no gap and no comparison was needed;
// and after each operation's last one the view at every one of those moments equals the model.
//
//   every_call_test [CASE [STOP]]
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "fusefs/fuse_mount.h"
#include "test/crash/every_call_cases.h"
#include "test/crash/tree_text.h"
#include "test/crash/traced_worker.h"
#include "test/model/bench.h"
#include "test/model/compare.h"
#include "test/model/moments.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using Failure = std::optional<std::string>;

constexpr size_t stops_max = 2000;  // of one operation: far more than any needs

std::string place_of(size_t round) { return "r" + std::to_string(round); }

// The application: a process of its own, because whoever traces the worker must never wait for it.
class Application {
public:
    enum Step : char { prepare = 'p', open_directory = 'o', act = 'a', settle = 's', unmount = 'u' };

    Application(const std::string& directory, const CallCase& one) : directory_(directory), case_(one) {
        int questions[2], answers[2];
        if (pipe2(questions, O_CLOEXEC) != 0 || pipe2(answers, O_CLOEXEC) != 0) std::abort();
        UniqueFd question_end(questions[0]), answer_end(answers[1]);
        asks_.reset(questions[1]);
        hears_.reset(answers[0]);
        process_ = fork();
        if (process_ == 0) serve(question_end.get(), answer_end.get());
    }
    ~Application() {
        kill(process_, SIGKILL);
        waitpid(process_, nullptr, 0);
    }
    Application(const Application&) = delete;
    Application& operator=(const Application&) = delete;

    void ask(Step step, size_t round) {
        const Question question{step, round};
        if (write(asks_.get(), &question, sizeof question) != sizeof question) std::abort();
    }
    // Nothing as long as the step is not done.
    std::optional<long> answer() {
        pollfd waits{hears_.get(), POLLIN, 0};
        long result = 0;
        if (poll(&waits, 1, 0) != 1 || read(hears_.get(), &result, sizeof result) != sizeof result) return std::nullopt;
        return result;
    }
    int answer_fd() const { return hears_.get(); }

private:
    struct Question {
        Step step;
        size_t round;
    };
    [[noreturn]] void serve(int questions, int answers) {
        asks_.reset();
        hears_.reset();
        umask(022);
        UniqueFd opened;
        for (Question question{}; read(questions, &question, sizeof question) == sizeof question;) {
            const long result = carry_out(question, opened);
            if (write(answers, &result, sizeof result) != sizeof result) break;
        }
        _exit(0);
    }
    long carry_out(const Question& question, UniqueFd& opened) const {
        const std::string place = directory_ + "/" + place_of(question.round);
        struct statfs ignored {};
        switch (question.step) {
            case prepare: {
                if (mkdir(place.c_str(), 0777) != 0) return -errno;
                UniqueFd fd(open(place.c_str(), O_RDONLY | O_DIRECTORY));
                case_.prepare(fd.get());
                return 0;
            }
            case open_directory: opened.reset(open(place.c_str(), O_RDONLY | O_DIRECTORY)); return opened ? 0 : -errno;
            case act: return case_.act(opened.get());
            // What the kernel sends without waiting for an answer has been read when this is answered.
            case settle: opened.reset(); return statfs(directory_.c_str(), &ignored) == 0 ? 0 : -errno;
            case unmount: return umount2(directory_.c_str(), UMOUNT_NOFOLLOW) == 0 ? 0 : -errno;
        }
        return -EINVAL;
    }

    const std::string directory_;
    const CallCase& case_;
    UniqueFd asks_, hears_;
    pid_t process_ = -1;
};

// One operation on a volume of its own.
class Scene {
public:
    explicit Scene(const CallCase& one) : case_(one), scratch_("calls") {}
    // An application that waits for an answer can only be ended when nobody is left who could give it.
    ~Scene() {
        worker_.reset();
        if (mount_) mount_->detach(), mount_->close_device();
        application_.reset();
    }
    Scene(const Scene&) = delete;
    Scene& operator=(const Scene&) = delete;

    Failure run(size_t only_stop) {
        if (Failure failed = begin()) return failed;
        for (size_t stop = only_stop ? only_stop : 1;; ++stop) {
            if (stop > stops_max) return "the operation does not end";
            if (Failure failed = interrupt_at(stop)) return "stop " + std::to_string(stop) + ", death " + worker_->place() + ": " + *failed;
            if (!worker_->has_killed() || only_stop) break;
        }
        return end();
    }
    size_t kills = 0, inside = 0, points = 0;

private:
    Failure begin() {
        setenv("HOLDFAST_RUN_DIR", (scratch_.path + "/run").c_str(), 1);
        setenv("HOLDFAST_STATE_DIR", (scratch_.path + "/state").c_str(), 1);
        live_ = scratch_.path + "/live";
        for (const char* name : {"/live", "/bare"}) fs::create_directories(scratch_.path + name);
        if (Failure failed = perform_bare()) return failed;
        auto volume = make_volume(scratch_.path);
        if (!volume) return volume.error().message;
        volume_ = *volume;
        backing_.reset(open(live_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        // Before mount and worker: it must hold nothing that keeps a connection alive.
        application_.emplace(live_, case_);
        auto mounted = fusefs::FuseMount::make("test", live_, backing_.get(), 0);
        if (!mounted) return mounted.error().message;
        mount_.emplace(std::move(*mounted));
        log_.reset(open((scratch_.path + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
        fusefs::WorkerArguments arguments;
        arguments.store = volume_.store;
        arguments.device_fd = mount_->device_fd();
        arguments.backing_fd = backing_.get();
        arguments.session = 1;
        worker_.emplace(arguments, log_.get());
        worker_->at_kill = [this] { look_at_slots(); };
        worker_->shared_state = [this] { return state_of_slots(); };
        if (Failure failed = worker_->pump([&] { return worker_->is_ready(); })) return failed;
        auto table = journal::InflightTable::open_existing(volume_.journal_directory + "/inflight");
        auto disk = open_disk(volume_.journal_directory);
        if (!table || !disk) return "the journal cannot be followed";
        table_ = std::move(*table);
        disk_ = std::move(*disk);
        reader_ = std::make_unique<journal::Reader>(*disk_, volume_.id, volume_.segment_bytes, table_.get());
        return std::nullopt;
    }

    // What the same calls give where nobody stands between.
    Failure perform_bare() {
        Application bare(scratch_.path + "/bare", case_);
        for (const auto step : {Application::prepare, Application::open_directory, Application::act}) {
            bare.ask(step, 0);
            pollfd waits{bare.answer_fd(), POLLIN, 0};
            poll(&waits, 1, -1);
            const auto result = bare.answer();
            if (!result) return "the application ended";
            bare_result_ = *result;
        }
        bare_tree_ = tree_text(scratch_.path + "/bare/" + place_of(0));
        return std::nullopt;
    }

    Failure step(Application::Step what, size_t round, long* result = nullptr) {
        application_->ask(what, round);
        std::optional<long> said;
        if (Failure failed = worker_->pump([&] { return (said = application_->answer()).has_value(); })) return failed;
        if (result) *result = *said;
        else if (*said != 0) return std::string("step ") + static_cast<char>(what) + " failed with " + strerror(static_cast<int>(-*said));
        return std::nullopt;
    }

    Failure interrupt_at(size_t stop) {
        for (const auto what : {Application::prepare, Application::open_directory, Application::settle, Application::open_directory})
            if (Failure failed = step(what, stop)) return failed;
        worker_->arm(stop);
        long result = 0;
        if (Failure failed = step(Application::act, stop, &result)) return failed;
        worker_->disarm();
        if (Failure failed = step(Application::settle, stop)) return failed;
        if (worker_->has_killed()) ++kills;
        if (result != bare_result_) return "the application got " + std::to_string(result) + " and not " + std::to_string(bare_result_);
        const std::string live = "/proc/self/fd/" + std::to_string(backing_.get());
        const std::string tree = tree_text(live + "/" + place_of(stop));
        if (tree != bare_tree_) return "the tree is\n" + tree + "and not\n" + bare_tree_;
        return replay(live);
    }

    Failure replay(const std::string& live) {
        for (;;) {
            auto record = reader_->next();
            if (!record) return "the journal: " + record.error().message;
            if (!*record) break;
            if ((*record)->type == HF_GAP_BEGIN) return "a gap was opened";
            told_.push_back(tell(**record));
            model_.apply(**record);
        }
        if (auto found = difference(live, model_)) return "the journal against the tree: " + *found + last_told();
        moments_.push_back({reader_->position(), model_});
        return std::nullopt;
    }
    std::string last_told() const {
        std::string text;
        for (size_t at = told_.size() < 12 ? 0 : told_.size() - 12; at < told_.size(); ++at) text += "\n  " + told_[at];
        return text;
    }

    Failure end() {
        if (Failure failed = step(Application::unmount, 0)) return failed;
        mount_->close_device();
        if (Failure failed = worker_->pump([&] { return worker_->is_over(); })) return failed;
        // A process that forks must never have opened a store.
        std::fflush(nullptr);
        const pid_t child = fork();
        if (child == 0) _exit(compare_views());
        int status = 0;
        waitpid(child, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return "the views";
        points = moments_.size();
        return std::nullopt;
    }
    int compare_views() const {
        auto bench = FollowingStore::open(volume_);
        if (!bench) return std::printf("%s\n", bench.error().message.c_str()), 1;
        if (auto applied = (*bench)->apply_all(); !applied) return std::printf("%s\n", applied.error().message.c_str()), 1;
        const Outcome outcome = check_moments((*bench)->store(), moments_, 1);
        if (outcome.failure.empty() && outcome.points == moments_.size()) return 0;
        std::printf("%zu of %zu points: %s\n", outcome.points, moments_.size(), outcome.failure.c_str());
        std::fflush(nullptr);
        return 1;
    }

    // Did this death fall between an intent and its record?
    void look_at_slots() {
        for (journal::Slot& slot : table_->slots())
            if (slot.state.load() == static_cast<uint32_t>(journal::SlotState::intent)) return void(++inside);
    }

    uint64_t state_of_slots() const {
        if (!table_) return 0;
        uint64_t state = 0;
        const auto mix = [&](uint64_t value) { state = (state ^ value) * 0x9e3779b97f4a7c15; };
        mix(table_->head().published.load());
        mix(table_->head().reserved.load());
        for (journal::Slot& slot : table_->slots()) mix(slot.state.load()), mix(slot.request), mix(slot.lsn);
        return state;
    }

    const CallCase& case_;
    ScratchHere scratch_;
    std::string live_, bare_tree_;
    long bare_result_ = 0;
    journal::Volume volume_;
    UniqueFd backing_, log_;
    std::optional<fusefs::FuseMount> mount_;
    std::optional<Application> application_;
    std::optional<TracedWorker> worker_;
    std::unique_ptr<journal::InflightTable> table_;
    std::unique_ptr<Disk> disk_;
    std::unique_ptr<journal::Reader> reader_;
    Model model_;
    std::vector<Moment> moments_;
    std::vector<std::string> told_;
};

int run(const std::string& wanted, size_t only_stop) {
    size_t kills = 0, inside = 0, points = 0, failures = 0;
    for (const CallCase& one : call_cases()) {
        if (!wanted.empty() && wanted != one.name) continue;
        const auto begun = std::chrono::steady_clock::now();
        Scene scene(one);
        const Failure failed = scene.run(only_stop);
        if (failed) std::printf("%s: %s\n", one.name, failed->c_str()), ++failures;
        else std::printf("%s: %zu deaths, %zu inside, %.1f s\n", one.name, scene.kills, scene.inside, std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count());
        std::fflush(stdout);
        kills += scene.kills, inside += scene.inside, points += scene.points;
    }
    std::printf("%zu deaths, %zu of them between an intent and its record; %zu views equal the model; %zu operations failed\n", kills, inside, points, failures);
    return failures == 0 && kills > 0 ? 0 : 1;
}

}  // namespace
}  // namespace holdfast::test

int main(int argc, char** argv) {
    if (geteuid() != 0 || access("/dev/fuse", R_OK) != 0) return std::fprintf(stderr, "skipped: needs root and /dev/fuse\n"), 77;
    // Mounts in a namespace of our own end with us, however that comes.
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        return std::fprintf(stderr, "skipped: no mount namespace\n"), 77;
    return holdfast::test::run(argc > 1 ? argv[1] : "", argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0);
}

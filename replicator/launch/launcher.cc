#include "replicator/launch/launcher.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/child_process.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/real_path.h"
#include "base/service_manager.h"
#include "base/text.h"
#include "base/unix_socket.h"
#include "journal/volume.h"
#include "replicator/engine/address.h"
#include "replicator/engine/config.h"
#include "replicator/launch/task.h"
#include "replicator/notify/journald.h"
#include "replicator/trust/private_file.h"

namespace holdfast::replicator {

namespace {

constexpr int exit_failed = 1;
constexpr int look_ms = 2'000;             // for places that have come to be
constexpr int predecessor_ms_max = 10'000;  // a killed engine takes a moment to end
constexpr int predecessor_pause_ms = 20, taken_ms_max = 3'000;

Error refusal(const std::string& why) {
    return {ErrorCode::permission, "the launcher of this engine does not do that: " + why};
}

// Held by the launcher and its engine, as long as one of them lives.
Result<UniqueFd> lock_state() {
    const std::string directory = journal::engine_directory();
    HF_TRY(open_private_directory(directory));
    UniqueFd lock(::open((directory + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!lock) return errno_error(errno, "open the lock in " + quoted(directory));
    for (int waited_ms = 0; ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0; waited_ms += predecessor_pause_ms) {
        if (errno != EWOULDBLOCK && errno != EINTR) return errno_error(errno, "lock " + quoted(directory));
        if (waited_ms >= predecessor_ms_max) return Error{ErrorCode::busy, "another engine runs with the state in " + quoted(directory)};
        ::poll(nullptr, 0, predecessor_pause_ms);
    }
    return lock;
}

// OPEN, again while the address is taken. The state is ours by then, but the kernel closes what a killed engine had under way in its ring, the socket that
// it accepts with among it, a moment after the process has ended.
template <typename Open>
auto once_free(Open open) {
    for (int waited_ms = 0;; waited_ms += predecessor_pause_ms) {
        auto opened = open();
        const bool is_taken = !opened && (opened.error().code == ErrorCode::busy || opened.error().sys_errno == EADDRINUSE);
        if (!is_taken || waited_ms >= taken_ms_max) return opened;
        ::poll(nullptr, 0, predecessor_pause_ms);
    }
}

Result<UniqueFd> open_peer_listener(const Config& config) {
    if (config.listen.empty()) return UniqueFd();
    const auto addresses = HF_TRY(resolve(config.listen, true));
    return once_free([&] { return listen_on(addresses.front()); });
}

// The engine reaches what is there.
Status make_registry() {
    const std::string registry = journal::registry_directory();
    if (::mkdir(registry.c_str(), 0755) == 0 || errno == EEXIST) return ok();
    return errno_error(errno, "make the registry " + quoted(registry));
}

// Everything but KEPT and the three that every process has.
void close_all_but(std::vector<int> kept) {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) kept.push_back(fd);
    std::sort(kept.begin(), kept.end());
    int next = 0;
    for (const int fd : kept) {
        if (fd > next) ::syscall(SYS_close_range, next, fd - 1, 0);
        next = std::max(next, fd + 1);
    }
    ::syscall(SYS_close_range, next, ~0U, 0);
}

// RELOADING has a moment with it.
bool may_be_told(std::string_view state) {
    constexpr std::string_view reloading = "RELOADING=1\nMONOTONIC_USEC=";
    if (state == "READY=1" || state == "STOPPING=1" || state == "WATCHDOG=1") return true;
    return state.starts_with(reloading) && state.size() > reloading.size() && state.find_first_not_of("0123456789", reloading.size()) == state.npos;
}

// Does not wait: EAGAIN is for whoever asks.
Result<UniqueFd> connect_now(const std::string& path) {
    const sockaddr_un address = HF_TRY(unix_address(path));
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return errno_error(errno, "make a socket");
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
        ::fcntl(fd.get(), F_SETFL, 0);
        return fd;
    }
    Error error = errno_error(errno, "nobody answers at " + quoted(path));
    if (error.sys_errno == ENOENT || error.sys_errno == ENOTDIR || error.sys_errno == ECONNREFUSED) error.code = ErrorCode::unavailable;
    return error;
}

class Launcher {
public:
    Launcher(std::string config_path, const EngineMain& engine_main) : config_path_(std::move(config_path)), engine_main_(engine_main) {}
    Status begin();
    Result<int> run();
    void end() { api_.reset(); }

private:
    // A program that the engine has asked for.
    struct Running {
        ChildProcess child;
        UniqueFd end;  // says to the engine how it ended
        bool ends_by_itself;
    };
    struct Answer {
        Json said = Json::object();
        UniqueFd fd = {};
    };

    Status fork_engine();
    [[noreturn]] void become_engine(Handed handed, int lock, pid_t parent);
    Result<std::optional<int>> turn();
    void take_signal();
    void serve();
    Result<Answer> answer(const Json& question, std::vector<UniqueFd> fds);
    Result<Answer> start(const Json& question, std::vector<UniqueFd> fds);
    Status permit(const Task& task) const;
    Result<bool> reload();
    bool begin_replacing();
    void pass_to_journal();
    void look_at_tasks(const std::vector<pollfd>& ready);
    void look_for_places();
    Status take_configuration();
    Result<std::optional<int>> engine_ended();

    const std::string config_path_;
    const EngineMain& engine_main_;
    const ServiceManager manager_ = ServiceManager::from_environment();
    std::string config_text_;
    Config config_, first_config_;
    std::vector<std::vector<std::string>> hooks_;  // all that a configuration has named since the beginning
    Places needed_, had_;                           // by the configuration now; by the engine
    UniqueFd lock_, signals_;
    std::optional<UnixListener> api_;
    UniqueFd peers_;
    std::optional<Journald> journald_;

    pid_t engine_ = -1;
    UniqueFd engine_pidfd_, channel_, journal_channel_;
    bool is_replacing_ = false, is_ending_ = false;
    uint64_t looked_ns_ = 0;
    std::vector<Running> tasks_;
};

Status Launcher::begin() {
    HF_TRY(take_configuration());
    first_config_ = config_;
    lock_ = HF_TRY(lock_state());
    HF_TRY(make_registry());
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
    signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) return errno_error(errno, "receive signals");
    peers_ = HF_TRY(open_peer_listener(first_config_));
    // Callers that do not wait for their connection find no room in a short queue when several come at once.
    auto api = once_free([] { return UnixListener::open(journal::engine_socket(), SOMAXCONN); });
    api_.emplace(HF_TRY(std::move(api)));
    if (auto journald = Journald::open()) journald_.emplace(std::move(*journald));
    return fork_engine();
}

// What the engine gets is what was looked at here, whatever the file says by then.
Status Launcher::take_configuration() {
    std::string text = HF_TRY(read_config(config_path_));
    config_ = HF_TRY(parse_config(text, config_path_));
    config_text_ = std::move(text);
    make_store_directories(config_);
    needed_ = places_for(config_);
    for (const NotifyRule& rule : config_.notify)
        if (!rule.exec.empty() && std::find(hooks_.begin(), hooks_.end(), rule.exec) == hooks_.end()) hooks_.push_back(rule.exec);
    return ok();
}

Status Launcher::fork_engine() {
    PacketEnds channel = HF_TRY(packet_ends()), journal;
    if (journald_) journal = HF_TRY(packet_ends());
    needed_ = places_for(config_);
    had_ = needed_;
    const pid_t parent = ::getpid(), child = ::fork();
    if (child < 0) return errno_error(errno, "start the engine");
    if (child == 0) {
        Handed handed{std::move(channel.second), std::move(journal.second), UniqueFd(::fcntl(api_->fd(), F_DUPFD_CLOEXEC, 0)), std::move(peers_), manager_.watchdog_ns(), first_config_.name, first_config_.listen};
        become_engine(std::move(handed), lock_.get(), parent);
    }
    engine_ = child;
    engine_pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    if (!engine_pidfd_) return errno_error(errno, "watch the engine");
    channel_ = std::move(channel.first);
    journal_channel_ = std::move(journal.first);
    is_replacing_ = false;
    return ok();
}

void Launcher::become_engine(Handed handed, int lock, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    // The parent may have died before the line above took effect.
    if (::getppid() != parent) ::_exit(exit_failed);
    close_all_but({handed.channel.get(), handed.journald.get(), handed.api.get(), handed.peers.get(), lock});
    // What this process has of the launcher's stays as it is: its destructors would end what is not ours.
    ::exit(engine_main_(std::move(handed), had_));
}

Result<int> Launcher::run() {
    for (;;) {
        const auto ended = HF_TRY(turn());
        if (ended) return *ended;
    }
}

Result<std::optional<int>> Launcher::turn() {
    std::vector<pollfd> ready = {{signals_.get(), POLLIN, 0}, {engine_pidfd_.get(), POLLIN, 0}, {channel_.get(), POLLIN, 0}, {journal_channel_.get(), POLLIN, 0}};
    const size_t own = ready.size();
    for (const Running& task : tasks_) {
        ready.push_back({task.child.pidfd(), POLLIN, 0});
        ready.push_back({task.end.get(), POLLIN, 0});
    }
    if (::poll(ready.data(), ready.size(), look_ms) < 0 && errno != EINTR) return errno_error(errno, "wait for the engine");
    if (ready[0].revents != 0) take_signal();
    look_at_tasks({ready.begin() + static_cast<ptrdiff_t>(own), ready.end()});
    if (ready[3].revents != 0) pass_to_journal();
    if (ready[2].revents != 0) serve();
    if (ready[1].revents != 0) return engine_ended();
    look_for_places();
    return std::optional<int>();
}

void Launcher::take_signal() {
    signalfd_siginfo info;
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
        if (info.ssi_signo != SIGHUP) is_ending_ = true;
        ::kill(engine_, info.ssi_signo == SIGHUP ? SIGHUP : SIGTERM);
    }
}

// READY: for each the end of the program, and what the engine wants of it. One that has ended is not killed any more.
void Launcher::look_at_tasks(const std::vector<pollfd>& ready) {
    for (size_t i = tasks_.size(); i-- > 0;) {
        Running& task = tasks_[i];
        const bool ended = ready[2 * i].revents != 0 && task.child.wait(0);
        if (ended) {
            const ProcessEnd end = task.child.end();
            (void)!::send(task.end.get(), &end, sizeof end, MSG_NOSIGNAL | MSG_DONTWAIT);
        } else if (ready[2 * i + 1].revents != 0) {
            char word = 0;
            const bool is_asked = ::recv(task.end.get(), &word, sizeof word, MSG_DONTWAIT) > 0;
            if (is_asked || !task.ends_by_itself) task.child.kill();
            // Nobody wants to know any more, and nothing more is to be read.
            if (!is_asked) task.end.reset();
        }
        if (ended) tasks_.erase(tasks_.begin() + static_cast<ptrdiff_t>(i));
    }
}

void Launcher::pass_to_journal() {
    const auto packet = receive_packet(journal_channel_.get());
    if (!packet) return journal_channel_.reset();
    journald_->pass_on(packet->text);
}

// What the engine asks is answered, whatever it is; when it has gone there is nobody to answer.
void Launcher::serve() {
    auto packet = receive_packet(channel_.get());
    if (!packet && packet.error().code == ErrorCode::unavailable) return channel_.reset();
    const Json question = packet ? Json::parse(packet->text, nullptr, false) : Json();
    Result<Answer> answered = refusal("a question is an object");
    try {
        if (question.is_object()) answered = answer(question, std::move(packet->fds));
    } catch (const Json::exception& wrong) {
        answered = refusal(wrong.what());
    }
    const std::vector<int> fds = answered && answered->fd ? std::vector<int>{answered->fd.get()} : std::vector<int>();
    (void)send_packet(channel_.get(), line_of(answered ? answered->said : json_of(answered.error())), fds).has_value();
}

Result<Launcher::Answer> Launcher::answer(const Json& question, std::vector<UniqueFd> fds) {
    const std::string what = question.at("ask").get<std::string>();
    if (what == "run") return start(question.at("task"), std::move(fds));
    if (what == "configuration") return Answer{.fd = HF_TRY(file_with(config_text_))};
    if (what == "reload") {
        const bool replaced = HF_TRY(reload());
        return Answer{.said = {{"replaced", replaced}}};
    }
    if (what == "tell") {
        const std::string state = question.at("state").get<std::string>();
        if (!may_be_told(state)) return refusal("nobody is told " + quoted(state));
        manager_.tell(state);
        return Answer{};
    }
    if (what == "description") {
        const std::string store = question.at("store").get<std::string>();
        if (!is_registered_store(store)) return refusal(quoted(store) + " is not registered");
        return Answer{.fd = HF_TRY(journal::open_description(store))};
    }
    if (what != "connect") return refusal("nobody knows " + quoted(what));
    const std::string path = question.at("path").get<std::string>();
    const bool is_theirs = std::any_of(needed_.volumes.begin(), needed_.volumes.end(), [&](const journal::VolumeId& id) {
        return path == journal::store_socket(id) || path == journal::sync_socket(id) || path == journal::capture_socket(id);
    });
    if (!is_theirs) return refusal(quoted(path) + " belongs to no volume that the configuration names");
    return Answer{.fd = HF_TRY(connect_now(path))};
}

Status Launcher::permit(const Task& task) const {
    if (tasks_.size() >= tasks_max) return Error{ErrorCode::busy, "too many programs run for the engine"};
    if (task.kind == Task::Kind::hook) {
        if (std::find(hooks_.begin(), hooks_.end(), task.command) != hooks_.end()) return ok();
        return refusal("no [[notify]] names that program");
    }
    for (const KeepRule& keep : config_.keep) {
        if (keep.store != task.store && real_path(keep.store) != task.store) continue;
        if (task.kind == Task::Kind::make_store && keep.volume != task.volume) continue;
        if (task.kind == Task::Kind::run_store && (keep.directory != task.standby || keep.replace_contents != task.replace_contents)) continue;
        return ok();
    }
    return refusal("no [[keep]] names the store " + quoted(task.store));
}

Result<Launcher::Answer> Launcher::start(const Json& question, std::vector<UniqueFd> fds) {
    const Task task = HF_TRY(task_of(question));
    HF_TRY(permit(task));
    const bool needs_fd = task.kind == Task::Kind::run_store || task.kind == Task::Kind::make_store;
    if (fds.size() != (needs_fd ? 2U : 1U)) return refusal("a program has as many descriptors as it needs");
    ChildProcess child = HF_TRY(start_here(task, needs_fd ? fds[1].get() : -1));
    tasks_.push_back({std::move(child), std::move(fds[0]), task.kind == Task::Kind::run_store});
    return Answer{};
}

Result<bool> Launcher::reload() {
    HF_TRY(take_configuration());
    return begin_replacing();
}

bool Launcher::begin_replacing() {
    const std::string missing = missing_place(needed_, had_);
    if (missing.empty()) return false;
    log_info("The engine is started anew, because the one that runs may not reach " + quoted(missing) + ".");
    is_replacing_ = true;
    return true;
}

void Launcher::look_for_places() {
    const uint64_t now_ns = system_clock().monotonic_ns();
    if (is_replacing_ || is_ending_ || now_ns - looked_ns_ < look_ms * uint64_t{1'000'000}) return;
    looked_ns_ = now_ns;
    needed_ = places_for(config_);
    if (begin_replacing()) ::kill(engine_, replaced_signal);
}

Result<std::optional<int>> Launcher::engine_ended() {
    siginfo_t info{};
    if (::waitid(P_PID, static_cast<id_t>(engine_), &info, WEXITED) != 0) return errno_error(errno, "wait for the engine");
    const bool in_order = info.si_code == CLD_EXITED && info.si_status == 0;
    if (in_order && is_replacing_ && !is_ending_) {
        HF_TRY(fork_engine());
        return std::optional<int>();
    }
    if (info.si_code != CLD_EXITED) log_error("The engine was killed by signal " + std::to_string(info.si_status) + ".");
    return std::optional<int>(info.si_code == CLD_EXITED ? info.si_status : exit_failed);
}

}  // namespace

Result<int> launch(const std::string& config_path, const EngineMain& engine_main) {
    // It is never destroyed: stores that have been told to end do so by themselves, and its end would kill them.
    auto* launcher = new Launcher(config_path, engine_main);
    Status begun = launcher->begin();
    Result<int> ended = begun ? launcher->run() : Result<int>(std::move(begun).error());
    launcher->end();
    return ended;
}

}  // namespace holdfast::replicator

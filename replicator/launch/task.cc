#include "replicator/launch/task.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/program.h"
#include "base/text.h"
#include "replicator/launch/outside.h"

namespace holdfast::replicator {

namespace {

constexpr const char* replace_word = "--replace-contents";

Result<ChildProcess> start_store(const std::vector<std::string>& arguments, int output, const std::vector<int>& inherited, bool ends_with_parent) {
    Program program{HF_TRY(find_program(store_program)), {}};
    program.file.reset(::open(program.path.c_str(), O_PATH | O_CLOEXEC));
    if (!program.file) return errno_error(errno, "open " + quoted(program.path));
    return ChildProcess::start({.program = program, .arguments = arguments, .log_fd = STDERR_FILENO, .output_fd = output, .inherited = inherited, .ends_with_parent = ends_with_parent});
}

Result<ChildProcess> start_hook(const Task& task) {
    if (task.command.empty()) return Error{ErrorCode::invalid_argument, "no program is named"};
    const UniqueFd input = HF_TRY(file_with(task.input));
    const Program program{task.command.front(), {}};
    return ChildProcess::start({.program = program,
                                .arguments = {task.command.begin() + 1, task.command.end()},
                                .log_fd = STDERR_FILENO,
                                .input_fd = input.get(),
                                .leads_group = true});
}

}  // namespace

Result<UniqueFd> file_with(const std::string& text) {
    UniqueFd file(::memfd_create("holdfast", MFD_CLOEXEC));
    if (!file) return errno_error(errno, "make a file in memory");
    if (::pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) return errno_error(errno, "write to a file in memory");
    return file;
}

Result<ChildProcess> start_here(const Task& task, int fd) {
    const std::string number = std::to_string(task.number);
    switch (task.kind) {
        case Task::Kind::run_store: {
            std::vector<std::string> words{"run", task.store, "--until-eof", std::to_string(fd), "--delay", number, "--standby", task.standby};
            if (task.replace_contents) words.emplace_back(replace_word);
            return start_store(words, -1, {fd}, false);
        }
        case Task::Kind::take_store_back: return start_store({"take-back", task.store, "--to", number}, -1, {}, true);
        case Task::Kind::make_store:
            return start_store({"make-replica", task.store, "--volume", journal::to_string(task.volume), "--segment-bytes", number}, fd, {}, true);
        case Task::Kind::hook: return start_hook(task);
    }
    return Error{ErrorCode::invalid_argument, "there is no such program"};
}

Result<Started> Started::start(const Task& task, UniqueFd fd) {
    if (Outside* outside = Outside::instance()) return Started(Elsewhere{HF_TRY(outside->run(task, std::move(fd))), {}});
    return Started(HF_TRY(start_here(task, fd.get())));
}

bool Started::wait(int timeout_ms) {
    if (auto* child = std::get_if<ChildProcess>(&process_)) return child->wait(timeout_ms);
    auto& elsewhere = std::get<Elsewhere>(process_);
    if (elsewhere.ended) return true;
    pollfd ready{elsewhere.end.get(), POLLIN, 0};
    int count;
    do count = ::poll(&ready, 1, timeout_ms);
    while (count < 0 && errno == EINTR);
    if (count <= 0) return false;
    ProcessEnd end{true, SIGKILL};  // without a launcher nothing of it is left
    (void)!::recv(elsewhere.end.get(), &end, sizeof end, 0);
    elsewhere.ended = end;
    return true;
}

int Started::exit_status() const {
    if (const auto* child = std::get_if<ChildProcess>(&process_)) return child->exit_status();
    const ProcessEnd& end = *std::get<Elsewhere>(process_).ended;
    return end.by_signal ? -1 : end.status;
}

std::string Started::describe_end() const {
    if (const auto* child = std::get_if<ChildProcess>(&process_)) return child->describe_end();
    return describe(*std::get<Elsewhere>(process_).ended);
}

void Started::kill() {
    if (auto* child = std::get_if<ChildProcess>(&process_)) return child->kill();
    (void)!::send(std::get<Elsewhere>(process_).end.get(), "k", 1, MSG_NOSIGNAL);
}

}  // namespace holdfast::replicator

#include "fusefs/preparation.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "base/child_process.h"
#include "base/json.h"
#include "base/log.h"
#include "base/program.h"
#include "base/text.h"
#include "fusefs/recovery_evidence.h"
#include "fusefs/worker_arguments.h"

namespace holdfast::fusefs {
namespace {

constexpr size_t output_line_bytes_max = 1 << 20;
constexpr int end_after_output_ms = 30'000;  // a child that closed its output and does not end is killed

// Runs one child to its end and hands on what it says, line by line.
class ChildRun {
public:
    ChildRun(MountSession& session, const PreparationWatch& watch) : session_(session), watch_(watch) {}

    // The child's last line, a JSON object. WHAT is for sentences.
    Result<Json> run(std::string_view what, const Program& program, std::vector<std::string> arguments, const std::function<void(const Json&)>& progress) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error(errno, "making a pipe");
        output_.reset(ends[0]);
        UniqueFd writing(ends[1]);
        const uint64_t log_start = session_.log_end();
        ChildStart how{program, std::move(arguments)};
        how.log_fd = session_.log_fd();
        how.output_fd = writing.get();
        // The lock goes along: nobody else may mount while this child still writes, even if the supervisor is killed.
        how.inherited = {session_.backing_fd(), session_.lock_fd()};
        how.ends_with_parent = true;
        ChildProcess child = HF_TRY(ChildProcess::start(how));
        writing.reset();
        HF_TRY(read_lines(what, progress));
        if (!child.wait(end_after_output_ms)) child.kill(), child.wait(-1);
        if (!child.exited_with(0)) {
            const std::string reason = session_.last_log_line_since(log_start);
            return Error{error_code_of(child.exit_status(), ErrorCode::io), std::string(what) + (reason.empty() ? " " + child.describe_end() : ": " + reason)};
        }
        if (!last_.is_object()) return Error{ErrorCode::corrupt, std::string(what) + " ended without evidence"};
        return std::move(last_);
    }

private:
    Status read_lines(std::string_view what, const std::function<void(const Json&)>& progress) {
        for (;;) {
            pollfd waits[] = {{output_.get(), POLLIN, 0}, {watch_.signal_fd, POLLIN, 0}, {watch_.foreground.fd(), 0, 0}};
            if (::poll(waits, std::size(waits), -1) < 0 && errno != EINTR) return errno_error(errno, "waiting");
            if (waits[1].revents != 0 || watch_.foreground.abandoned())
                return Error{ErrorCode::unavailable, std::string(what) + " was interrupted; nothing is mounted, and mounting again continues it"};
            if (waits[0].revents == 0) continue;
            char buffer[16384];
            const ssize_t got = ::read(output_.get(), buffer, sizeof buffer);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return errno_error(errno, "reading from a child");
            if (got == 0) return ok();
            take(std::string_view(buffer, static_cast<size_t>(got)), progress);
        }
    }

    void take(std::string_view text, const std::function<void(const Json&)>& progress) {
        for (const char c : text) {
            if (c != '\n') {
                if (line_.size() < output_line_bytes_max) line_ += c;
                continue;
            }
            Json said = Json::parse(line_, nullptr, false);
            line_.clear();
            if (!said.is_object()) continue;
            if (said.contains("progress")) progress(said["progress"]);
            else last_ = std::move(said);
        }
    }

    MountSession& session_;
    const PreparationWatch& watch_;
    UniqueFd output_;
    std::string line_;
    Json last_;
};

void show_progress(Foreground& foreground, const Json& progress) {
    if (!progress.is_object()) return;
    const auto number = [&](const char* name) { return number_or(progress, name, 0); };
    foreground.progress("copying what is there: " + std::to_string(number("files")) + " files, " + human_bytes(number("bytes")));
}

Result<Json> recover(MountSession& session, const Program& capture, const PreparationWatch& watch) {
    WorkerArguments arguments;
    arguments.recover_only = true;
    arguments.store = session.volume()->store;
    arguments.backing_fd = session.backing_fd();
    return ChildRun(session, watch).run("journal recovery", capture, to_arguments(arguments), [](const Json&) {});
}

}  // namespace

Status prepare_session(MountSession& session, const MountOptions& options, const Programs& programs, const PreparationWatch& watch) {
    const journal::Volume& volume = *session.volume();
    auto store = HF_TRY(open_disk(volume.store));
    Json evidence;
    evidence["recovery"] = HF_TRY(recover(session, programs.capture, watch));
    const auto& action = evidence["recovery"]["action"];
    if (!action.is_string()) return Error{ErrorCode::corrupt, "journal recovery does not say what it decided"};

    std::vector<std::string> words{"reconcile", volume.store, "--backing-fd", std::to_string(session.backing_fd()), "--after", action.get<std::string>()};
    if (options.accept_deletions) words.emplace_back("--accept-deletions");
    evidence["comparison"] = HF_TRY(ChildRun(session, watch).run("comparing the directory with its image", programs.store, std::move(words),
                                                                 [&](const Json& progress) { show_progress(watch.foreground, progress); }));
    HF_TRY(comparison_done(*store));
    return save_evidence(*store, std::move(evidence));
}

}  // namespace holdfast::fusefs

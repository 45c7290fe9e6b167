// A program that runs for the engine: the store service of a replica, what changes a store while no service has it open, a program that is told
// of an event. The engine's process may not start programs; its launcher does (launcher.h), and knows no others than these.
//
// Thread rule: a Started is used by one thread; start() from any.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/child_process.h"
#include "base/json.h"
#include "base/unique_fd.h"
#include "journal/ids.h"

namespace holdfast::replicator {

struct Task {
    enum class Kind {
        run_store,        // `holdfast-store run`, until FD ends; NUMBER is the delay in ns, and STANDBY the volume's standby directory
        take_store_back,  // `holdfast-store take-back`; NUMBER is the address
        make_store,       // `holdfast-store make-replica`; NUMBER is the size of a segment; it says to FD why it could not
        hook,             // COMMAND, with INPUT to read
    };
    Kind kind;
    std::string store = {};
    uint64_t number = 0;
    journal::VolumeId volume = {};
    std::vector<std::string> command = {};
    std::string input = {};
    std::string standby = {};       // "": it has none
    bool replace_contents = false;  // of the standby directory
};

Json to_json(const Task& task);
// Errors: invalid_argument.
Result<Task> task_of(const Json& json);

// TEXT as something to read, from its beginning; there is nobody who must go on writing it.
Result<UniqueFd> file_with(const std::string& text);

// Starts it in this process. Errors: not_found (the program), io.
Result<ChildProcess> start_here(const Task& task, int fd);

// One that runs, as a child of this process or of the launcher.
class Started {
public:
    // FD: as the kind has it. Errors: those of start_here(), permission (the launcher does not run it), unavailable (there is no launcher any more).
    static Result<Started> start(const Task& task, UniqueFd fd = {});
    Started(Started&&) noexcept = default;
    Started& operator=(Started&&) noexcept = default;
    // Its end kills it, unless it is a store's service that the launcher runs: that ends in order, by its FD.

    // True once it has ended; waits at most TIMEOUT_MS (-1: for ever).
    bool wait(int timeout_ms);
    // REQUIRES: wait() was true.
    bool exited_with(int status) const { return exit_status() == status; }
    int exit_status() const;  // -1: a signal ended it
    std::string describe_end() const;
    void kill();

private:
    struct Elsewhere {
        UniqueFd end;  // says how it ended; what comes from here kills it
        std::optional<ProcessEnd> ended;
    };
    explicit Started(std::variant<ChildProcess, Elsewhere> process) : process_(std::move(process)) {}

    std::variant<ChildProcess, Elsewhere> process_;
};

}  // namespace holdfast::replicator

// What the engine's process cannot do itself, because it is confined (confinement.h): it asks its launcher (launcher.h).
//
// The launcher answers at once and in the order of the questions, so a question costs two switches of processes.
//
// Thread rule: any thread, except that give() and take_...() belong to the first, before there are others.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/json.h"
#include "base/mutex.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "replicator/launch/packet.h"

namespace holdfast::replicator {

struct Config;
struct Task;

// What the engine is born with. Descriptors that are not there are empty.
struct Handed {
    UniqueFd channel;   // to the launcher
    UniqueFd journald;  // what is sent here goes to the host's journal
    UniqueFd api;       // listens for commands of this host
    UniqueFd peers;     // listens for other hosts
    uint64_t watchdog_ns = 0;  // ServiceManager
    std::string name, listen;  // of the configuration when the launcher began; they hold until it is started anew
};

class Outside {
public:
    explicit Outside(Handed handed) : handed_(std::move(handed)) {}
    // The one of this process; null: this process does everything itself, as in tests.
    static Outside* instance();
    // Also connects to Unix sockets and opens descriptions of stores by it from now on.
    static void set_instance(std::unique_ptr<Outside> outside);

    UniqueFd take_api_listener() { return std::move(handed_.api); }
    UniqueFd take_peer_listener() { return std::move(handed_.peers); }
    UniqueFd take_journald() { return std::move(handed_.journald); }
    // What this process has given up, a part of a sentence.
    const std::string& confined() const { return confined_; }
    void set_confined(std::string text) { confined_ = std::move(text); }

    // The configuration as it is now. Errors: those of load_config(PATH).
    Result<Config> configuration(const std::string& path);
    // To be called when the configuration is to be read again. True: it names directories that this process may not reach. It has to end
    // in order, and another one will take its place. Errors: as above.
    Result<bool> is_to_be_replaced();
    // Tells systemd, or whoever started us.
    void tell(const std::string& state);
    // The end that Started has of a program (task.h). Errors: permission, and those of starting it.
    Result<UniqueFd> run(const Task& task, UniqueFd fd);

private:
    Result<Packet> ask(const Json& question, const std::vector<int>& fds = {});
    Result<UniqueFd> ask_for_descriptor(const Json& question);

    Handed handed_;
    std::string confined_;
    Mutex mutex_;  // one question at a time
};

}  // namespace holdfast::replicator

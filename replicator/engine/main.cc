// holdfastd: the engine of a host. Ships the volumes that its configuration names to other hosts, and keeps replicas of theirs.
//
//   holdfastd [--config FILE]           runs until SIGTERM or SIGINT; SIGHUP reads the configuration again
//   holdfastd --check [--config FILE]   says whether the configuration can be taken
#include <malloc.h>
#include <signal.h>

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "base/service_manager.h"
#include "journal/volume.h"
#include "replicator/engine/api.h"
#include "replicator/engine/engine.h"
#include "replicator/engine/http_server.h"

namespace holdfast::replicator {
namespace {

constexpr int exit_usage = 2;
constexpr int exit_failed = 1;

struct Arguments {
    std::string config = config_file_default;
    bool is_check = false;
};

bool parse(int argc, char** argv, Arguments& arguments) {
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--check") arguments.is_check = true;
        else if (word == "--config" && i + 1 < argc) arguments.config = argv[++i];
        else return false;
    }
    return true;
}

// Batches of a megabyte are allocated and freed all the time. By default each would be mapped, faulted in page by page and unmapped
// again, which took a tenth of the engine's time.
constexpr int kept_block_bytes = 32 << 20, kept_heap_bytes = 128 << 20;
void keep_freed_memory() {
    ::mallopt(M_MMAP_THRESHOLD, kept_block_bytes);
    ::mallopt(M_TRIM_THRESHOLD, kept_heap_bytes);
}

sigset_t block_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    return set;
}

// On the loop, so that nobody vouches for a loop that hangs. Twice in the time after which we are taken for dead.
void keep_alive(Loop& loop, const ServiceManager& manager) {
    manager.tell("WATCHDOG=1");
    loop.after(manager.watchdog_ns() / 2, [&] { keep_alive(loop, manager); });
}

void reload(Engine& engine, const ServiceManager& manager) {
    manager.tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(system_clock().monotonic_ns() / 1000));
    (void)engine.reload().has_value();  // it says itself how it went
    manager.tell("READY=1");
}

Status run(const Arguments& arguments) {
    const ServiceManager manager = ServiceManager::from_environment();
    keep_freed_memory();
    const sigset_t signals = block_signals();  // before the first thread, so that all inherit it
    auto loop = HF_TRY(Loop::open());
    auto engine = HF_TRY(Engine::start(*loop, system_clock(), journal::engine_directory(), arguments.config));
    Api api(*loop, *engine);
    auto server = HF_TRY(HttpServer::start(journal::engine_socket(), [&](const HttpRequest& request) { return api.answer(request); }));
    // Apart from the one for this host, so that peers can use up no more than their own.
    auto for_peers = HF_TRY(HttpServer::start_adopting([&](const HttpRequest& request) { return api.answer(request); }, {.connections = control_connections_max}));
    engine->set_control([&](UniqueFd socket, const std::string& peer) { return for_peers->adopt(std::move(socket), peer); });
    std::thread listener([&] {
        for (int number = 0; ::sigwait(&signals, &number) == 0;) {
            if (number != SIGHUP) {
                manager.tell("STOPPING=1");
                loop->post([&] {
                    engine->announce_end();
                    loop->stop();
                });
                return;
            }
            loop->post([&] { reload(*engine, manager); });
        }
    });
    // It listens and its edges have begun; the loop's first turn says so.
    loop->post([&] { manager.tell("READY=1"); });
    if (manager.watchdog_ns() > 0) loop->post([&] { keep_alive(*loop, manager); });
    loop->run();
    listener.join();
    return ok();
}

}  // namespace
}  // namespace holdfast::replicator

int main(int argc, char** argv) {
    using namespace holdfast;
    replicator::Arguments arguments;
    if (!replicator::parse(argc, argv, arguments)) {
        std::fputs("holdfastd: usage: holdfastd [--check] [--config FILE]\n", stderr);
        return replicator::exit_usage;
    }
    if (arguments.is_check) {
        const auto config = replicator::load_config(arguments.config);
        if (config) return 0;
        std::fprintf(stderr, "holdfastd: %s\n", config.error().message.c_str());
        return replicator::exit_usage;
    }
    const Status done = replicator::run(arguments);
    if (done) return 0;
    std::fprintf(stderr, "holdfastd: %s\n", done.error().message.c_str());
    return replicator::exit_failed;
}

// holdfastd: the engine of a host. Ships the volumes that its configuration names to other hosts, and keeps replicas of theirs. Two processes: a
// launcher (replicator/launch/launcher.h), which has what only root's rights can do, and the engine, which speaks with other hosts.
//
//   holdfastd [--config FILE]           runs until SIGTERM or SIGINT; SIGHUP reads the configuration again
//   holdfastd --check [--config FILE]   says whether the configuration can be taken
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/program.h"
#include "journal/volume.h"
#include "replicator/engine/api.h"
#include "replicator/engine/engine.h"
#include "replicator/engine/http_server.h"
#include "replicator/launch/confinement.h"
#include "replicator/launch/launcher.h"
#include "replicator/launch/outside.h"

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
    for (const int number : {SIGTERM, SIGINT, SIGHUP, replaced_signal}) sigaddset(&set, number);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    return set;
}

// On the loop, so that nobody vouches for a loop that hangs. Twice in the time after which we are taken for dead.
void keep_alive(Loop& loop, Outside& outside, uint64_t watchdog_ns) {
    outside.tell("WATCHDOG=1");
    loop.after(watchdog_ns / 2, [&loop, &outside, watchdog_ns] { keep_alive(loop, outside, watchdog_ns); });
}

void reload(Engine& engine, Outside& outside, const bool& is_replaced) {
    outside.tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(system_clock().monotonic_ns() / 1000));
    (void)engine.reload().has_value();  // it says itself how it went
    if (!is_replaced) outside.tell("READY=1");
}

// Gives up what the engine does not need. The ring is there before, and no thread.
Result<Outside*> confine(Handed handed, const Places& places) {
    prepare_libraries();
    const Confined confined = HF_TRY(confine_engine(places));
    auto outside = std::make_unique<Outside>(std::move(handed));
    outside->set_confined(confined.text());
    log_info("The engine is confined by " + confined.text() + ".");
    Outside::set_instance(std::move(outside));
    return Outside::instance();
}

Status run_engine(const Arguments& arguments, Handed handed, const Places& places) {
    const uint64_t watchdog_ns = handed.watchdog_ns;
    keep_freed_memory();
    const sigset_t signals = block_signals();  // before the first thread, so that all inherit it
    auto loop = HF_TRY(Loop::open());
    Outside* const outside = HF_TRY(confine(std::move(handed), places));
    auto engine = HF_TRY(Engine::start(*loop, system_clock(), journal::engine_directory(), arguments.config));
    Api api(*loop, *engine);
    auto server = HF_TRY(HttpServer::start(UnixListener::adopt(journal::engine_socket(), outside->take_api_listener()), [&](const HttpRequest& request) { return api.answer(request); }));
    // Apart from the one for this host, so that peers can use up no more than their own.
    auto for_peers = HF_TRY(HttpServer::start_adopting([&](const HttpRequest& request) { return api.answer(request); }, {.connections = control_connections_max}));
    engine->set_control([&](UniqueFd socket, const std::string& peer) { return for_peers->adopt(std::move(socket), peer); });
    bool is_replaced = false;  // the loop's thread
    // Whoever is answered now and asks again is heard by the next engine. The loop stops after what asked for it is answered.
    const auto make_room = [&] {
        is_replaced = true;
        server->stop_accepting();
        loop->post([&] { loop->stop(); });
    };
    engine->set_replaced(make_room);
    std::thread listener([&] {
        for (int number = 0; ::sigwait(&signals, &number) == 0;) {
            if (number == SIGHUP) {
                loop->post([&] { reload(*engine, *outside, is_replaced); });
                continue;
            }
            if (number == replaced_signal) {
                loop->post(make_room);
                return;
            }
            outside->tell("STOPPING=1");
            loop->post([&] {
                engine->announce_end();
                loop->stop();
            });
            return;
        }
    });
    // It listens and its edges have begun; the loop's first turn says so.
    loop->post([&] { outside->tell("READY=1"); });
    if (watchdog_ns > 0) loop->post([&] { keep_alive(*loop, *outside, watchdog_ns); });
    loop->run();
    ::kill(::getpid(), replaced_signal);  // the listener waits for a signal, when it has not had the one that ends it
    listener.join();
    return ok();
}

int engine_main(const Arguments& arguments, Handed handed, const Places& places) {
    ::prctl(PR_SET_NAME, "holdfast-engine");
    show_process_as("holdfast-engine");
    const Status done = run_engine(arguments, std::move(handed), places);
    if (done) return 0;
    std::fprintf(stderr, "holdfastd: %s\n", done.error().message.c_str());
    return exit_failed;
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
    replicator::block_signals();  // before anybody could send one
    const auto ended = replicator::launch(arguments.config, [&](replicator::Handed handed, const replicator::Places& places) {
        return replicator::engine_main(arguments, std::move(handed), places);
    });
    if (ended) return *ended;
    std::fprintf(stderr, "holdfastd: %s\n", ended.error().message.c_str());
    return replicator::exit_failed;
}

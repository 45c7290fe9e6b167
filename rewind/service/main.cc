// holdfast-store: the program that has a volume's store open. docs/processes.md says who starts it, and when.
//
//   holdfast-store run STORE [--until-eof FD] [--delay NANOSECONDS] [--standby DIRECTORY [--replace-contents]]
//   holdfast-store reconcile STORE --backing-fd N [--after ACTION] [--accept-deletions]
//   holdfast-store take-back STORE --to LSN
//   holdfast-store make-replica STORE --volume ID --segment-bytes N      says on standard output why it could not
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/mount_trees.h"
#include "base/program.h"
#include "base/text.h"
#include "rewind/reconcile/reconcile.h"
#include "rewind/replica_store.h"
#include "rewind/service/confinement.h"
#include "rewind/service/doorkeeper.h"
#include "rewind/service/service.h"
#include "rewind/service/verbs.h"
#include "rewind/standby/standby_directory.h"
#include "rewind/store.h"

namespace holdfast::rewind {
namespace {

constexpr int exit_usage = 2;
constexpr auto takeover_pause = std::chrono::milliseconds(50);

constexpr const char* usage =
    "holdfast-store: usage: holdfast-store run STORE [--until-eof FD] [--delay NANOSECONDS] [--standby DIRECTORY [--replace-contents]]\n"
    "                       holdfast-store reconcile STORE --backing-fd N [--after ACTION] [--accept-deletions]\n"
    "                       holdfast-store take-back STORE --to LSN\n"
    "                       holdfast-store make-replica STORE --volume ID --segment-bytes N\n";

struct Arguments {
    std::string command;
    std::string store;
    int until_eof_fd = -1;
    int backing_fd = -1;
    std::string after = "compare_suspects";
    bool accept_deletions = false;
    std::optional<std::string> standby;
    bool replace_contents = false;
    std::optional<uint64_t> delay_ns;
    std::optional<journal::Lsn> to;
    std::optional<journal::VolumeId> volume;
    std::optional<uint64_t> segment_bytes;
};

std::optional<int> open_descriptor(std::string_view text) {
    int fd = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), fd);
    if (error != std::errc() || end != text.data() + text.size() || fd < 0) return std::nullopt;
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return std::nullopt;
    return fd;
}

std::optional<uint64_t> number_in(std::string_view text) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

std::optional<journal::VolumeId> volume_in(std::string_view text) {
    const auto id = journal::parse_volume_id(text);
    return id ? std::optional(*id) : std::nullopt;
}

// Nothing: the command line makes no sense.
std::optional<Arguments> parse(const std::vector<std::string>& words) {
    if (words.size() < 2) return std::nullopt;
    Arguments arguments{words[0], words[1]};
    for (size_t i = 2; i < words.size(); ++i) {
        if (words[i] == "--accept-deletions" || words[i] == "--replace-contents") {
            (words[i] == "--accept-deletions" ? arguments.accept_deletions : arguments.replace_contents) = true;
            continue;
        }
        if (i + 1 == words.size()) return std::nullopt;
        const std::string& value = words[++i];
        const std::string& option = words[i - 1];
        if (option == "--after")
            arguments.after = value;
        else if (option == "--standby")
            arguments.standby = value;
        else if (option == "--to")
            arguments.to = number_in(value);
        else if (option == "--delay")
            arguments.delay_ns = number_in(value);
        else if (option == "--segment-bytes")
            arguments.segment_bytes = number_in(value);
        else if (option == "--volume")
            arguments.volume = volume_in(value);
        else if (auto fd = open_descriptor(value); !fd)
            return std::nullopt;
        else if (option == "--until-eof")
            arguments.until_eof_fd = *fd;
        else if (option == "--backing-fd")
            arguments.backing_fd = *fd;
        else
            return std::nullopt;
    }
    const bool is_run = arguments.command == "run" && arguments.backing_fd < 0;
    const bool is_reconcile = arguments.command == "reconcile" && arguments.backing_fd >= 0;
    const bool is_take_back = arguments.command == "take-back" && arguments.to;
    const bool is_make = arguments.command == "make-replica" && arguments.volume && arguments.segment_bytes;
    if (!is_run && !is_reconcile && !is_take_back && !is_make) return std::nullopt;
    return arguments;
}

// Many descriptors: RocksDB's files, one per question to the image, the mounts' readers.
void raise_descriptor_limit() {
    rlimit limit;
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

Status run(const Arguments& arguments) {
    journal::Volume volume = HF_TRY(journal::load_volume(arguments.store));
    // The replica comes first: it is followed whatever is wrong with the directory, and who asks for its status hears of that.
    Service::Options options{arguments.until_eof_fd, arguments.delay_ns.value_or(0)};
    if (arguments.standby) {
        if (Status set = set_standby_directory(volume, *arguments.standby, arguments.replace_contents); !set) {
            log_error("There is no standby directory: " + set.error().message + ".");
            options.standby_refused = set.error().message;
            volume.directory.clear();
        }
    }
    auto outside = HF_TRY(Doorkeeper::start(volume, arguments.until_eof_fd));
    outside->set_confined(HF_TRY(confine_to(volume, {handed_in_directory(volume.id)})));
    log_info("The store service of " + quoted(journal::name_of(volume)) + " is confined by " + outside->confined().text() + ".");
    auto service = HF_TRY(Service::start(volume, system_clock(), options, std::move(outside)));
    return service->run();
}

// The journal still has what goes from the store; whoever asks for this cuts it next. Otherwise it would be applied again.
Status take_back(const Arguments& arguments) {
    const journal::Volume volume = HF_TRY(journal::load_volume(arguments.store));
    if (!volume.is_replica())
        return Error{ErrorCode::unsupported, "only the store of a replica is taken back; `holdfast rewind` brings an earlier state of a directory back"};
    HF_TRY(confine_to(volume, {}));
    const auto disk = HF_TRY(open_disk(volume.journal_directory));
    journal::Reader reader(*disk, volume.id, volume.segment_bytes, nullptr);
    const auto store = HF_TRY(Store::open(volume, reader, system_clock()));
    HF_TRY(store->take_back(*arguments.to));
    std::fprintf(stderr, "holdfast-store: %s\n", store->evidence().c_str());
    return ok();
}

constexpr uint32_t source_origin = 1;

Status make_replica(const Arguments& arguments) {
    auto made = make_replica_store(arguments.store, *arguments.volume, *arguments.segment_bytes, source_origin, 0);
    if (made) return ok();
    std::printf("%s\n", made.error().message.c_str());
    return std::move(made).error();
}

void print_line(const Json& json) {
    const std::string line = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fflush(stdout);
}

// The service keeps a view of the directory, in which it reads by name; directories are opened for it by their handles.
Result<std::unique_ptr<Outside>> confine_comparison(const journal::Volume& volume, UniqueFd& directory, ReconcileOptions& options) {
    auto view = read_only_view(directory.get());
    if (!view) {
        log_warning("The comparison of " + quoted(journal::name_of(volume)) + " with its image is not confined: " + view.error().message + ".");
        return std::unique_ptr<Outside>(std::make_unique<OutsideHere>(volume));
    }
    directory = std::move(*view);
    auto outside = HF_TRY(Doorkeeper::start(volume, -1, directory.get()));
    outside->set_confined(HF_TRY(confine_to(volume, {}, {directory.get()})));
    log_info("The comparison of " + quoted(journal::name_of(volume)) + " with its image is confined by " + outside->confined().text() + ".");
    options.open_directory = [door = outside.get()](const FileHandle& handle) { return door->open_viewed(handle); };
    return std::unique_ptr<Outside>(std::move(outside));
}

Status reconcile(const Arguments& arguments) {
    UniqueFd directory(arguments.backing_fd);
    const journal::Volume volume = HF_TRY(journal::load_volume(arguments.store));
    HF_TRY(journal::check_is_source(volume, "there is no directory that it could be compared with"));
    ReconcileOptions options;
    options.after = HF_TRY(parse_action(arguments.after));
    options.accept_deletions = arguments.accept_deletions;
    const auto outside = HF_TRY(confine_comparison(volume, directory, options));
    options.progress = [](const WorkProgress& work) {
        print_line({{"progress",
                     {{"files", work.files},
                      {"bytes", work.bytes},
                      {"files_total", work.files_total},
                      {"bytes_total", work.bytes_total}}}});
        return true;
    };
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(takeover_wait_ms);
    for (;;) {
        auto evidence = reconcile_volume(volume, directory.get(), options, system_clock());
        if (evidence) {
            print_line(to_json(*evidence));
            return ok();
        }
        // A command may be looking into the past of the volume that is being mounted.
        if (evidence.error().code != ErrorCode::busy || std::chrono::steady_clock::now() > give_up)
            return std::move(evidence).error();
        HF_TRY(outside->make_room());
        std::this_thread::sleep_for(takeover_pause);
    }
}

Status carry_out(const Arguments& arguments) {
    if (arguments.command == "run") return run(arguments);
    if (arguments.command == "reconcile") return reconcile(arguments);
    if (arguments.command == "make-replica") return make_replica(arguments);
    return take_back(arguments);
}

}  // namespace
}  // namespace holdfast::rewind

int main(int argc, char** argv) {
    using namespace holdfast;
    auto arguments = rewind::parse({argv + 1, argv + argc});
    if (!arguments) {
        std::fputs(rewind::usage, stderr);
        return rewind::exit_usage;
    }
    ::prctl(PR_SET_NAME, "holdfast-store");  // the supervisor starts it by descriptor, which older kernels show as a number
    rewind::raise_descriptor_limit();
    ::umask(077);
    Status done = rewind::carry_out(*arguments);
    if (done) return 0;
    std::fprintf(stderr, "holdfast-store: %s\n", done.error().message.c_str());
    return exit_status_of(done.error());
}

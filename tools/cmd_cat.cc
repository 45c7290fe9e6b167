#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/name_text.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "tools/cli/service.h"
#include "tools/cli/volume_path.h"
#include "tools/command.h"

namespace holdfast::tools {

namespace {

using cli::printable;

constexpr size_t piece_bytes = 1 << 20;
// A JSON document is held whole, by us and by whoever reads it.
constexpr uint64_t json_contents_max = 16 << 20;

// PATH inside the directory of one moment. A symbolic link of the past would lead into the present, so none is
// followed; opening a device or a FIFO of the past does nothing.
Result<UniqueFd> open_in_past(const std::string& directory, const std::string& path) {
    UniqueFd moment(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!moment) return errno_error(errno, "open " + printable(directory));
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    const std::string& name = path.empty() ? "." : path;
    UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, moment.get(), name.c_str(), &how, sizeof how)));
    if (fd) return fd;
    if (errno == ENOENT || errno == ENOTDIR) return Error{ErrorCode::not_found, printable(path) + " did not exist at that moment: `holdfast log` tells when it did"};
    if (errno == ELOOP) return Error{ErrorCode::invalid_argument, printable(path) + " was a symbolic link, or lay behind one: `holdfast ls` shows where it led"};
    return errno_error(errno, "open " + printable(path) + " as it was");
}

Status check_regular(int fd, const std::string& path, struct stat& info) {
    if (::fstat(fd, &info) != 0) return errno_error(errno, "look at " + printable(path));
    if (S_ISREG(info.st_mode)) return ok();
    if (S_ISDIR(info.st_mode)) return Error{ErrorCode::invalid_argument, printable(path.empty() ? "it" : path) + " was a directory: `holdfast ls` lists it"};
    return Error{ErrorCode::invalid_argument, printable(path) + " was no regular file, so it has no contents"};
}

// Reads FD to its end and hands every piece to TAKE, which says whether to go on.
template <typename Take>
Result<uint64_t> read_all(int fd, const std::string& path, const Take& take) {
    std::vector<char> piece(piece_bytes);
    uint64_t total = 0;
    for (;;) {
        ssize_t got = ::read(fd, piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno_error(errno, "read " + printable(path) + " as it was");
        if (got == 0) return total;
        total += static_cast<uint64_t>(got);
        if (!HF_TRY(take(std::string_view(piece.data(), static_cast<size_t>(got))))) return total;
    }
}

Result<bool> write_out(std::string_view piece) {
    while (!piece.empty()) {
        ssize_t written = ::write(STDOUT_FILENO, piece.data(), piece.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0 && errno == EPIPE) return false;  // the reader has seen enough
        if (written < 0) return errno_error(errno, "write the contents");
        piece.remove_prefix(static_cast<size_t>(written));
    }
    return true;
}

Result<Report> cat(const Arguments& arguments) {
    cli::VolumePath path = HF_TRY(cli::resolve_path(arguments.text("PATH")));
    std::string at = HF_TRY(arguments.moment_or("--at", "now"));
    auto service = HF_TRY(cli::StoreService::connect(path.volume, cli::StoreService::Start::transient));
    cli::Moment moment = HF_TRY(cli::resolve_moment(service, at));
    std::string past = text_to_name(HF_TRY(service.call({{"verb", "past"}})).value("directory", ""));
    UniqueFd fd = HF_TRY(open_in_past(past + "/@" + cli::lsn_text(moment.lsn), path.relative));
    struct stat info {};
    HF_TRY(check_regular(fd.get(), path.relative, info));
    Report report;
    if (!arguments.json()) {
        HF_TRY(read_all(fd.get(), path.relative, write_out));
        return report;
    }
    if (static_cast<uint64_t>(info.st_size) > json_contents_max)
        return Error{ErrorCode::no_space, printable(path.relative) + " has " + human_bytes(static_cast<uint64_t>(info.st_size)) +
                                              ", too much for one JSON document: leave out --json"};
    std::string contents;
    auto keep = [&contents](std::string_view piece) -> Result<bool> {
        contents += piece;
        return contents.size() <= json_contents_max;
    };
    HF_TRY(read_all(fd.get(), path.relative, keep));
    report.json = {{"path", name_to_text(path.relative)}, {"lsn", moment.lsn}, {"time_ns", moment.time_ns}, {"size", contents.size()}, {"contents", name_to_text(contents)}};
    return report;
}

}  // namespace

const Command cat_command = {
    "cat",
    "print a file as it was",
    "holdfast cat /srv/data/report.csv --at 10m",
    {{"PATH", Parameter::Kind::required, "", "the file; it need not exist any more"}, {"--at", Parameter::Kind::optional, "M", moment_help}},
    cat};

}  // namespace holdfast::tools

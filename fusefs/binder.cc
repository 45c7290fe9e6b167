#include "fusefs/binder.h"

#include <fcntl.h>

#include <cerrno>
#include <charconv>
#include <cstdio>

#include "base/mount_trees.h"
#include "base/text.h"
#include "fusefs/left_out_binds.h"
#include "journal/volume.h"

namespace holdfast::fusefs {
namespace {

constexpr const char* bind_word = "--bind";
constexpr size_t bind_words = 6;

template <typename T>
bool parse_number(const std::string& text, T& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end == text.data() + text.size();
}

Error wrong(const std::string& argument) {
    return {ErrorCode::invalid_argument, "what follows " + quoted(argument) + " makes no sense here; it is for the supervisor's own use"};
}

Result<UniqueFd> open_place(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return errno_error(errno, "open " + quoted(path));
    return fd;
}

// Everything is bound where nobody sees it; then one move makes mount and binds visible at once.
Status bind(const BinderArguments& arguments) {
    const journal::Volume volume = HF_TRY(journal::load_volume(arguments.store));
    const bool is_assembled = !arguments.assembled.empty();
    const UniqueFd mount = HF_TRY(open_place(is_assembled ? arguments.assembled : arguments.directory));
    HF_TRY(bind_left_out(mount.get(), arguments.backing_fd, volume.left_out, arguments.flags));
    if (!is_assembled) return ok();
    const UniqueFd cover = HF_TRY(open_place(arguments.directory));
    return put_mount(mount.get(), cover.get());
}

}  // namespace

std::vector<std::string> to_arguments(const BinderArguments& arguments) {
    return {bind_word, arguments.store, arguments.directory, std::to_string(arguments.backing_fd), std::to_string(arguments.flags), arguments.assembled};
}

Result<std::optional<BinderArguments>> parse_binder_arguments(const std::vector<std::string>& arguments) {
    if (arguments.empty() || arguments[0] != bind_word) return std::optional<BinderArguments>();
    BinderArguments parsed;
    bool complete = arguments.size() == bind_words && !arguments[1].empty() && !arguments[2].empty();
    if (complete)
        complete = parse_number(arguments[3], parsed.backing_fd) && parsed.backing_fd >= 0 && parse_number(arguments[4], parsed.flags);
    if (!complete) return wrong(arguments[0]);
    parsed.store = arguments[1];
    parsed.directory = arguments[2];
    parsed.assembled = arguments[5];
    return std::optional(parsed);
}

int run_binder(const BinderArguments& arguments) {
    const Status done = bind(arguments);
    if (done) return 0;
    std::fprintf(stderr, "mount.fuse.holdfast: %s\n", done.error().message.c_str());
    return 1;
}

}  // namespace holdfast::fusefs

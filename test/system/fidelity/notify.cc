// inotify: what is told about changes made through the same mount.
#include <string.h>
#include <sys/inotify.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

void see_events(const UniqueFd& notify) {
    alignas(inotify_event) char buffer[65536];
    std::string text;
    const ssize_t size = ::read(notify.get(), buffer, sizeof buffer);
    for (ssize_t at = 0; at < size;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
        text += printf_string("%x:%s ", event->mask, event->len != 0 ? event->name : "");
        at += static_cast<ssize_t>(sizeof *event) + event->len;
    }
    say("events", size < 0 ? errno_name(errno) : text);
}

void of_a_directory() {
    make_directory("d");
    make_directory("e");
    const UniqueFd notify(::inotify_init1(IN_NONBLOCK));
    SEE(inotify_add_watch(notify.get(), "d", IN_CREATE | IN_DELETE | IN_MOVE | IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_DELETE_SELF) > 0 ? 0 : -1);
    make_file("d/f", 0644, "x");
    see_events(notify);
    ::mkdir("d/sub", 0755);
    ::symlink("x", "d/s");
    ::link("d/f", "d/hard");
    see_events(notify);
    ::rename("d/f", "d/g");
    ::rename("d/g", "e/g");
    ::rename("e/g", "d/back");
    see_events(notify);
    ::truncate("d/back", 0);
    ::chmod("d/back", 0600);
    see_events(notify);
    ::unlink("d/back");
    ::unlink("d/hard");
    ::rmdir("d/sub");
    ::unlink("d/s");
    see_events(notify);
    ::rmdir("d");
    see_events(notify);
}

void of_a_file() {
    make_file("f", 0644, "contents");
    const UniqueFd notify(::inotify_init1(IN_NONBLOCK));
    SEE(inotify_add_watch(notify.get(), "f", IN_ALL_EVENTS & ~IN_ACCESS) > 0 ? 0 : -1);
    {
        const UniqueFd fd = open_file("f");
        if (::write(fd.get(), "x", 1) != 1) say("write", errno_name(errno));
    }
    see_events(notify);
    ::close(::open("f", O_RDONLY));
    see_events(notify);
    ::rename("f", "g");
    see_events(notify);
    ::unlink("g");
    see_events(notify);
}

constexpr Case cases[] = {{"of_a_directory", of_a_directory}, {"of_a_file", of_a_file}};

}  // namespace

extern const Topic notify_topic{"notify", cases};

}  // namespace holdfast::fidelity

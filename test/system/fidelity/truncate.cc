// truncate and ftruncate: sizes, what appears behind the old end, who may.
#include <limits.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

void sizes() {
    for (const off_t size : {0L, 1L, 7L, 8L, 9L, 4095L, 4096L, 4097L, 100000L, 10000000L}) {
        make_file("f", 0644, "contents");
        SEE_AS(printf_string("truncate to %ld", size), ::truncate("f", size));
        see_stat("f");
        see_bytes("f");
        SEE_AS("and back", ::truncate("f", 4));
        SEE_AS("and up again", ::truncate("f", 10));
        see_bytes("f");
    }
}

// What was cut off must not come back when the file grows again.
void nothing_comes_back() {
    make_file("f", 0644, std::string(20000, 'x'));
    const UniqueFd fd = open_file("f");
    for (const off_t cut : {19999L, 12289L, 12288L, 12287L, 5000L, 1L}) {
        SEE_AS(printf_string("cut to %ld", cut), ::ftruncate(fd.get(), cut));
        SEE(ftruncate(fd.get(), 20000));
        see_bytes("f");
        SEE(pwrite(fd.get(), "y", 1, 19999));
        see_bytes("f");
    }
}

void errors() {
    make_file("f", 0644, "contents");
    make_directory("d");
    ::mkfifo("p", 0644);
    ::symlink("f", "s");
    ::symlink("none", "dangling");
    SEE(truncate("f", -1));
    SEE(truncate("none", 0));
    SEE(truncate("dangling", 0));
    SEE(truncate("d", 0));
    SEE(truncate("p", 0));
    SEE(truncate("f/x", 0));
    SEE(truncate("", 0));
    SEE(truncate("s", 3));
    SEE(truncate("f", LONG_MAX));
    SEE(truncate("f", 1L << 60));
    const UniqueFd reader = open_file("f", O_RDONLY);
    SEE(ftruncate(reader.get(), 0));
    SEE(ftruncate(-1, 0));
    const UniqueFd writer = open_file("f", O_WRONLY);
    SEE(ftruncate(writer.get(), -1));
    SEE(ftruncate(writer.get(), 2));
    const UniqueFd appender = open_file("f", O_WRONLY | O_APPEND);
    SEE(ftruncate(appender.get(), 1));
    see_bytes("f");
}

void who_may() {
    for (const mode_t mode : {0644, 0666, 0444, 0222, 0000, 0660}) {
        make_file("f", 0644, "contents");
        give("f", alice.uid, shared_group);
        ::chmod("f", mode);
        for (const User* user : {&alice, &bob, &carol}) {
            as(*user, [mode] {
                SEE_AS(printf_string("truncate, mode %o", mode), ::truncate("f", 6));
                SEE_FD_AS("open to truncate", ::open("f", O_WRONLY | O_TRUNC));
                SEE_FD_AS("open for reading to truncate", ::open("f", O_RDONLY | O_TRUNC));
            });
            see_stat("f");
        }
        ::unlink("f");
    }
}

// A descriptor keeps its right to truncate after the mode has changed.
void right_of_the_descriptor() {
    make_file("f", 0666, "contents");
    give("f", alice.uid, alice.gid);
    as(bob, [] {
        const UniqueFd fd = open_file("f");
        SEE(ftruncate(fd.get(), 4));
    });
    const UniqueFd fd = open_file("f");
    ::chmod("f", 0);
    SEE(ftruncate(fd.get(), 2));
    see_stat("f");
}

constexpr Case cases[] = {
    {"sizes", sizes}, {"nothing_comes_back", nothing_comes_back}, {"errors", errors}, {"who_may", who_may},
    {"right_of_the_descriptor", right_of_the_descriptor},
};

}  // namespace

extern const Topic truncate_topic{"truncate", cases};

}  // namespace holdfast::fidelity

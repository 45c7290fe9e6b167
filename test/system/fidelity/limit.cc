// The ends of things: largest offsets, RLIMIT_FSIZE, too many links.
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

void largest_offsets() {
    const UniqueFd fd = open_file("f", O_RDWR | O_CREAT);
    for (const long long offset : {0x7fffffffLL, 0x80000000LL, 0xffffffffLL, 0x100000000LL, 1LL << 40}) {
        SEE_AS(printf_string("pwrite at %llx", offset), ::pwrite(fd.get(), "x", 1, offset));
        char byte = 0;
        SEE_AS("pread", ::pread(fd.get(), &byte, 1, offset));
        say("byte", std::string_view(&byte, 1));
        see_stat("f");
    }
    for (const long long offset : {1LL << 44, (1LL << 44) - 4096, 1LL << 50, LLONG_MAX - 1, LLONG_MAX}) {
        SEE_AS(printf_string("pwrite at %llx", offset), ::pwrite(fd.get(), "xy", 2, offset));
        SEE_AS("ftruncate", ::ftruncate(fd.get(), offset));
        ::ftruncate(fd.get(), 100);
        see_stat("f");
        SEE_AS("lseek", ::lseek(fd.get(), offset, SEEK_SET) == offset ? 0 : -1);
    }
}

// The limit lies far above what this program prints, because its output may be a file as well.
void file_size_limit() {
    constexpr off_t limit_bytes = 64 << 20;
    make_file("f", 0644, "x");
    in_child([] {
        const struct rlimit limit{limit_bytes, limit_bytes};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        for (const bool ignored : {true, false}) {
            ::signal(SIGXFSZ, ignored ? SIG_IGN : SIG_DFL);
            const auto attempts = [] {
                const UniqueFd fd = open_file("f");
                const std::string bytes(8000, 'y');
                SEE(pwrite(fd.get(), bytes.data(), bytes.size(), limit_bytes - 10000));
                SEE(pwrite(fd.get(), bytes.data(), bytes.size(), limit_bytes - 5000));
                SEE(ftruncate(fd.get(), limit_bytes));
                SEE(fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 0, limit_bytes));
                SEE(pwrite(fd.get(), bytes.data(), bytes.size(), limit_bytes));
                SEE(ftruncate(fd.get(), limit_bytes + 1));
                SEE(fallocate(fd.get(), 0, 0, limit_bytes + 10000));
            };
            say("with the signal", describe_status(in_child(attempts)));
            see_stat("f");
        }
    });
}

void many_links() {
    make_file("f");
    make_directory("d");
    int made = 0;
    for (int i = 0; i < 2000; ++i) made += ::link("f", printf_string("d/l%d", i).c_str()) == 0;
    say("links", made);
    see_stat("f");
    for (int i = 0; i < 2000; i += 2) ::unlink(printf_string("d/l%d", i).c_str());
    see_stat("f");
}

void many_descriptors() {
    make_file("f", 0644, "x");
    int opened = 0;
    for (int i = 0; i < 900; ++i) opened += ::open("f", O_RDONLY) >= 0;
    say("opened", opened);
    see_stat("f");
}

constexpr Case cases[] = {
    {"largest_offsets", largest_offsets}, {"file_size_limit", file_size_limit}, {"many_links", many_links}, {"many_descriptors", many_descriptors},
};

}  // namespace

extern const Topic limit_topic{"limit", cases};

}  // namespace holdfast::fidelity

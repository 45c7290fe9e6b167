// Copies inside the kernel: copy_file_range, sendfile, splice, clone.
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

void ranges() {
    std::string bytes;
    for (char c = 'a'; c < 'p'; ++c) bytes.append(5000, c);
    make_file("from", 0644, bytes);
    const UniqueFd from = open_file("from", O_RDONLY);
    int number = 0;
    for (const off_t in : {0L, 1L, 4096L, 70000L, 80000L}) {
        for (const off_t out : {0L, 3L, 8192L}) {
            for (const size_t length : {0ul, 1ul, 4096ul, 50000ul, 1000000ul}) {
                const std::string name = printf_string("to%d", number++);
                make_file(name, 0644, "previous");
                const UniqueFd to = open_file(name);
                off_t source = in, target = out;
                SEE_AS(printf_string("copy %zu from %ld to %ld", length, in, out), ::copy_file_range(from.get(), &source, to.get(), &target, length, 0));
                say("offsets", printf_string("%ld %ld", source, target));
                see_bytes(name);
                ::unlink(name.c_str());
            }
        }
    }
}

void positions() {
    make_file("from", 0644, "0123456789");
    make_file("to", 0644);
    const UniqueFd from = open_file("from"), to = open_file("to");
    SEE(copy_file_range(from.get(), nullptr, to.get(), nullptr, 4, 0));
    SEE(copy_file_range(from.get(), nullptr, to.get(), nullptr, 100, 0));
    SEE(copy_file_range(from.get(), nullptr, to.get(), nullptr, 100, 0));
    SEE(lseek(from.get(), 0, SEEK_CUR));
    SEE(lseek(to.get(), 0, SEEK_CUR));
    see_bytes("to");
}

void within_a_file() {
    make_file("f", 0644, std::string(10000, 'a') + std::string(10000, 'b'));
    const UniqueFd fd = open_file("f");
    off_t in = 0, out = 15000;
    SEE(copy_file_range(fd.get(), &in, fd.get(), &out, 10000, 0));
    in = 0, out = 5000;
    SEE(copy_file_range(fd.get(), &in, fd.get(), &out, 10000, 0));
    see_bytes("f");
}

void errors() {
    make_file("f", 0644, "contents");
    make_directory("d");
    ::mkfifo("p", 0644);
    const UniqueFd reader = open_file("f", O_RDONLY), writer = open_file("g", O_WRONLY | O_CREAT), directory = open_file("d", O_RDONLY);
    const UniqueFd fifo = open_file("p", O_RDWR | O_NONBLOCK), appender = open_file("a", O_WRONLY | O_APPEND | O_CREAT);
    SEE(copy_file_range(writer.get(), nullptr, reader.get(), nullptr, 4, 0));
    SEE(copy_file_range(reader.get(), nullptr, reader.get(), nullptr, 4, 0));
    SEE(copy_file_range(directory.get(), nullptr, writer.get(), nullptr, 4, 0));
    SEE(copy_file_range(reader.get(), nullptr, directory.get(), nullptr, 4, 0));
    SEE(copy_file_range(fifo.get(), nullptr, writer.get(), nullptr, 4, 0));
    SEE(copy_file_range(reader.get(), nullptr, appender.get(), nullptr, 4, 0));
    SEE(copy_file_range(reader.get(), nullptr, writer.get(), nullptr, 4, 1));
    off_t negative = -1;
    SEE(copy_file_range(reader.get(), &negative, writer.get(), nullptr, 4, 0));
}

void other_ways() {
    make_file("from", 0644, std::string(100000, 's'));
    const UniqueFd from = open_file("from", O_RDONLY);
    const UniqueFd to = open_file("to", O_RDWR | O_CREAT);
    off_t at = 50;
    SEE(sendfile(to.get(), from.get(), &at, 70000));
    say("offset", static_cast<long long>(at));
    int ends[2];
    SEE(pipe(ends));
    const UniqueFd read_end(ends[0]), write_end(ends[1]);
    loff_t source = 0, target = 200000;
    SEE(splice(from.get(), &source, write_end.get(), nullptr, 30000, 0));
    SEE(splice(read_end.get(), nullptr, to.get(), &target, 30000, 0));
    see_bytes("to");
    see_stat("to");
}

// A copy is a copy: later changes of the source are not seen in it.
void independent() {
    make_file("from", 0644, std::string(65536, 'o'));
    make_file("to");
    const UniqueFd from = open_file("from"), to = open_file("to");
    SEE(copy_file_range(from.get(), nullptr, to.get(), nullptr, 65536, 0));
    SEE(pwrite(from.get(), "changed", 7, 0));
    SEE(pwrite(to.get(), "mine", 4, 4096));
    see_bytes("from");
    see_bytes("to");
}

constexpr Case cases[] = {
    {"ranges", ranges}, {"positions", positions}, {"within_a_file", within_a_file}, {"errors", errors},
    {"other_ways", other_ways}, {"independent", independent},
};

}  // namespace

extern const Topic copy_topic{"copy", cases};

}  // namespace holdfast::fidelity

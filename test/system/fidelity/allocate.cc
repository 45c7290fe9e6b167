// fallocate in all its modes, holes and data.
#include <linux/falloc.h>

#include <vector>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

// Data and holes as SEEK_DATA and SEEK_HOLE tell them.
void see_map(const std::string& path) {
    const UniqueFd fd = open_file(path, O_RDONLY);
    std::string text;
    off_t at = 0;
    for (int i = 0; i < 50; ++i) {
        const off_t data = ::lseek(fd.get(), at, SEEK_DATA);
        if (data < 0) {
            text += errno_name(errno);
            break;
        }
        const off_t hole = ::lseek(fd.get(), data, SEEK_HOLE);
        text += printf_string("[%lld,%lld) ", static_cast<long long>(data), static_cast<long long>(hole));
        at = hole;
    }
    say("map of " + path, text);
}

void see_blocks(const std::string& path) {
    struct stat st;
    say("blocks of " + path, ::stat(path.c_str(), &st) == 0 ? static_cast<long long>(st.st_blocks) : -1LL);
}

struct Mode {
    const char* name;
    int value;
};
constexpr Mode modes[] = {
    {"allocate", 0},
    {"keep", FALLOC_FL_KEEP_SIZE},
    {"punch", FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE},
    {"punch without keep", FALLOC_FL_PUNCH_HOLE},
    {"zero", FALLOC_FL_ZERO_RANGE},
    {"zero keep", FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE},
    {"collapse", FALLOC_FL_COLLAPSE_RANGE},
    {"insert", FALLOC_FL_INSERT_RANGE},
    {"unshare", FALLOC_FL_UNSHARE_RANGE},
    {"collapse keep", FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE},
    {"collapse insert", FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE},
    {"unknown", 0x8000},
};

void every_mode() {
    struct Range { off_t offset, length; };
    constexpr Range ranges[] = {{0, 4096}, {4096, 8192}, {8192, 100000}, {0, 0}, {-1, 10}, {0, -1}, {100, 5000}, {16384, 4096}, {20480, 4096},
                                {65536, 65536}, {0, 20480}, {1L << 62, 1L << 62}};
    for (const Mode& mode : modes) {
        for (const Range& range : ranges) {
            std::string bytes;
            for (char c = 'a'; c < 'f'; ++c) bytes.append(4096, c);
            make_file("f", 0644, bytes);
            const UniqueFd fd = open_file("f");
            ::fsync(fd.get());
            SEE_AS(printf_string("%s %ld+%ld", mode.name, range.offset, range.length), ::fallocate(fd.get(), mode.value, range.offset, range.length));
            see_stat("f");
            see_bytes("f");
            ::unlink("f");
        }
    }
}

void holes() {
    const UniqueFd fd = open_file("f", O_RDWR | O_CREAT);
    SEE(ftruncate(fd.get(), 1 << 20));
    see_map("f");
    SEE(pwrite(fd.get(), std::string(4096, 'x').data(), 4096, 65536));
    SEE(pwrite(fd.get(), "y", 1, 500000));
    SEE(fsync(fd.get()));
    see_map("f");
    see_blocks("f");
    SEE(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 65536, 4096));
    SEE(fsync(fd.get()));
    see_map("f");
    see_blocks("f");
    SEE(lseek(fd.get(), 0, SEEK_DATA));
    SEE(lseek(fd.get(), 0, SEEK_HOLE));
    SEE(lseek(fd.get(), 1 << 20, SEEK_DATA));
    SEE(lseek(fd.get(), 1 << 20, SEEK_HOLE));
    SEE(lseek(fd.get(), -1, SEEK_DATA));
    SEE(lseek(fd.get(), (1 << 20) - 1, SEEK_DATA));
    SEE(lseek(fd.get(), (1 << 20) - 1, SEEK_HOLE));
}

// Data that was just written and not synced is data, whoever looks.
void fresh_data_is_data() {
    const UniqueFd fd = open_file("f", O_RDWR | O_CREAT);
    SEE(pwrite(fd.get(), "x", 1, 1 << 20));
    SEE(lseek(fd.get(), 0, SEEK_HOLE));
    SEE(lseek(fd.get(), 1 << 20, SEEK_DATA));
    const UniqueFd other = open_file("f", O_RDONLY);
    SEE(lseek(other.get(), 1 << 20, SEEK_DATA));
    SEE(lseek(other.get(), 1 << 20, SEEK_HOLE));
}

void on_what_is_no_file() {
    make_directory("d");
    ::mkfifo("p", 0644);
    const UniqueFd directory = open_file("d", O_RDONLY);
    const UniqueFd fifo = open_file("p", O_RDWR | O_NONBLOCK);
    SEE(fallocate(directory.get(), 0, 0, 10));
    SEE(fallocate(fifo.get(), 0, 0, 10));
    SEE(posix_fallocate(fifo.get(), 0, 10));
    SEE(fallocate(-1, 0, 0, 10));
    const UniqueFd appender = open_file("f", O_WRONLY | O_APPEND | O_CREAT);
    SEE(fallocate(appender.get(), 0, 0, 10000));
    SEE(fallocate(appender.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    see_stat("f");
}

void cache_follows() {
    std::string bytes;
    for (char c = 'a'; c < 'k'; ++c) bytes.append(4096, c);
    make_file("f", 0644, bytes);
    const UniqueFd fd = open_file("f");
    std::vector<char> cache(bytes.size());
    SEE(pread(fd.get(), cache.data(), cache.size(), 0));
    SEE(fallocate(fd.get(), FALLOC_FL_COLLAPSE_RANGE, 4096, 8192));
    see_bytes("f");
    SEE(fallocate(fd.get(), FALLOC_FL_INSERT_RANGE, 8192, 4096));
    see_bytes("f");
    SEE(fallocate(fd.get(), FALLOC_FL_ZERO_RANGE, 100, 5000));
    see_bytes("f");
    SEE(fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10000, 9000));
    see_bytes("f");
}

constexpr Case cases[] = {
    {"every_mode", every_mode}, {"holes", holes}, {"fresh_data_is_data", fresh_data_is_data},
    {"on_what_is_no_file", on_what_is_no_file}, {"cache_follows", cache_follows},
};

}  // namespace

extern const Topic allocate_topic{"allocate", cases};

}  // namespace holdfast::fidelity

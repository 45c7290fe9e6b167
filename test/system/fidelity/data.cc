// Reading and writing: positions, sizes, append, direct, synchronous, vectors, several descriptors.
#include <string.h>
#include <sys/uio.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

// Values that the compiler must not know, or it would warn of exactly what is meant to fail.
char* volatile const nowhere = reinterpret_cast<char*>(8);
const volatile int minus_one = -1;

void positions() {
    const UniqueFd fd = open_file("f", O_RDWR | O_CREAT);
    char buffer[64];
    SEE(write(fd.get(), "0123456789", 10));
    SEE(lseek(fd.get(), 0, SEEK_CUR));
    SEE(read(fd.get(), buffer, 5));
    SEE(lseek(fd.get(), 2, SEEK_SET));
    SEE(read(fd.get(), buffer, 5));
    SEE(write(fd.get(), "ab", 2));
    SEE(lseek(fd.get(), -3, SEEK_END));
    SEE(read(fd.get(), buffer, 50));
    SEE(lseek(fd.get(), 100, SEEK_END));
    SEE(read(fd.get(), buffer, 50));
    SEE(write(fd.get(), "z", 1));
    SEE(lseek(fd.get(), -1, SEEK_SET));
    SEE(lseek(fd.get(), 0, 77));
    SEE(pread(fd.get(), buffer, 5, 3));
    SEE(pread(fd.get(), buffer, 5, -1));
    SEE(pwrite(fd.get(), "P", 1, 5));
    SEE(pwrite(fd.get(), "P", 1, -5));
    SEE(read(fd.get(), nullptr, 0));
    SEE(write(fd.get(), nullptr, 0));
    SEE(write(fd.get(), nowhere, 10));
    SEE(pread(fd.get(), nowhere, 10, 0));
    see_bytes("f");
}

void wrong_descriptors() {
    make_file("f", 0644, "contents");
    make_directory("d");
    const UniqueFd reader = open_file("f", O_RDONLY);
    const UniqueFd writer = open_file("f", O_WRONLY);
    const UniqueFd directory = open_file("d", O_RDONLY);
    char buffer[8];
    SEE(write(reader.get(), "x", 1));
    SEE(read(writer.get(), buffer, 1));
    SEE(read(directory.get(), buffer, 1));
    SEE(write(directory.get(), "x", 1));
    SEE(ftruncate(reader.get(), 0));
    SEE(fallocate(reader.get(), 0, 0, 10));
    SEE(fsync(directory.get()));
    SEE(fdatasync(reader.get()));
    see_bytes("f");
}

// Offsets and lengths around the boundaries of pages and of one request.
void around_boundaries() {
    int number = 0;
    for (const size_t offset : {0u, 1u, 4095u, 4096u, 4097u, 131071u, 131072u, 1048575u, 1048576u}) {
        for (const size_t length : {1u, 4095u, 4096u, 4097u, 131072u, 131073u, 1048576u, 1048577u, 3000000u}) {
            const std::string name = printf_string("f%d", number++);
            const UniqueFd fd = open_file(name, O_RDWR | O_CREAT);
            const std::string bytes(length, static_cast<char>('a' + number % 26));
            SEE_AS("pwrite", ::pwrite(fd.get(), bytes.data(), length, static_cast<off_t>(offset)));
            SEE_AS("overwrite", ::pwrite(fd.get(), "##", 2, static_cast<off_t>(offset + length / 2)));
            std::vector<char> back(offset + length + 10);
            SEE_AS("pread", ::pread(fd.get(), back.data(), back.size(), 0));
            see_bytes(name);
            see_fstat(name, fd.get());
            ::unlink(name.c_str());
        }
    }
}

void append() {
    make_file("f", 0644, "start ");
    const UniqueFd a = open_file("f", O_WRONLY | O_APPEND);
    const UniqueFd b = open_file("f", O_RDWR | O_APPEND);
    const UniqueFd plain = open_file("f", O_RDWR);
    SEE(write(a.get(), "one ", 4));
    SEE(write(b.get(), "two ", 4));
    SEE(lseek(b.get(), 0, SEEK_SET));
    SEE(write(b.get(), "three ", 6));
    SEE(lseek(b.get(), 0, SEEK_CUR));
    SEE(pwrite(a.get(), "four ", 5, 0));
    SEE(write(plain.get(), "S", 1));
    SEE(ftruncate(plain.get(), 5));
    SEE(write(a.get(), "five", 4));
    SEE(fcntl(plain.get(), F_SETFL, O_APPEND));
    SEE(write(plain.get(), "six", 3));
    SEE(fcntl(plain.get(), F_SETFL, 0));
    SEE(write(plain.get(), "7", 1));
    see_bytes("f");
}

// Many processes append short lines; none may be lost or torn.
void append_together() {
    make_file("f");
    std::vector<pid_t> children;
    for (int child = 0; child < 8; ++child) {
        children.push_back(spawn([child] {
            const UniqueFd fd = open_file("f", O_WRONLY | O_APPEND);
            const std::string line(20, static_cast<char>('a' + child));
            for (int i = 0; i < 100; ++i) {
                if (::write(fd.get(), line.data(), line.size()) != 20) say("append", errno_name(errno));
            }
        }));
    }
    for (const pid_t child : children) wait_for(child);
    see_stat("f");
    const UniqueFd fd = open_file("f", O_RDONLY);
    int counts[8] = {}, torn = 0;
    char line[20];
    while (::read(fd.get(), line, sizeof line) == 20) {
        for (const char c : line) torn += c != line[0];
        ++counts[(line[0] - 'a') & 7];
    }
    say("torn bytes", torn);
    for (const int count : counts) say("lines of one writer", count);
}

void vectors() {
    const UniqueFd fd = open_file("f", O_RDWR | O_CREAT);
    std::string parts[3] = {"one", std::string(100000, 'x'), "three"};
    struct iovec pieces[4] = {{parts[0].data(), 3}, {parts[1].data(), 100000}, {nullptr, 0}, {parts[2].data(), 5}};
    SEE(writev(fd.get(), pieces, 4));
    SEE(pwritev(fd.get(), pieces, 1, 50));
    SEE(pwritev2(fd.get(), pieces, 1, -1, RWF_APPEND));
    SEE(pwritev2(fd.get(), pieces, 1, 10, RWF_DSYNC));
    SEE(pwritev2(fd.get(), pieces, 1, 10, RWF_SYNC));
    SEE(writev(fd.get(), pieces, 0));
    SEE(writev(fd.get(), pieces, minus_one));
    SEE(preadv(fd.get(), pieces, 4, 0));
    say("first", parts[0]);
    see_bytes("f");
}

using Buffer = std::unique_ptr<char, decltype(&::free)>;

Buffer aligned(size_t size, char fill) {
    void* memory = nullptr;
    if (::posix_memalign(&memory, 4096, size) != 0) memory = nullptr;
    memset(memory, fill, size);
    return Buffer(static_cast<char*>(memory), ::free);
}

void direct() {
    const Buffer buffer = aligned(65536, 'd');
    const UniqueFd fd = open_file("f", O_RDWR | O_CREAT | O_DIRECT);
    SEE(pwrite(fd.get(), buffer.get(), 65536, 0));
    SEE(pwrite(fd.get(), buffer.get(), 4096, 4096 * 20));
    memset(buffer.get(), 'e', 65536);
    SEE(pwrite(fd.get(), buffer.get(), 8192, 4096));
    SEE(pread(fd.get(), buffer.get(), 65536, 0));
    SEE(pread(fd.get(), buffer.get(), 4096, 4096 * 20));
    SEE(pread(fd.get(), buffer.get(), 4096, 4096 * 100));
    see_bytes("f");
    // What one descriptor writes directly, another reads through the cache, and the other way round.
    const UniqueFd cached = open_file("f");
    char byte;
    SEE(pread(cached.get(), &byte, 1, 5000));
    memset(buffer.get(), 'g', 65536);
    SEE(pwrite(fd.get(), buffer.get(), 4096, 4096));
    SEE(pread(cached.get(), &byte, 1, 5000));
    say("seen through the cache", std::string_view(&byte, 1));
    SEE(pwrite(cached.get(), "h", 1, 5000));
    SEE(pread(fd.get(), buffer.get(), 4096, 4096));
    say("seen directly", std::string_view(buffer.get() + 904, 1));
}

void synchronous() {
    for (const int flag : {O_SYNC, O_DSYNC, O_SYNC | O_APPEND, O_DSYNC | O_DIRECT}) {
        const UniqueFd fd = open_file("f", O_RDWR | O_CREAT | flag);
        const Buffer buffer = aligned(4096, 's');
        SEE_AS(printf_string("write with %x", flag), ::write(fd.get(), buffer.get(), 4096));
        SEE_AS("flags", ::fcntl(fd.get(), F_GETFL) & (O_SYNC | O_DSYNC | O_APPEND));
        SEE_AS("sync_file_range", ::sync_file_range(fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
    }
    SEE_AS("syncfs", ::syncfs(open_file("f").get()));
    see_bytes("f");
}

void two_descriptors_agree() {
    const UniqueFd a = open_file("f", O_RDWR | O_CREAT);
    const UniqueFd b = open_file("f", O_RDWR);
    char buffer[32] = {};
    for (int i = 0; i < 20; ++i) {
        const std::string text = printf_string("step%d", i);
        if (::pwrite(i % 2 ? a.get() : b.get(), text.data(), text.size(), i * 1000) < 0) say("pwrite", errno_name(errno));
        const ssize_t count = ::pread(i % 2 ? b.get() : a.get(), buffer, text.size(), i * 1000);
        say("read by the other", std::string_view(buffer, count > 0 ? static_cast<size_t>(count) : 0));
    }
    see_fstat("a", a.get());
    see_fstat("b", b.get());
    see_stat("f");
    const pid_t child = spawn([&] { SEE(pwrite(a.get(), "child", 5, 0)); SEE(lseek(a.get(), 5, SEEK_SET)); });
    wait_for(child);
    SEE(lseek(a.get(), 0, SEEK_CUR));
    SEE(pread(b.get(), buffer, 5, 0));
    say("from the child", std::string_view(buffer, 5));
}

constexpr Case cases[] = {
    {"positions", positions}, {"wrong_descriptors", wrong_descriptors}, {"around_boundaries", around_boundaries}, {"append", append},
    {"append_together", append_together}, {"vectors", vectors}, {"direct", direct}, {"synchronous", synchronous},
    {"two_descriptors_agree", two_descriptors_agree},
};

}  // namespace

extern const Topic data_topic{"data", cases};

}  // namespace holdfast::fidelity

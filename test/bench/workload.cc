// One timed workload in one directory; prints one JSON line. Run by test/bench/run.py, which puts the bare directory, the
// null filter and the protected mount side by side.
//
//   workload NAME DIR [COUNT]     names: see the table at the end
//
// seconds: wall time of the timed part; user_seconds: this process's own CPU in it; count: operations; bytes: payload.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr size_t mib = 1 << 20;
constexpr size_t block = 4096;

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(1);
}

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Outcome {
    size_t count;
    size_t bytes;
    std::vector<double> latencies_us = {};
};

using Clock = std::chrono::steady_clock;

int open_file(const std::string& path, int flags) {
    const int fd = open(path.c_str(), flags | O_CLOEXEC, 0644);
    if (fd < 0) fail(path.c_str());
    return fd;
}

void put(int fd, const void* bytes, size_t size, size_t offset) {
    if (pwrite(fd, bytes, size, static_cast<off_t>(offset)) != static_cast<ssize_t>(size)) fail("pwrite");
}

std::string pattern(size_t size) {
    std::mt19937_64 random(42);
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
}

Outcome sequential_write(const std::string& directory, size_t count) {
    static const std::string bytes = pattern(mib);
    const int fd = open_file(directory + "/sequential", O_WRONLY | O_CREAT);
    for (size_t i = 0; i < count; ++i) put(fd, bytes.data(), mib, i * mib);
    close(fd);
    return {count, count * mib};
}

Outcome read_all(const std::string& directory, size_t count) {
    std::string bytes(mib, '\0');
    const int fd = open_file(directory + "/sequential", O_RDONLY);
    for (size_t i = 0; i < count; ++i) {
        if (pread(fd, bytes.data(), mib, static_cast<off_t>(i * mib)) != static_cast<ssize_t>(mib)) fail("pread");
    }
    close(fd);
    return {count, count * mib};
}

Outcome random_write(const std::string& directory, size_t count) {
    static const std::string bytes = pattern(block);
    std::mt19937_64 random(7);
    const int fd = open_file(directory + "/sequential", O_WRONLY);
    struct stat attributes {};
    fstat(fd, &attributes);
    const size_t blocks = static_cast<size_t>(attributes.st_size) / block;
    for (size_t i = 0; i < count; ++i) put(fd, bytes.data(), block, random() % blocks * block);
    close(fd);
    return {count, count * block};
}

Outcome synced_write(const std::string& directory, size_t count) {
    static const std::string bytes = pattern(block);
    std::mt19937_64 random(9);
    const int fd = open_file(directory + "/synced", O_WRONLY | O_CREAT);
    for (size_t i = 0; i < 256; ++i) put(fd, bytes.data(), block, i * block);
    fsync(fd);
    Outcome outcome{count, count * block};
    for (size_t i = 0; i < count; ++i) {
        const auto start = Clock::now();
        put(fd, bytes.data(), block, random() % 256 * block);
        if (fsync(fd) != 0) fail("fsync");
        outcome.latencies_us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    }
    close(fd);
    return outcome;
}

Outcome create(const std::string& directory, size_t count) {
    static const std::string bytes = pattern(block);
    const std::string place = directory + "/many";
    mkdir(place.c_str(), 0755);
    for (size_t i = 0; i < count; ++i) {
        if (i % 1000 == 0) mkdir((place + "/" + std::to_string(i / 1000)).c_str(), 0755);
        const int fd = open_file(place + "/" + std::to_string(i / 1000) + "/f" + std::to_string(i), O_WRONLY | O_CREAT | O_EXCL);
        put(fd, bytes.data(), 1000, 0);
        close(fd);
    }
    return {count, count * 1000};
}

constexpr struct {
    const char* name;
    size_t count;
    bool sync_after;  // part of the timed run: what was written is on disk when the clock stops
    Outcome (*run)(const std::string&, size_t);
} workloads[] = {
    {"sequential-write", 512, false, sequential_write},
    {"sequential-write-sync", 512, true, sequential_write},
    {"read", 512, false, read_all},
    {"random-write", 20000, false, random_write},
    {"random-write-sync", 20000, true, random_write},
    {"synced-write", 300, false, synced_write},
    {"create", 10000, false, create},
};

}  // namespace

int main(int argc, char** argv) {
    for (const auto& workload : workloads) {
        if (argc < 3 || std::string(argv[1]) != workload.name) continue;
        const size_t count = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : workload.count;
        const double cpu = cpu_seconds();
        const auto start = Clock::now();
        Outcome outcome = workload.run(argv[2], count);
        if (workload.sync_after) {
            const int fd = open_file(argv[2], O_RDONLY | O_DIRECTORY);
            if (syncfs(fd) != 0) fail("syncfs");
            close(fd);
        }
        const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
        std::printf("{\"seconds\": %.6f, \"user_seconds\": %.6f, \"count\": %zu, \"bytes\": %zu", seconds, cpu_seconds() - cpu, outcome.count, outcome.bytes);
        auto& latencies = outcome.latencies_us;
        std::sort(latencies.begin(), latencies.end());
        if (!latencies.empty()) std::printf(", \"p50_us\": %.1f, \"p99_us\": %.1f", latencies[latencies.size() / 2], latencies[latencies.size() * 99 / 100]);
        std::printf("}\n");
        return 0;
    }
    std::fprintf(stderr, "usage: workload NAME DIR [COUNT]; names:");
    for (const auto& workload : workloads) std::fprintf(stderr, " %s", workload.name);
    std::fprintf(stderr, "\n");
    return 2;
}

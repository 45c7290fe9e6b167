// The load of the crash tests, and the judge afterwards.
//
//   promises load DIR LOG SECONDS SEED    several threads append, rename and unlink in DIR; whatever an fsync has
//                                         made a promise is written to LOG (outside of DIR) after the fsync returned
//   promises check DIR LOG LINES          the first LINES promises of LOG hold in DIR, and nothing in DIR is invented
//
// Every byte of every file follows from the file's name and the byte's offset, so the judge needs no copy.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int threads = 3;

char content(const std::string& name, size_t offset) {
    uint64_t mixed = std::hash<std::string>{}(name) + offset / 8 * 0x9e3779b97f4a7c15ULL;
    mixed ^= mixed >> 31;
    mixed *= 0xbf58476d1ce4e5b9ULL;
    return static_cast<char>(1 + (mixed >> (8 * (offset % 8))) % 255);  // never zero: a zero is a hole that a crash may leave
}

[[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "%s: %s\n", what.c_str(), strerror(errno));
    std::exit(1);
}

class Worker {
public:
    Worker(const std::string& directory, int log, uint64_t seed, int number)
        : directory_(directory + "/t" + std::to_string(number)), log_(log), random_(seed + number), number_(number) {
        if (mkdir(directory_.c_str(), 0755) != 0 && errno != EEXIST) fail("mkdir");
        directory_fd_ = open(directory_.c_str(), O_RDONLY | O_DIRECTORY);
        sync_fd(directory_fd_);
    }

    void run(std::chrono::steady_clock::time_point until) {
        while (std::chrono::steady_clock::now() < until) {
            switch (random_() % 8) {
                case 0: begin_file(); break;
                case 1: drop_file(); break;
                default: grow_file();
            }
        }
    }

private:
    static void sync_fd(int fd) {
        if (fsync(fd) != 0) fail("fsync");
    }
    void promise(const std::string& what, const std::string& name, size_t size) {
        const std::string line = what + " t" + std::to_string(number_) + "/" + name + " " + std::to_string(size) + "\n";
        if (write(log_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) fail("log");
    }
    size_t append(const std::string& path, const std::string& name, size_t size, bool sync) {
        std::string bytes(1 + random_() % 9000, '\0');
        for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = content(name, size + i);
        int fd = open(path.c_str(), O_WRONLY | O_CREAT, 0644);
        if (fd < 0 || pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(size)) != static_cast<ssize_t>(bytes.size())) fail("write");
        if (sync) sync_fd(fd);
        close(fd);
        return size + bytes.size();
    }
    // Written under another name, synced, renamed, directory synced: from then on it is there.
    void begin_file() {
        const std::string name = "f" + std::to_string(next_++);
        const std::string temporary = directory_ + "/new-" + name;
        const size_t size = append(temporary, name, 0, true);
        if (rename(temporary.c_str(), (directory_ + "/" + name).c_str()) != 0) fail("rename");
        sizes_[name] = size;
        if (random_() % 2) return;
        sync_fd(directory_fd_);
        promise("has", name, size);
    }
    void drop_file() {
        if (sizes_.size() < 4) return;
        auto victim = sizes_.begin();
        std::advance(victim, random_() % sizes_.size());
        const std::string name = victim->first;
        promise("may-go", name, 0);
        if (unlink((directory_ + "/" + name).c_str()) != 0) fail("unlink");
        sizes_.erase(victim);
        if (random_() % 2) return;
        sync_fd(directory_fd_);
        promise("gone", name, 0);
    }
    void grow_file() {
        if (sizes_.empty()) return begin_file();
        auto file = sizes_.begin();
        std::advance(file, random_() % sizes_.size());
        const bool sync = random_() % 3 == 0;
        file->second = append(directory_ + "/" + file->first, file->first, file->second, sync);
        if (sync) {
            sync_fd(directory_fd_);
            promise("has", file->first, file->second);
        }
    }

    std::string directory_;
    int log_;
    int directory_fd_;
    std::mt19937_64 random_;
    int number_;
    int next_ = 0;
    std::map<std::string, size_t> sizes_;
};

int load(const std::string& directory, const std::string& log_path, int seconds, uint64_t seed) {
    const int log = open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (log < 0) fail("open log");
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    std::vector<std::thread> running;
    for (int number = 0; number < threads; ++number) running.emplace_back([&, number] { Worker(directory, log, seed * 100, number).run(until); });
    for (auto& thread : running) thread.join();
    return 0;
}

struct Expected {
    size_t size = 0;
    bool required = false, forbidden = false;
};

// Bytes below REQUIRED are as written; what follows is as written or zero.
bool check_file(const std::string& path, const std::string& name, size_t required) {
    std::ifstream stream(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
    if (bytes.size() < required) return std::printf("%s has %zu bytes, %zu were synced\n", path.c_str(), bytes.size(), required), false;
    for (size_t i = 0; i < bytes.size(); ++i) {
        const bool is_right = bytes[i] == content(name, i) || (i >= required && bytes[i] == 0);
        if (!is_right) return std::printf("%s: byte %zu of %zu is not what was written (synced to %zu)\n", path.c_str(), i, bytes.size(), required), false;
    }
    return true;
}

int check(const std::string& directory, const std::string& log_path, size_t lines) {
    std::map<std::string, Expected> promises;
    std::ifstream log(log_path);
    std::string line, what, name;
    for (size_t number = 0; std::getline(log, line); ++number) {
        std::istringstream words(line);
        size_t size = 0;
        words >> what >> name >> size;
        Expected& file = promises[name];
        if (what == "may-go") file.required = false;  // even when logged after the cut: the unlink may have been in it
        if (number >= lines) continue;
        if (what == "has") file.size = size, file.required = true;
        if (what == "gone") file.forbidden = true;
    }
    bool good = true;
    size_t files = 0;
    for (const auto& [path, file] : promises) {
        const bool exists = access((directory + "/" + path).c_str(), F_OK) == 0;
        if (file.required && !exists) good = false, std::printf("%s was synced and is gone\n", path.c_str());
        if (file.forbidden && exists) good = false, std::printf("%s was removed, synced, and is back\n", path.c_str());
    }
    for (int number = 0; number < threads; ++number) {
        const std::string place = directory + "/t" + std::to_string(number);
        DIR* listing = opendir(place.c_str());
        if (!listing) continue;
        while (const dirent* entry = readdir(listing)) {
            std::string entry_name = entry->d_name;
            if (entry_name == "." || entry_name == "..") continue;
            ++files;
            const bool is_temporary = entry_name.rfind("new-", 0) == 0;
            const std::string made_as = is_temporary ? entry_name.substr(4) : entry_name;
            if (made_as.empty() || made_as[0] != 'f') good = false, std::printf("%s/%s is invented\n", place.c_str(), entry_name.c_str());
            auto known = promises.find("t" + std::to_string(number) + "/" + entry_name);
            good = check_file(place + "/" + entry_name, made_as, known == promises.end() ? 0 : known->second.size) && good;
        }
        closedir(listing);
    }
    std::printf("%zu promises about %zu files, %zu files there: %s\n", lines, promises.size(), files, good ? "all kept" : "BROKEN");
    return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string verb = argc > 1 ? argv[1] : "";
    if (verb == "load" && argc == 6) return load(argv[2], argv[3], std::atoi(argv[4]), std::strtoull(argv[5], nullptr, 10));
    if (verb == "check" && argc == 5) return check(argv[2], argv[3], std::strtoull(argv[4], nullptr, 10));
    std::fprintf(stderr, "usage: promises load DIR LOG SECONDS SEED | check DIR LOG LINES\n");
    return 2;
}

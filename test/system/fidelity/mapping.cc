// mmap: private and shared mappings, what they see of writes and writes of them, the end of the file.
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "test/system/fidelity/topics.h"

namespace holdfast::fidelity {

namespace {

char* map_file(const UniqueFd& fd, size_t length, int protection = PROT_READ | PROT_WRITE, int flags = MAP_SHARED) {
    void* map = ::mmap(nullptr, length, protection, flags, fd.get(), 0);
    if (map == MAP_FAILED) say("mmap", errno_name(errno));
    return map == MAP_FAILED ? nullptr : static_cast<char*>(map);
}

void protections() {
    make_file("f", 0666, std::string(4096, 'x'));
    for (const int access : {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND}) {
        const UniqueFd fd = open_file("f", access);
        for (const int protection : {PROT_NONE, PROT_READ, PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC}) {
            for (const int flags : {MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE}) {
                void* map = SEE_AS(printf_string("access %x protection %d flags %d", access, protection, flags), ::mmap(nullptr, 4096, protection, flags, fd.get(), 0));
                if (map != MAP_FAILED) ::munmap(map, 4096);
            }
        }
    }
    const UniqueFd directory = open_file(".", O_RDONLY);
    SEE(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, directory.get(), 0));
    make_file("empty");
    const UniqueFd empty = open_file("empty");
    SEE(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, empty.get(), 0));
    SEE(mmap(nullptr, 0, PROT_READ, MAP_SHARED, empty.get(), 0));
    SEE(mmap(nullptr, 4096, PROT_READ, MAP_SHARED, empty.get(), 100));
}

void shared_and_write_agree() {
    make_file("f", 0644, std::string(16384, 'a'));
    const UniqueFd fd = open_file("f");
    char* map = map_file(fd, 16384);
    if (map == nullptr) return;
    map[5000] = 'M';
    char byte;
    SEE(pread(fd.get(), &byte, 1, 5000));
    say("read sees the mapping", std::string_view(&byte, 1));
    SEE(pwrite(fd.get(), "W", 1, 9000));
    say("the mapping sees a write", std::string_view(map + 9000, 1));
    const UniqueFd other = open_file("f", O_RDONLY);
    char* second = map_file(other, 16384, PROT_READ);
    if (second != nullptr) say("two mappings agree", second[5000] == 'M' && second[9000] == 'W');
    in_child([&] { map[100] = 'C'; });
    say("of a child", std::string_view(map + 100, 1));
    SEE(msync(map, 16384, MS_SYNC));
    SEE(msync(map, 16384, MS_ASYNC));
    SEE(msync(map, 16384, MS_INVALIDATE));
    ::munmap(map, 16384);
    see_bytes("f");
}

void private_is_private() {
    make_file("f", 0644, std::string(8192, 'a'));
    const UniqueFd fd = open_file("f", O_RDONLY);
    char* map = map_file(fd, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    if (map == nullptr) return;
    map[10] = 'P';
    SEE(msync(map, 8192, MS_SYNC));
    see_bytes("f");
    ::munmap(map, 8192);
}

void behind_the_end() {
    make_file("f", 0644, std::string(5000, 'a'));
    const UniqueFd fd = open_file("f");
    char* map = map_file(fd, 16384);
    if (map == nullptr) return;
    say("zeros behind the end", map[5001] == 0 && map[8191] == 0);
    say("a page behind the end", describe_status(in_child([&] {
            ::signal(SIGBUS, SIG_DFL);
            map[9000] = 'x';
        })));
    map[6000] = 'x';
    SEE(msync(map, 8192, MS_SYNC));
    SEE(ftruncate(fd.get(), 8192));
    char byte;
    SEE(pread(fd.get(), &byte, 1, 6000));
    SEE(ftruncate(fd.get(), 16384));
    map[9000] = 'y';
    SEE(ftruncate(fd.get(), 4096));
    say("after cutting", describe_status(in_child([&] {
            ::signal(SIGBUS, SIG_DFL);
            map[9000] = 'z';
        })));
    SEE(ftruncate(fd.get(), 16384));
    say("it is zero again", map[9000] == 0);
    ::munmap(map, 16384);
    see_stat("f");
}

void outlives_descriptor_and_name() {
    make_file("f", 0644, std::string(4096, 'a'));
    char* map = nullptr;
    {
        const UniqueFd fd = open_file("f");
        map = map_file(fd, 4096);
    }
    if (map == nullptr) return;
    map[0] = 'b';
    SEE(msync(map, 4096, MS_SYNC));
    see_bytes("f");
    ::link("f", "g");
    SEE(unlink("f"));
    map[1] = 'c';
    SEE(munmap(map, 4096));
    see_bytes("g");
}

void of_a_hole() {
    const UniqueFd fd = open_file("f", O_RDWR | O_CREAT);
    SEE(ftruncate(fd.get(), 1 << 20));
    char* map = map_file(fd, 1 << 20);
    if (map == nullptr) return;
    map[500000] = 'x';
    SEE(msync(map, 1 << 20, MS_SYNC));
    SEE(fsync(fd.get()));
    SEE(lseek(fd.get(), 0, SEEK_DATA));
    ::munmap(map, 1 << 20);
    see_bytes("f");
}

constexpr Case cases[] = {
    {"protections", protections}, {"shared_and_write_agree", shared_and_write_agree}, {"private_is_private", private_is_private},
    {"behind_the_end", behind_the_end}, {"outlives_descriptor_and_name", outlives_descriptor_and_name}, {"of_a_hole", of_a_hole},
};

}  // namespace

extern const Topic mapping_topic{"mapping", cases};

}  // namespace holdfast::fidelity

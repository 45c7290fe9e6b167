#include "base/processes.h"

#include <dirent.h>

#include <charconv>
#include <fstream>
#include <memory>

namespace holdfast {

std::vector<int> process_ids() {
    return numbers_in("/proc");
}

std::string command_of(int pid) {
    std::string command;
    std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
    std::getline(file, command);
    return command;
}

std::vector<int> numbers_in(const std::string& directory) {
    std::vector<int> numbers;
    std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(directory.c_str()), ::closedir);
    if (!listing) return numbers;
    while (const dirent* entry = ::readdir(listing.get())) {
        int number = 0;
        const char* end = entry->d_name + std::char_traits<char>::length(entry->d_name);
        const auto parsed = std::from_chars(entry->d_name, end, number);
        if (parsed.ec == std::errc{} && parsed.ptr == end) numbers.push_back(number);
    }
    return numbers;
}

}  // namespace holdfast

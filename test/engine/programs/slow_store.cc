// In the place of a store service: one that has much to apply when it is to end. Writes what becomes of it into the file `story` beside its store.
//
//     slow_store run STORE --until-eof FD ...
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

int main(int argc, char** argv) {
    if (argc < 5) return 2;
    const std::string story = std::string(argv[2]) + "/../story";
    std::ofstream(story, std::ios::app) << "begins\n";
    for (char byte; ::read(std::atoi(argv[4]), &byte, 1) > 0;) {
    }
    ::sleep(3);
    std::ofstream(story, std::ios::app) << "ended\n";
    return 0;
}

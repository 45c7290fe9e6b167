// A real directory under random changes, as somebody makes them while nobody watches: every kind of object, hard links,
// renames over files and directories, exchanges, holes, xattrs, owners, times.
#pragma once

#include <random>
#include <string>
#include <vector>

namespace holdfast::test {

// HOLDFAST_TEST_SEED, or the time; told once, so that a run can be had again.
uint64_t tree_seed();

class RandomTree {
public:
    RandomTree(std::string directory, uint64_t seed) : directory_(std::move(directory)), random_(seed) {}
    void change(size_t count);  // that many attempts; some do nothing
    // Paths of everything below, directories before their entries.
    std::vector<std::string> paths() const;

private:
    std::string some_path();
    std::string some_directory();
    std::string some_new_path();
    std::string some_file();
    void change_once();
    void make(uint32_t kind);
    void write();
    void shape();
    void attributes();
    void rename();
    uint32_t dice(uint32_t sides) { return static_cast<uint32_t>(random_() % sides); }

    std::string directory_;
    std::mt19937_64 random_;
};

}  // namespace holdfast::test

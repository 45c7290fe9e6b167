// What the simulator knows and the hosts do not: every record that was ever written, under every history. Nothing else may
// appear on a replica.
#pragma once

#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include "journal/record.h"

namespace holdfast::sim {

// A broken promise: ends the run, with the seed that leads there again.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <typename T>
T must(Result<T> result, const char* what) {
    if (!result) throw Failure(std::string(what) + ": " + result.error().message);
    return std::move(result).value();
}
inline void must(const Status& status, const char* what) {
    if (!status) throw Failure(std::string(what) + ": " + status.error().message);
}

class Ledger {
public:
    void written(journal::Lsn lsn, uint64_t checksum) { known_[lsn].insert(checksum); }
    bool knows(journal::Lsn lsn, uint64_t checksum) const {
        const auto found = known_.find(lsn);
        return found != known_.end() && found->second.contains(checksum);
    }

private:
    std::map<journal::Lsn, std::set<uint64_t>> known_;
};

}  // namespace holdfast::sim

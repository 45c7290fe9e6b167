// What was touched in a gap, opened: by the capture worker, for a store service that reaches nothing of the directory itself (journal/healing.h).
//
// A place stands for its object alone (O_PATH): it can be looked at, and a directory leads to what is in it. Through none of the descriptors
// anything can be changed.
// Thread rule: one thread. Ownership: WorkerPlaces borrows the pipe.
#pragma once

#include <span>
#include <vector>

#include "base/file_handle.h"
#include "journal/healing.h"

namespace holdfast::rewind {

class TouchedPlaces {
public:
    virtual ~TouchedPlaces() = default;
    // For each of ASKED, at most heal_places_max, what is there now. Errors of one: those of the system (ENOENT, ESTALE: it is gone).
    virtual Result<std::vector<Result<UniqueFd>>> open_places(std::span<const journal::TouchedPlace> asked) = 0;
    // A regular file that open_places() led to, for reading. Errors: those of the system (ESTALE: it is gone).
    virtual Result<UniqueFd> open_file(const FileHandle& handle) = 0;
};

class WorkerPlaces final : public TouchedPlaces {
public:
    explicit WorkerPlaces(journal::HealPipe& pipe) : pipe_(pipe) {}
    Result<std::vector<Result<UniqueFd>>> open_places(std::span<const journal::TouchedPlace> asked) override;
    Result<UniqueFd> open_file(const FileHandle& handle) override;

private:
    journal::HealPipe& pipe_;
};

}  // namespace holdfast::rewind

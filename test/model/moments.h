// A history as moments: the model's state at every LSN, and its comparison with a store.
#pragma once

#include <string>
#include <vector>

#include "rewind/store.h"
#include "test/model/generator.h"
#include "test/model/model.h"

namespace holdfast::test {

struct Moment {
    journal::Lsn at;
    Model model;
};

struct Outcome {
    size_t points = 0;
    std::string failure;
};

// Every STRIDE-th of MOMENTS that the store has taken in.
Outcome check_moments(const rewind::Store& store, const std::vector<Moment>& moments, size_t stride);

// A record as a line: enough to follow a short history by hand.
std::string tell(const Record& record);

}  // namespace holdfast::test

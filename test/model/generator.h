// Random histories. An Op is a handful of dice; what it means is worked out against the model's present state, and
// every Op means something or nothing in every state. So any part of a failing history is itself a history, and
// shrinking is leaving Ops out.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "test/model/model.h"

namespace holdfast::test {

struct Op {
    uint32_t kind;
    uint32_t dice[5];
};

std::vector<Op> random_ops(uint64_t seed, size_t count);

// A record with the memory that it borrows.
struct OwnedRecord {
    Record record;
    std::vector<std::string> strings;
    explicit operator bool() const { return record.type != HF_VOID; }
};

class Generator {
public:
    // The record that OP stands for in MODEL; a VOID when there is nothing for it to do.
    OwnedRecord next(const Model& model, const Op& op);

private:
    uint64_t next_inode_ = 100;
    uint64_t next_time_ns_ = 1'700'000'000'000'000'000;
};

}  // namespace holdfast::test

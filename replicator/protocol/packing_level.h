// How hard the batches of one session are packed.
//
//     the data does not shrink                            not at all, and every now and then a batch is tried
//     a small batch, and the link keeps up                quickly: an fsync may be waiting for it
//     the link is behind for packing_interval_ns          a step harder, kept when it made less of the data and as much comes through as before
//     the link keeps up, or packing takes most of the time   a step quicker
//
// The link is behind while what was sent before waits, for the link or for a limit. That alone does not tell a slow link from a peer or a
// processor that is busy; so each step up is judged by what comes through after it, when what was packed before it has gone, and one that did not pay
// is not tried again for a while.
//
// Thread rule: a plain value. A clock is the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace holdfast::replicator {

inline constexpr int packing_levels[] = {1, 3, 6, 9, 12};  // of zstd
inline constexpr size_t packing_small_bytes_max = 64 << 10;
inline constexpr uint64_t packing_interval_ns = 2'000'000'000;
// A step that did not pay is left alone for so long at first, and twice as long each time that it does not pay again.
inline constexpr uint64_t packing_rest_ns = 8'000'000'000, packing_rest_ns_max = 256'000'000'000;
// So many batches are sent as they are between two that are tried, while data does not shrink.
inline constexpr unsigned packing_skips_max = 15;

class PackingLevel {
public:
    // What the next batch is packed with, whose size is known when it has been read. 0: not at all.
    struct Choice {
        int small = packing_levels[0], large = packing_levels[0];
        int level_for(size_t bytes) const { return bytes <= packing_small_bytes_max ? small : large; }
    };
    Choice next(bool is_link_behind, uint64_t now_ns);

    struct Packed { int level; size_t plain_bytes, stored_bytes; uint64_t spent_ns; };
    void packed(const Packed& batch);

    // Of the last batch.
    int level() const { return level_; }
    // What packing left of the last few batches, in thousandths; nothing before there was one.
    std::optional<uint64_t> permille() const;

private:
    void judge(uint64_t elapsed_ns, uint64_t now_ns);
    bool is_refuted(double rate, double ratio, double share) const;
    void step_back();
    void note_shrinking(const Packed& batch);

    int level_ = packing_levels[0];
    uint64_t plain_bytes_ = 0, stored_bytes_ = 0;  // of the last few batches, older ones count less

    size_t step_ = 0;
    unsigned trial_ = 0;             // so many judgements until it is known whether the last step up has paid
    double rate_before_ = 0, ratio_before_ = 0;  // bytes a second that came through before it, and what packing left
    uint64_t rest_ns_ = packing_rest_ns, rest_until_ns_ = 0;

    // The interval that is under way.
    uint64_t began_ns_ = 0, asked_ns_ = 0;
    uint64_t interval_bytes_ = 0, interval_stored_bytes_ = 0, interval_spent_ns_ = 0;
    bool was_behind_ = false, was_always_behind_ = true;

    unsigned failures_ = 0, skips_ = 0, skips_left_ = 0;
};

}  // namespace holdfast::replicator

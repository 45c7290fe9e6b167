#include "rewind/index/index_data.h"

#include <algorithm>
#include <map>

#include "rewind/index/index_keys.h"
#include "rewind/index/index_status.h"

namespace holdfast::rewind {

namespace {

constexpr uint64_t block_bytes = 1ULL << index_block_shift;
constexpr uint8_t value_hole = 1;
constexpr uint8_t value_skip = 2;
constexpr int steps_before_seek = 8;

struct Piece {
    Lsn lsn;
    uint64_t start, end;
    bool hole;
    UndoAddress item;
    uint64_t skip;
};

KeyWriter block_key(const ObjectId& object, unsigned level, uint64_t block, Lsn lsn) {
    KeyWriter key(IndexTable::data);
    key.object(object).byte(static_cast<uint8_t>(level)).number(block).number(lsn);
    return key;
}

// The value: item address / 8, doubled, odd if more follows: flags, the length of a part of a block, the bytes of the
// item that lie before the piece.
std::string piece_value(const UndoItem& item, uint64_t start, uint64_t part_length) {
    const bool hole = item.kind == UndoKind::hole;
    const uint64_t skip = hole ? 0 : start - item.offset;
    const bool more = hole || skip != 0 || part_length != 0;
    std::string value;
    put_varint(value, item.address / HF_UNDO_ALIGNMENT * 2 + more);
    if (!more) return value;
    value.push_back(static_cast<char>((hole ? value_hole : 0) | (skip != 0 ? value_skip : 0)));
    if (part_length != 0) put_varint(value, part_length);
    if (skip != 0) put_varint(value, skip);
    return value;
}

struct Entry {
    unsigned level;
    uint64_t block;
    Piece piece;
};

bool decode_entry(std::string_view key, std::string_view value, Entry& entry) {
    KeyReader reader(key.substr(1));
    reader.object();
    entry.level = reader.byte();
    entry.block = reader.number();
    Piece& piece = entry.piece;
    piece.lsn = reader.number();
    const bool is_part = reader.left() != 0;
    const uint64_t start_in_block = is_part ? reader.u16() : 0;
    if (!reader.is_whole() || reader.left() != 0 || entry.level > index_level_max) return false;
    if (entry.block > UINT64_MAX >> block_shift_of(entry.level) || (is_part && entry.level != 0)) return false;

    uint64_t address = 0, part_length = 0;
    if (!get_varint(value, address)) return false;
    uint8_t flags = 0;
    if (address & 1) {
        if (value.empty()) return false;
        flags = static_cast<uint8_t>(value.front());
        value.remove_prefix(1);
    }
    piece.item = (address >> 1) * HF_UNDO_ALIGNMENT;
    piece.hole = flags & value_hole;
    piece.skip = 0;
    if (is_part && (!get_varint(value, part_length) || part_length == 0)) return false;
    if ((flags & value_skip) && !get_varint(value, piece.skip)) return false;
    if (start_in_block + part_length > block_bytes) return false;
    piece.start = (entry.block << block_shift_of(entry.level)) + start_in_block;
    // The end of the last block of all is 2^64, which no file reaches.
    const uint64_t length = is_part ? part_length : 1ULL << block_shift_of(entry.level);
    piece.end = piece.start + length < piece.start ? UINT64_MAX : piece.start + length;
    return true;
}

// The bytes of a range for which no answer is known yet.
class Unanswered {
public:
    Unanswered(uint64_t start, uint64_t end) { ends_[start] = end; }
    bool empty() const { return ends_.empty(); }

    // Takes [start, end) out and calls TAKEN for each part that was still in.
    template <typename Taken>
    void take(uint64_t start, uint64_t end, Taken taken) {
        auto at = ends_.upper_bound(start);
        if (at != ends_.begin()) --at;
        while (at != ends_.end() && at->first < end) {
            const auto [from, to] = *at;
            const uint64_t first = std::max(from, start), last = std::min(to, end);
            if (first >= last) {
                ++at;
                continue;
            }
            at = ends_.erase(at);
            if (from < first) ends_[from] = first;
            if (last < to) at = ends_.emplace(last, to).first;
            taken(first, last);
        }
    }

private:
    std::map<uint64_t, uint64_t> ends_;  // start -> end
};

// Walks the entries that may answer for one range at one moment.
class Walk {
public:
    Walk(rocksdb::Iterator& iterator, const ObjectId& object, uint64_t start, uint64_t end, Lsn at)
        : iterator_(iterator), object_(object), prefix_(KeyWriter(IndexTable::data).object(object).bytes()), start_(start), end_(end), at_(at) {}

    Result<std::vector<Piece>> pieces();

private:
    // To the first entry of BLOCK or a later one of LEVEL or a higher one, at or after the moment if it is BLOCK's.
    void go(unsigned level, uint64_t block);
    bool is_here() const { return iterator_.Valid() && iterator_.key().starts_with(prefix_); }
    // True when the block needs nothing more.
    bool take(const Entry& entry);

    rocksdb::Iterator& iterator_;
    const ObjectId object_;
    const std::string prefix_;
    const uint64_t start_, end_;
    const Lsn at_;
    std::vector<Piece> pieces_;
    std::optional<uint64_t> part_block_;  // the block of level 0 that is being covered part by part
    Unanswered part_{0, 0};
};

void Walk::go(unsigned level, uint64_t block) {
    const std::string target = block_key(object_, level, block, at_).bytes();
    // A few versions of a block are stepped over faster than a seek finds its way.
    for (int step = 0; step < steps_before_seek && iterator_.Valid(); ++step) {
        if (iterator_.key().compare(target) >= 0) return;
        iterator_.Next();
    }
    if (!iterator_.Valid() || iterator_.key().compare(target) < 0) iterator_.Seek(target);
}

bool Walk::take(const Entry& entry) {
    const uint64_t start = std::max(entry.piece.start, start_), end = std::min(entry.piece.end, end_);
    const bool whole = entry.piece.end - entry.piece.start >= block_bytes;
    if (whole && part_block_ != entry.block) {
        pieces_.push_back(entry.piece);
        return true;
    }
    if (part_block_ != entry.block) {
        part_block_ = entry.block;
        const uint64_t block_start = entry.block << index_block_shift;
        part_ = Unanswered(std::max(block_start, start_), std::min(block_start + block_bytes, end_));
    }
    bool new_bytes = false;
    if (start < end) part_.take(start, end, [&](uint64_t, uint64_t) { new_bytes = true; });
    if (new_bytes) pieces_.push_back(entry.piece);
    return whole || part_.empty();
}

Result<std::vector<Piece>> Walk::pieces() {
    iterator_.Seek(block_key(object_, 0, start_ >> block_shift_of(0), at_).bytes());
    unsigned level = 0;
    while (is_here()) {
        Entry entry{};
        const auto key = iterator_.key(), value = iterator_.value();
        if (!decode_entry({key.data(), key.size()}, {value.data(), value.size()}, entry))
            return Error{ErrorCode::corrupt, "an entry of the index makes no sense"};
        if (entry.level > level) part_block_.reset();
        level = entry.level;
        const uint64_t first = start_ >> block_shift_of(level), last = (end_ - 1) >> block_shift_of(level);
        if (entry.block > last) {
            if (level == index_level_max) break;
            go(level + 1, start_ >> block_shift_of(level + 1));
        } else if (entry.block < first) {
            go(level, first);
        } else if (entry.piece.lsn < at_) {
            go(level, entry.block);
        } else if (!take(entry)) {
            iterator_.Next();
        } else if (entry.block < last) {
            go(level, entry.block + 1);
        } else if (level == index_level_max) {
            break;
        } else {
            go(level + 1, start_ >> block_shift_of(level + 1));
        }
    }
    HF_TRY(index_status(iterator_.status(), "read the index"));
    return std::move(pieces_);
}

bool continues(const DataUndo& before, const DataUndo& next) {
    if (before.offset + before.length != next.offset || before.lsn != next.lsn || before.hole != next.hole) return false;
    return before.item == next.item && (before.hole || before.skip + before.length == next.skip);
}

}  // namespace

std::vector<KeyValue> data_entries(const UndoItem& item, Lsn lsn) {
    std::vector<KeyValue> entries;
    uint64_t at = item.offset;
    const uint64_t end = item.offset + item.length;
    while (at < end) {
        const uint64_t in_block = at % block_bytes;
        if (in_block != 0 || end - at < block_bytes) {
            const uint64_t length = std::min(block_bytes - in_block, end - at);
            KeyWriter key = block_key(item.object, 0, at >> index_block_shift, lsn);
            key.u16(static_cast<uint16_t>(in_block));
            entries.push_back({std::move(key).bytes(), piece_value(item, at, length)});
            at += length;
            continue;
        }
        unsigned level = 0;
        while (level < index_level_max) {
            const uint64_t bytes = 1ULL << block_shift_of(level + 1);
            if (at % bytes != 0 || end - at < bytes) break;
            ++level;
        }
        entries.push_back({block_key(item.object, level, at >> block_shift_of(level), lsn).bytes(), piece_value(item, at, 0)});
        at += 1ULL << block_shift_of(level);
    }
    return entries;
}

Result<std::vector<DataUndo>> find_data(rocksdb::Iterator& iterator, const ObjectId& object, uint64_t offset,
                                        uint64_t length, Lsn at) {
    std::vector<DataUndo> answers;
    const uint64_t end = length > UINT64_MAX - offset ? UINT64_MAX : offset + length;
    if (offset >= end) return answers;
    auto pieces = HF_TRY(Walk(iterator, object, offset, end, at).pieces());
    std::stable_sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.lsn < b.lsn; });
    Unanswered unanswered(offset, end);
    for (const Piece& piece : pieces) {
        if (unanswered.empty()) break;
        unanswered.take(piece.start, piece.end, [&](uint64_t first, uint64_t last) {
            const uint64_t skip = piece.hole ? 0 : piece.skip + (first - piece.start);
            answers.push_back({piece.lsn, first, last - first, piece.hole, piece.item, skip});
        });
    }
    std::sort(answers.begin(), answers.end(), [](const DataUndo& a, const DataUndo& b) { return a.offset < b.offset; });
    size_t kept = 0;
    for (size_t i = 1; i < answers.size(); ++i) {
        if (continues(answers[kept], answers[i]))
            answers[kept].length += answers[i].length;
        else
            answers[++kept] = answers[i];
    }
    if (!answers.empty()) answers.resize(kept + 1);
    return answers;
}

}  // namespace holdfast::rewind

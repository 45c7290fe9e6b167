// Undo records for tests, with the memory that they borrow.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "rewind/undo/undo_log.h"

namespace holdfast::test {

using rewind::UndoItem;
using rewind::UndoKind;
using rewind::UndoRecord;

inline constexpr journal::VolumeId sample_volume{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
inline constexpr uint64_t sample_start_ns = 1'700'000'000'000'000'000;

// Owns the bytes of the items it makes; they live as long as it does.
class UndoSamples {
public:
    UndoItem data(const journal::ObjectId& object, uint64_t offset, std::string bytes) {
        UndoItem item{UndoKind::data, object};
        item.offset = offset;
        item.length = bytes.size();
        item.data = bytes_of(keep(std::move(bytes)));
        return item;
    }
    UndoItem hole(const journal::ObjectId& object, uint64_t offset, uint64_t length) {
        UndoItem item{UndoKind::hole, object};
        item.offset = offset;
        item.length = length;
        return item;
    }
    UndoItem dirent(const journal::ObjectId& directory, std::string name, const journal::ObjectId& previous) {
        UndoItem item{UndoKind::dirent, directory};
        item.name = keep(std::move(name));
        item.other = previous;
        return item;
    }
    UndoItem attributes(const journal::ObjectId& object, const rewind::ObjectAttributes& attributes) {
        UndoItem item{UndoKind::attributes, object};
        item.attributes = attributes;
        return item;
    }
    UndoItem xattr(const journal::ObjectId& object, std::string name, bool present, std::string value) {
        UndoItem item{UndoKind::xattr, object};
        item.name = keep(std::move(name));
        item.present = present;
        item.data = bytes_of(keep(std::move(value)));
        return item;
    }
    UndoItem plain(UndoKind kind, const journal::ObjectId& object) { return UndoItem{kind, object}; }
    UndoItem event(std::string payload) {
        UndoItem item{UndoKind::event, {}};
        item.data = bytes_of(keep(std::move(payload)));
        return item;
    }

    // The record that follows the one made before. Journal records are 100 bytes long here.
    UndoRecord record(hf_record_type type, const journal::ObjectId& object, std::vector<UndoItem> items) {
        UndoRecord record;
        record.lsn = next_lsn;
        record.end_lsn = next_lsn += 100;
        record.time_ns = next_time_ns += 1000;
        record.type = type;
        record.object = object;
        record.items = std::move(items);
        return record;
    }
    // An overwritten file: the usual case.
    UndoRecord write(const journal::ObjectId& object, uint64_t offset, std::string bytes) {
        return record(HF_WRITE, object, {data(object, offset, std::move(bytes))});
    }

    std::string_view keep(std::string bytes) {
        kept_.push_back(std::make_unique<std::string>(std::move(bytes)));
        return *kept_.back();
    }

    journal::Lsn next_lsn = 4096;
    uint64_t next_time_ns = sample_start_ns;

private:
    std::vector<std::unique_ptr<std::string>> kept_;
};

inline std::string random_bytes(std::mt19937_64& random, size_t count) {
    std::string bytes(count, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
}

}  // namespace holdfast::test

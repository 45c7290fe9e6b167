// Arbitrary bytes as the small files of a store: where it stands, how far its journal was read, its bookmarks, what it is being repaired to, where a
// replica's journal begins, what the volume is. Checksums are made right, or hardly anything behind them would be tried. What is taken must be
// written to what is taken for the same.
//
// Input: which of them, then the bytes.

#include "base/check.h"
#include "base/text.h"
#include "journal/beginning.h"
#include "journal/cursor.h"
#include "journal/record.h"
#include "journal/volume_text.h"
#include "rewind/bookmarks.h"
#include "rewind/chains.h"
#include "rewind/position.h"
#include "rewind/sync/repair_mark.h"
#include "test/fuzz/target.h"
#include "test/support/memory_disk.h"

using namespace holdfast;
using namespace holdfast::rewind;

namespace {

constexpr size_t kinds = 7;
constexpr const char* names[kinds] = {"position", "store", "bookmarks.json", "repairing", "beginning", "chains", "volume.toml"};

const journal::VolumeId volume = *journal::parse_volume_id("01234567-89ab-4def-8123-456789abcdef");

// The last word of a cursor, the last line of a position.
void make_checksum_right(size_t kind, std::string& text) {
    const size_t at = kind == 0 ? text.rfind("checksum ") : kind == 1 ? text.rfind(' ') : text.npos;
    if (at == text.npos) return;
    const uint64_t checksum = journal::xxh3_64(bytes_of(std::string_view(text).substr(0, at)));
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(checksum));
    text.resize(at);
    text += kind == 0 ? "checksum " + hex(&checksum, sizeof checksum) + "\n" : " " + std::string(digits) + "\n";
}

void try_position(Disk& disk) {
    const auto position = load_position(disk, volume);
    if (!position || !*position) return;
    HF_CHECK(save_position(disk, volume, **position));
    const auto again = load_position(disk, volume);
    HF_CHECK(again && *again && (*again)->checkpoint == (*position)->checkpoint && (*again)->undo_end == (*position)->undo_end &&
             (*again)->window_begin == (*position)->window_begin && (*again)->damaged_from == (*position)->damaged_from && (*again)->open_gaps == (*position)->open_gaps);
}

void try_cursor(Disk& disk) {
    const auto lowest = journal::lowest_cursor(disk, volume);
    HF_CHECK(lowest && *lowest);
    HF_CHECK(journal::save_cursor(disk, volume, journal::store_consumer, **lowest));
    HF_CHECK(journal::lowest_cursor(disk, volume).value() == *lowest);
}

void try_bookmarks(Disk& disk) {
    const auto bookmarks = Bookmarks::open(disk);
    HF_CHECK(bookmarks);
    const auto list = (*bookmarks)->list();
    if (list.empty()) return;
    // Written again by whatever changes it.
    if (!(*bookmarks)->remove(list.back().name)) return;
    const auto again = Bookmarks::open(disk);
    HF_CHECK(again && (*again)->list() == (*bookmarks)->list() && (*again)->covered() == (*bookmarks)->covered());
}

void try_mark(Disk& disk) {
    const auto mark = load_repair_mark(disk);
    if (!mark || !*mark) return;
    HF_CHECK(save_repair_mark(disk, **mark));
    HF_CHECK(load_repair_mark(disk).value() == *mark);
}

void try_beginning(Disk& disk) {
    const auto beginning = journal::load_beginning(disk);
    if (!beginning || !*beginning) return;
    HF_CHECK(journal::save_beginning(disk, **beginning));
    HF_CHECK(journal::load_beginning(disk).value() == *beginning);
}

void try_chains(Disk& disk) {
    Chains chains, again;
    HF_CHECK(chains.load(disk));
    const auto points = chains.points();
    if (points.empty()) return;
    chains.add({points.back().lsn, points.back().chain});
    HF_CHECK(chains.save(disk, 0) && again.load(disk) && again.points() == points);
}

void try_volume(std::string_view text) {
    const auto described = journal::volume_from_text(text, "/store");
    if (!described) return;
    const std::string written = journal::volume_to_text(*described);
    const auto again = journal::volume_from_text(written, "/store");
    HF_CHECK(again && journal::volume_to_text(*again) == written);
}

}  // namespace

std::vector<fuzz::Input> fuzz::seeds() {
    test::MemoryDisk disk;
    journal::Volume described;
    described.id = volume;
    described.store = "/store";
    described.directory = "/srv/data";
    described.journal_directory = "/store/journal";
    HF_CHECK(save_position(disk, volume, {4096, 512, 1024, 0, 2}));
    HF_CHECK(journal::save_cursor(disk, volume, journal::store_consumer, 4096));
    HF_CHECK(Bookmarks::open(disk).value()->add({{"before the upgrade", 2048, 1'000'000'000}, {"after", 4096, 2'000'000'000}}, 8192));
    HF_CHECK(save_repair_mark(disk, {true, {8192, 5, 4096, {}}}));
    HF_CHECK(journal::save_beginning(disk, {4096, {}, 8192}));
    Chains chains;
    chains.add({4096, {}});
    chains.add({8192, {1}});
    HF_CHECK(chains.save(disk, 0));
    std::vector<Input> all;
    for (size_t kind = 0; kind < kinds; ++kind) {
        const auto body = kind == kinds - 1 ? input_of(journal::volume_to_text(described)) : input_of(disk.contents(names[kind]));
        all.push_back(joined({static_cast<uint8_t>(kind)}, body));
    }
    // Found: a number that no integer holds; a letter where toml++ expects white space.
    constexpr uint8_t beginning = 4;
    all.push_back(joined({beginning}, input_of(R"({"chain": "00", "equal_at": 8.19e21, "lsn": 4097})")));
    all.push_back(joined({static_cast<uint8_t>(kinds - 1)}, input_of("foA0\u03d0 00,\n[j81")));
    return all;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    const size_t kind = data[0] % kinds;
    std::string text(fuzz::text_of(data + 1, size - 1));
    make_checksum_right(kind, text);
    test::MemoryDisk disk;
    disk.set_contents(names[kind], bytes_of(text));
    switch (kind) {
        case 0: try_position(disk); break;
        case 1: try_cursor(disk); break;
        case 2: try_bookmarks(disk); break;
        case 3: try_mark(disk); break;
        case 4: try_beginning(disk); break;
        case 5: try_chains(disk); break;
        case 6: try_volume(text); break;
    }
    return 0;
}

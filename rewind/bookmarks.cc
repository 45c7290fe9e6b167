#include "rewind/bookmarks.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/log.h"
#include "base/name_text.h"
#include "base/small_file.h"
#include "base/text.h"
#include "journal/bookmark_name.h"
#include "rewind/index/index.h"
#include "rewind/undo/undo_log.h"

namespace holdfast::rewind {

namespace {

constexpr std::string_view file_name = "bookmarks.json";
constexpr std::string_view damaged_name = "bookmarks.damaged.json";
constexpr size_t events_per_question = 4096;

auto position_of(std::vector<BookmarkEntry>& entries, std::string_view name) {
    return std::find_if(entries.begin(), entries.end(), [&](const BookmarkEntry& entry) { return entry.name == name; });
}

Error unknown(std::string_view name) {
    return {ErrorCode::not_found, "there is no bookmark " + quoted(name) + "; `holdfast bookmark list` shows them all"};
}

}  // namespace

Result<std::unique_ptr<Bookmarks>> Bookmarks::open(Disk& disk) {
    std::unique_ptr<Bookmarks> bookmarks(new Bookmarks(disk));
    HF_TRY(bookmarks->load());
    return bookmarks;
}

Status Bookmarks::load() {
    auto contents = read_small_file(disk_, file_name, bookmarks_file_bytes_max);
    if (!contents && contents.error().code == ErrorCode::not_found) return ok();
    if (!contents && contents.error().code != ErrorCode::corrupt) return std::move(contents).error();

    const auto json = contents ? nlohmann::json::parse(*contents, nullptr, false) : nlohmann::json();
    bool whole = json.is_object() && json.contains("covered") && json["covered"].is_number_unsigned() &&
                 json.contains("bookmarks") && json["bookmarks"].is_array();
    std::vector<BookmarkEntry> entries;
    for (const auto& item : whole ? json["bookmarks"] : nlohmann::json::array()) {
        whole = whole && item.is_object() && item.contains("name") && item["name"].is_string() &&
                item.contains("lsn") && item["lsn"].is_number_unsigned() && item.contains("time_ns") &&
                item["time_ns"].is_number_unsigned();
        if (!whole) break;
        entries.push_back({text_to_name(item["name"].get<std::string>()), item["lsn"], item["time_ns"]});
    }
    if (!whole) {
        log_warning("The catalog of bookmarks was damaged; it is kept as " + std::string(damaged_name) +
                    " and rebuilt from the undo log, without renames and deletions.");
        return disk_.rename(file_name, damaged_name);
    }
    entries_ = std::move(entries);
    covered_ = json["covered"];
    return ok();
}

Status Bookmarks::save(const std::vector<BookmarkEntry>& entries, Lsn covered) {
    auto list = nlohmann::json::array();
    for (const BookmarkEntry& entry : entries)
        list.push_back({{"name", name_to_text(entry.name)}, {"lsn", entry.lsn}, {"time_ns", entry.time_ns}});
    const nlohmann::json json = {{"covered", covered}, {"bookmarks", std::move(list)}};
    return replace_small_file(disk_, file_name, json.dump(1) + "\n");
}

std::vector<BookmarkEntry> Bookmarks::list() const {
    const std::lock_guard lock(mutex_);
    return entries_;
}

std::optional<BookmarkEntry> Bookmarks::find(std::string_view name) const {
    const std::lock_guard lock(mutex_);
    for (const BookmarkEntry& entry : entries_)
        if (entry.name == name) return entry;
    return std::nullopt;
}

Lsn Bookmarks::covered() const {
    const std::lock_guard lock(mutex_);
    return covered_;
}

Status Bookmarks::follow(const Index& index, const UndoLog& undo, Lsn applied) {
    Lsn from = covered();
    if (from > applied) return forget_from(applied);
    if (from == applied) return ok();
    std::vector<BookmarkEntry> found;
    std::vector<std::byte> storage;
    while (from < applied) {
        const auto events = HF_TRY(index.events_of(ObjectId{}, from, events_per_question));
        for (const Event& event : events) {
            if (event.lsn >= applied) break;
            if (event.type != HF_BOOKMARK) continue;
            std::string name;
            HF_TRY(undo.scan(event.record, [&](const UndoRecord& record) {
                for (const UndoItem& item : record.items)
                    if (item.kind == UndoKind::event)
                        name.assign(reinterpret_cast<const char*>(item.data.data()), item.data.size());
                return false;
            }));
            found.push_back({std::move(name), event.lsn, event.time_ns});
        }
        if (events.size() < events_per_question) break;
        from = events.back().lsn + 1;
    }
    // Nothing new is the common case and costs no write; what is not covered is only looked at again.
    if (found.empty()) {
        const std::lock_guard lock(mutex_);
        covered_ = std::max(covered_, applied);
        return ok();
    }
    return add(std::move(found), applied);
}

Status Bookmarks::add(std::vector<BookmarkEntry> found, Lsn covered_to) {
    const std::lock_guard lock(mutex_);
    std::vector<BookmarkEntry> entries = entries_;
    std::set<std::string> taken;
    for (const BookmarkEntry& entry : entries) taken.insert(entry.name);
    for (BookmarkEntry& entry : found) {
        if (entry.lsn < covered_) continue;
        const std::string name = entry.name;
        for (int number = 2; !taken.insert(entry.name).second; ++number)
            entry.name = name + "-" + std::to_string(number);
        entries.push_back(std::move(entry));
    }
    std::stable_sort(entries.begin(), entries.end(),
                     [](const BookmarkEntry& a, const BookmarkEntry& b) { return a.lsn < b.lsn; });
    if (entries.size() > bookmarks_max)
        entries.erase(entries.begin(), entries.end() - static_cast<ptrdiff_t>(bookmarks_max));
    HF_TRY(save(entries, std::max(covered_, covered_to)));
    entries_ = std::move(entries);
    covered_ = std::max(covered_, covered_to);
    return ok();
}

// History was taken back: those names stand for moments that never were.
Status Bookmarks::forget_from(Lsn at) {
    const std::lock_guard lock(mutex_);
    std::vector<BookmarkEntry> entries = entries_;
    std::erase_if(entries, [at](const BookmarkEntry& entry) { return entry.lsn >= at; });
    HF_TRY(save(entries, at));
    entries_ = std::move(entries);
    covered_ = at;
    return ok();
}

Status Bookmarks::rename(std::string_view from, std::string_view to) {
    HF_TRY(journal::check_bookmark_name(to));
    const std::lock_guard lock(mutex_);
    std::vector<BookmarkEntry> entries = entries_;
    const auto entry = position_of(entries, from);
    if (entry == entries.end()) return unknown(from);
    if (from == to) return ok();
    if (position_of(entries, to) != entries.end())
        return Error{ErrorCode::exists, "there already is a bookmark " + quoted(to) + "; choose another name"};
    entry->name = to;
    HF_TRY(save(entries, covered_));
    entries_ = std::move(entries);
    return ok();
}

Status Bookmarks::remove(std::string_view name) {
    const std::lock_guard lock(mutex_);
    std::vector<BookmarkEntry> entries = entries_;
    const auto entry = position_of(entries, name);
    if (entry == entries.end()) return unknown(name);
    entries.erase(entry);
    HF_TRY(save(entries, covered_));
    entries_ = std::move(entries);
    return ok();
}

}  // namespace holdfast::rewind

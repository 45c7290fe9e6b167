#include "rewind/standby/tree_places.h"

#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>
#include <sys/random.h>

#include <cstring>
#include <filesystem>

#include "base/log.h"
#include "base/text.h"
#include "rewind/index/index_status.h"

namespace holdfast::rewind {

namespace {

// Tables, by the first byte of a key.
constexpr char place_table = 'p';     // object -> mode, links, handle
constexpr char identity_table = 'i';  // inode, generation -> object
constexpr char new_table = 'b';       // object: since the last position
constexpr const char* root_key = "mroot";
constexpr const char* graveyard_key = "mgraveyard";
constexpr const char* origin_key = "morigin";
constexpr const char* position_key = "mposition";
constexpr const char* format_key = "mformat";
constexpr const char* format = "1";

constexpr size_t write_buffer_bytes = 8 << 20;

template <typename T>
void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
bool take(std::string_view& in, T& value) {
    if (in.size() < sizeof value) return false;
    memcpy(&value, in.data(), sizeof value);
    in.remove_prefix(sizeof value);
    return true;
}

std::string text_of(const ObjectId& object) {
    std::string bytes;
    put(bytes, object.inode);
    put(bytes, object.generation);
    put(bytes, object.origin);
    return bytes;
}

std::string key_of(char table, const ObjectId& object) {
    return table + text_of(object);
}

std::string identity_key(const FileHandle& handle) {
    const auto identity = handle.identity();
    std::string key(1, identity_table);
    put(key, identity.inode);
    put(key, identity.generation);
    return key;
}

Error nonsense() {
    return {ErrorCode::corrupt, "an entry of the table of the standby directory makes no sense"};
}

Result<ObjectId> object_in(std::string_view bytes) {
    ObjectId object;
    if (!take(bytes, object.inode) || !take(bytes, object.generation) || !take(bytes, object.origin) || !bytes.empty()) return nonsense();
    return object;
}

rocksdb::Options options() {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = write_buffer_bytes;
    options.max_background_jobs = 2;
    options.max_open_files = 128;
    options.compression = rocksdb::kLZ4Compression;
    options.info_log_level = rocksdb::WARN_LEVEL;
    options.max_log_file_size = 1 << 20;
    options.keep_log_file_num = 2;
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    return options;
}

// Not the source's nor anybody else's, but by a chance of one in four thousand million.
Result<uint32_t> random_origin() {
    uint32_t origin = 0;
    while (origin < 2)
        if (::getrandom(&origin, sizeof origin, 0) != sizeof origin) return errno_error(errno, "get a random number");
    return origin;
}

}  // namespace

TreePlaces::TreePlaces(std::unique_ptr<rocksdb::DB> db) : db_(std::move(db)) {}
TreePlaces::~TreePlaces() = default;

Result<std::unique_ptr<TreePlaces>> TreePlaces::open(const std::string& directory) {
    const auto attempt = [&]() -> Result<std::unique_ptr<TreePlaces>> {
        rocksdb::DB* opened = nullptr;
        HF_TRY(index_status(rocksdb::DB::Open(options(), directory, &opened), "open the table of the standby directory"));
        std::unique_ptr<TreePlaces> places(new TreePlaces(std::unique_ptr<rocksdb::DB>(opened)));
        HF_TRY(places->load());
        return places;
    };
    auto places = attempt();
    if (places || places.error().code != ErrorCode::corrupt) return places;
    log_warning("The table " + quoted(directory) + " is damaged and is made anew: " + places.error().message + ". The standby directory is compared.");
    std::error_code failure;
    std::filesystem::remove_all(directory, failure);
    if (failure) return errno_error(failure.value(), "remove the damaged " + quoted(directory));
    return attempt();
}

Status TreePlaces::load() {
    const auto known = HF_TRY(get(format_key));
    if (!known) return clear();
    if (*known != format) return Error{ErrorCode::corrupt, "it has format " + *known + ", which this program does not know"};
    const auto origin = HF_TRY(get(origin_key));
    if (!origin || origin->size() != sizeof origin_) return nonsense();
    memcpy(&origin_, origin->data(), sizeof origin_);
    const auto position = HF_TRY(get(position_key));
    Lsn at = 0;
    if (position && position->size() != sizeof at) return nonsense();
    if (position) memcpy(&at, position->data(), sizeof at);
    position_ = at;
    has_position_ = position.has_value();
    return ok();
}

Status TreePlaces::clear() {
    origin_ = HF_TRY(random_origin());
    std::string origin;
    put(origin, origin_);
    rocksdb::WriteBatch batch;
    batch.DeleteRange(std::string(1, '\0'), std::string(1, '\x7f'));
    batch.Put(format_key, format);
    batch.Put(origin_key, origin);
    has_position_ = false;
    return write(batch, true);
}

Result<std::optional<std::string>> TreePlaces::get(const std::string& key) const {
    std::string value;
    const auto status = db_->Get({}, key, &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    HF_TRY(index_status(status, "read the table of the standby directory"));
    return std::optional(std::move(value));
}

Status TreePlaces::write(rocksdb::WriteBatch& batch, bool durable) {
    rocksdb::WriteOptions write_options;
    write_options.sync = durable;
    auto status = db_->Write(write_options, &batch);
    // As in the index.
    if (!status.ok() && db_->Resume().ok()) status = db_->Write(write_options, &batch);
    return index_status(status, "write to the table of the standby directory");
}

Result<std::optional<ImageLocation>> TreePlaces::location(const ObjectId& object) const {
    const auto value = HF_TRY(get(key_of(place_table, object)));
    if (!value) return std::optional<ImageLocation>();
    std::string_view rest = *value;
    ImageLocation location;
    if (!take(rest, location.mode) || !take(rest, location.links)) return nonsense();
    location.handle = rest;
    return std::optional(std::move(location));
}

Status TreePlaces::take_in(const std::vector<LocationChange>& changes) {
    if (changes.empty()) return ok();
    rocksdb::WriteBatch batch;
    bool has_new = false;
    for (const auto& [object, location] : changes) {
        const auto before = HF_TRY(this->location(object));
        const bool is_same = before && location && before->handle == location->handle;
        if (before && !is_same) {
            // Another object may have the file by now.
            const std::string identity = identity_key(FileHandle{before->handle});
            const auto owner = HF_TRY(get(identity));
            if (owner && HF_TRY(object_in(*owner)) == object) batch.Delete(identity);
        }
        if (!location) {
            batch.Delete(key_of(place_table, object));
            batch.Delete(key_of(new_table, object));
            continue;
        }
        std::string value;
        put(value, location->mode);
        put(value, location->links);
        batch.Put(key_of(place_table, object), value + location->handle);
        if (is_same) continue;
        batch.Put(identity_key(FileHandle{location->handle}), text_of(object));
        if (is_own(object)) continue;
        batch.Put(key_of(new_table, object), "");
        has_new = true;
    }
    // Without a position everything is compared in any case, and who is who found out by names.
    return write(batch, has_new && has_position_);
}

Result<ObjectId> TreePlaces::object_of(const FileHandle& handle) const {
    if (const auto object = HF_TRY(get(identity_key(handle)))) return object_in(*object);
    const auto identity = handle.identity();
    return ObjectId{identity.inode, identity.generation, origin_};
}

Result<bool> TreePlaces::is_new(const ObjectId& object) const {
    return HF_TRY(get(key_of(new_table, object))).has_value();
}

Result<bool> TreePlaces::is_about(const FileHandle& root, const FileHandle& graveyard) const {
    return HF_TRY(get(root_key)) == root.bytes && HF_TRY(get(graveyard_key)) == graveyard.bytes;
}

Status TreePlaces::begin(const FileHandle& root, const FileHandle& graveyard) {
    HF_TRY(clear());
    rocksdb::WriteBatch batch;
    batch.Put(root_key, root.bytes);
    batch.Put(graveyard_key, graveyard.bytes);
    HF_TRY(write(batch, true));
    return take_in({{journal::root_object, ImageLocation{root.bytes, S_IFDIR, 1}}});
}

std::optional<Lsn> TreePlaces::position() const {
    return has_position_ ? std::optional<Lsn>(position_) : std::nullopt;
}

Status TreePlaces::set_position(Lsn position) {
    std::string value;
    put(value, position);
    rocksdb::WriteBatch batch;
    batch.DeleteRange(std::string(1, new_table), std::string(1, new_table + 1));
    batch.Put(position_key, value);
    HF_TRY(write(batch, true));
    position_ = position;
    has_position_ = true;
    return ok();
}

Status TreePlaces::withdraw_position() {
    if (!has_position_) return ok();
    rocksdb::WriteBatch batch;
    batch.Delete(position_key);
    HF_TRY(write(batch, true));
    has_position_ = false;
    return ok();
}

}  // namespace holdfast::rewind

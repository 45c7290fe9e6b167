#include "rewind/past/past_nodes.h"

#include "base/check.h"
#include "journal/record.h"

namespace holdfast::rewind {

namespace {

constexpr int inode_bits = 40;
constexpr uint32_t slots_max = (1u << 23) - 1;  // slot 0 stays free, so that no number is the root's
constexpr uint64_t hashed_bit = 1ULL << 63;

uint64_t hash_of(std::string_view text, uint64_t first, uint64_t second, uint64_t third) {
    std::string bytes(text);
    for (uint64_t word : {first, second, third}) bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
    return journal::xxh3_64(bytes_of(bytes));
}

uint32_t slot_at(const std::string& text, Lsn lsn, uint64_t probe) {
    return 1 + static_cast<uint32_t>((hash_of(text, lsn, 0, 0) + probe) % slots_max);
}

uint64_t hashed_number(const PastMoment& moment, const journal::ObjectId& object, uint64_t attempt) {
    const uint64_t rest = uint64_t{object.generation} << 32 | object.origin;
    return hashed_bit | hash_of({}, uint64_t{moment.slot} << inode_bits ^ attempt, object.inode, rest);
}

// The root's inode is 1 in every life of the volume, which no other object of one has.
bool fits(const journal::ObjectId& object) {
    return object.inode < 1ULL << inode_bits &&
           (object == journal::root_object || (object.origin == 1 && object.inode != 1));
}

}  // namespace

std::shared_ptr<PastMoment> PastNodes::moment(const std::string& text, Lsn lsn) {
    MutexLock lock(mutex_);
    forget_dead_moments_locked();
    for (uint32_t probe = 0; probe < slots_max; ++probe) {
        const uint32_t slot = slot_at(text, lsn, probe);
        std::weak_ptr<PastMoment>& place = moments_[slot];
        if (std::shared_ptr<PastMoment> there = place.lock()) {
            if (there->lsn == lsn && there->text == text) return there;
            continue;
        }
        auto made = std::make_shared<PastMoment>();
        made->text = text;
        made->lsn = lsn;
        made->slot = slot;
        place = made;
        return made;
    }
    return nullptr;
}

void PastNodes::forget_dead_moments_locked() {
    // Now and then, so that the cost per moment stays constant.
    if (moments_.size() < moments_next_sweep_) return;
    std::erase_if(moments_, [](const auto& place) { return place.second.expired(); });
    moments_next_sweep_ = std::max<size_t>(64, 2 * moments_.size());
}

uint64_t PastNodes::number_of(const PastMoment& moment, const journal::ObjectId& object) {
    if (fits(object)) return uint64_t{moment.slot} << inode_bits | object.inode;
    return hashed_number(moment, object, 0);
}

uint64_t PastNodes::number_of_moment(const std::string& text, Lsn lsn) {
    return uint64_t{slot_at(text, lsn, 0)} << inode_bits | journal::root_object.inode;
}

uint64_t PastNodes::remember(const std::shared_ptr<PastMoment>& moment, const journal::ObjectId& object) {
    MutexLock lock(mutex_);
    uint64_t number = number_of(*moment, object);
    for (uint64_t attempt = 1;; ++attempt) {
        auto [place, is_new] = nodes_.try_emplace(number, Entry{{moment, object}, 0});
        Entry& entry = place->second;
        if (entry.node.moment == moment && entry.node.object == object) {
            ++entry.references;
            return number;
        }
        number = hashed_number(*moment, object, attempt);
    }
}

void PastNodes::forget(uint64_t number, uint64_t references) {
    if (number == root) return;
    MutexLock lock(mutex_);
    const auto place = nodes_.find(number);
    // The kernel's counts are input like any other; a wrong one must not stop the service.
    if (place == nodes_.end()) return;
    if (place->second.references > references)
        place->second.references -= references;
    else
        nodes_.erase(place);
}

std::optional<PastNode> PastNodes::find(uint64_t number) const {
    MutexLock lock(mutex_);
    const auto place = nodes_.find(number);
    if (place == nodes_.end()) return std::nullopt;
    return place->second.node;
}

size_t PastNodes::size() const {
    MutexLock lock(mutex_);
    return nodes_.size();
}

}  // namespace holdfast::rewind

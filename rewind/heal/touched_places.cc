#include "rewind/heal/touched_places.h"

#include <utility>

#include "rewind/heal/heal_target.h"

namespace holdfast::rewind {

namespace {

std::vector<Result<UniqueFd>> in_order(journal::HealOpened opened) {
    std::vector<Result<UniqueFd>> all;
    auto next = opened.descriptors.begin();
    for (const int32_t error : opened.errors) {
        if (error == 0)
            all.emplace_back(std::move(*next++));
        else
            all.emplace_back(errno_error(error, "open what was touched"));
    }
    return all;
}

}  // namespace

Result<std::vector<Result<UniqueFd>>> WorkerPlaces::open_places(std::span<const journal::TouchedPlace> asked) {
    auto opened = HF_TRY(pipe_.ask_to_open(journal::HealVerb::places, journal::encode(asked), asked.size(), heal_answer_ms_max));
    return in_order(std::move(opened));
}

Result<UniqueFd> WorkerPlaces::open_file(const FileHandle& handle) {
    const ByteSpan body(reinterpret_cast<const std::byte*>(handle.bytes.data()), handle.bytes.size());
    auto opened = HF_TRY(pipe_.ask_to_open(journal::HealVerb::file, body, 1, heal_answer_ms_max));
    return std::move(in_order(std::move(opened)).front());
}

}  // namespace holdfast::rewind

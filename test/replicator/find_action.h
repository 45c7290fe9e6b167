// Looking into what a session asked for.
#pragma once

#include <catch2/catch.hpp>

#include "replicator/protocol/actions.h"

namespace holdfast::replicator {

// The first action of its kind, or the first message of its kind that is sent; null when there is none. Borrows.
template <typename T>
const T* find(const Actions& actions) {
    for (const Action& action : actions)
        if (const auto* found = std::get_if<T>(&action)) return found;
    return nullptr;
}

template <typename T>
const T* find_sent(const Actions& actions) {
    for (const Action& action : actions) {
        const auto* send = std::get_if<Send>(&action);
        if (send && std::holds_alternative<T>(send->message)) return &std::get<T>(send->message);
    }
    return nullptr;
}

inline Reason reason_of(const Actions& actions) {
    const auto* close = find<Close>(actions);
    REQUIRE(close);
    return close->reason;
}

}  // namespace holdfast::replicator

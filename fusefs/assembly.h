// A place that nobody looks into, where a mount is put together before it is moved to where it is used, with everything in it at once. It is
// a mount of its own that is told to no other mount namespace: from any other place a mount could not be moved away, and would be seen elsewhere before it is
// whole.
//
// Thread rule: the supervisor's one thread. Ownership: the place; it goes with the object. One that a killed supervisor left is cleared by the
// next.
#pragma once

#include <string>

#include "base/result.h"

namespace holdfast::fusefs {

class Assembly {
public:
    static Result<Assembly> make(const std::string& place);
    Assembly(Assembly&& other) noexcept : place_(std::move(other.place_)) { other.place_.clear(); }
    Assembly& operator=(Assembly&&) = delete;
    ~Assembly() { clear(place_); }

    const std::string& place() const { return place_; }
    // Takes away whatever is mounted at PLACE.
    static void clear(const std::string& place);

private:
    explicit Assembly(std::string place) : place_(std::move(place)) {}
    std::string place_;  // "": moved from
};

}  // namespace holdfast::fusefs

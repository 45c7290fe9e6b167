// std::visit with one lambda for each alternative: std::visit(Overloaded{[](A&) {}, [](B&) {}}, variant).
#pragma once

namespace holdfast {

template <typename... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;  // clang 14 does not deduce aggregates

}  // namespace holdfast

// Ends a gap while the mount is in use: what the worker does for the store service, which compares (docs/decisions/0014).
//
// A pass: take() makes every change wait and hands over what was touched; let_go() lets them go on, and what they touch is for the next
// pass; append() records what was found to differ; done(). The last pass does not let go: it is exact, and end_gap() follows.
// A pass that is left without done() or end_gap() (the object ends) gives back what it took.
//
// Thread rule: one thread, the gate is opened by who closed it. One Healing at a time.
// Lock order: the gate before everything else.
#pragma once

#include <memory>
#include <optional>

#include "fusefs/filter/gate.h"
#include "fusefs/filter/shared.h"
#include "journal/healing.h"

namespace holdfast::fusefs {

class Healing {
public:
    // LIMITS: a journal has room for healing while it takes at most half of what it may.
    Healing(Shared& shared, const journal::WriterOptions& limits) : shared_(shared), limits_(limits) {}
    ~Healing() { give_back(); }
    Healing(const Healing&) = delete;
    Healing& operator=(const Healing&) = delete;

    journal::HealState state() const;
    // Errors: unavailable (there is no gap that could end so); then nothing waits.
    Result<journal::Touched> take();
    void let_go() { closed_.reset(); }
    // RECORDS as in journal/healing.h; as many as there is room for, from the front. Errors: io, corrupt.
    Result<journal::HealAppended> append(ByteSpan records);
    void done();
    // Errors: as Recorder::end_gap(); invalid_argument when nothing waits.
    Result<journal::Lsn> end_gap();

    bool holds() const { return closed_.has_value(); }

private:
    void give_back();

    Shared& shared_;
    const journal::WriterOptions limits_;
    std::optional<Gate::Closed> closed_;
    std::vector<journal::TouchedObject> taken_;
};

}  // namespace holdfast::fusefs

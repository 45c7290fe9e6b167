// One slot while it is settled. Private to settle*.cc.
#pragma once

#include "fusefs/settle.h"

namespace holdfast::fusefs {

struct Settler::Case {
    journal::Slot& slot;
    const journal::Record& head;
    journal::Record record;  // as intended; borrows from the slot
    IntentFacts facts;
};

}  // namespace holdfast::fusefs

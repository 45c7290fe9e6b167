// The store and the standby tree that follows its image.
#include "rewind/store_state.h"

namespace holdfast::rewind {

std::optional<StandbyTree::Condition> Store::standby() const {
    return impl_->standby ? std::optional(impl_->standby->condition()) : std::nullopt;
}

bool Store::advance_standby() {
    return impl_->standby && impl_->is_settled() && impl_->standby->advance(impl_->original());
}

void Store::save_standby() {
    if (impl_->standby) impl_->standby->save();
}

Status Store::compare_standby() {
    if (!impl_->standby) return Error{ErrorCode::unsupported, "this store has no standby directory"};
    return impl_->standby->must_compare();
}

Status Store::Impl::doubt_standby() {
    return standby ? standby->must_compare() : ok();
}

}  // namespace holdfast::rewind

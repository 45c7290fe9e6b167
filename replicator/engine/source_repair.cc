#include "replicator/engine/source_repair.h"

namespace holdfast::replicator {

SourceRepair::SourceRepair(Loop& loop, Work& work, std::shared_ptr<SourceJournal> journal, std::string socket, bool needs_new_moment, Events events)
    : loop_(loop), work_(work), journal_(std::move(journal)), socket_(std::move(socket)), needs_new_moment_(needs_new_moment), events_(std::move(events)) {
    begin();
}

SourceRepair::~SourceRepair() {
    *is_alive_ = false;
    if (link_) link_->close();
}

void SourceRepair::begin() {
    if (++moments_ > 1 || !needs_new_moment_) return open({{"role", "serve"}});
    work_.ask([journal = journal_] { return journal->make_moment(); },
              [this, alive = is_alive_](const Result<std::optional<Lsn>>& made) {
                  if (!*alive) return;
                  if (!made) return fail(made.error());
                  open(*made ? Json{{"role", "serve"}, {"beyond", **made}} : Json{{"role", "serve"}});
              });
}

void SourceRepair::open(const Json& request) {
    if (link_) link_->close();
    link_ = SyncLink::open(loop_, socket_, request,
                           {[this](const Json& told) { take_moment(told); }, events_.answer, events_.wait_ns, [this](const Error& why) { fail(why); }});
}

void SourceRepair::take_moment(const Json& told) {
    const auto moment = rewind::moment_of(told);
    if (!moment) return fail(moment.error());
    work_.ask([journal = journal_, moment = *moment] { return journal->offer_repair(moment.at, moment.time_ns); },
              [this, alive = is_alive_](const Result<SourceJournal::RepairOffer>& made) {
                  if (*alive) offer(made);
              });
}

void SourceRepair::offer(const Result<SourceJournal::RepairOffer>& made) {
    if (!made && made.error().code == ErrorCode::not_found && moments_ < repair_moments_max) return begin();
    if (!made) return fail(made.error());
    events_.offered(*made);
}

void SourceRepair::fail(const Error& why) {
    if (link_) link_->close();
    // It may end this object.
    const auto failed = events_.failed;
    failed(why);
}

}  // namespace holdfast::replicator

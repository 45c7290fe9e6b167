#include "replicator/protocol/sender.h"

#include <algorithm>

#include "base/check.h"
#include "journal/segment.h"

namespace holdfast::replicator {

Sender::Sender(Hello self, uint64_t term, uint64_t now_ns) : self_(std::move(self)), term_(term), dialogue_(now_ns), published_(self_.end.lsn) {
    HF_CHECK(self_.role == Role::source);
}

Actions Sender::start(uint64_t now_ns) {
    Actions actions;
    dialogue_.send(self_, now_ns, actions);
    return actions;
}

Actions Sender::on_message(Received received, uint64_t now_ns) {
    Actions actions;
    if (is_over()) return actions;
    dialogue_.heard(now_ns);
    if (received.term > term_) {
        // First of all: what was written under the old term since then is no longer ours to write.
        actions.push_back(StepDown{received.term});
        dialogue_.end(Reason::stale_term, "this host's term " + std::to_string(term_) + " is over; the peer knows term " + std::to_string(received.term), now_ns, actions);
        return actions;
    }
    if (const auto* hello = std::get_if<Hello>(&received.message)) greet(*hello, now_ns, actions);
    else if (const auto* answer = std::get_if<PositionIs>(&received.message)) take(*answer, now_ns, actions);
    else if (const auto* ack = std::get_if<Ack>(&received.message)) take(*ack, now_ns, actions);
    else if (auto* question = std::get_if<SyncBytes>(&received.message)) take(*question, now_ns, actions);
    else if (const auto* compare = std::get_if<Compare>(&received.message)) take(*compare, now_ns, actions);
    else if (auto* compared = std::get_if<Compared>(&received.message)) take(*compared, now_ns, actions);
    else if (const auto* goodbye = std::get_if<Goodbye>(&received.message)) dialogue_.drop(goodbye->reason, "the replica ended the session: " + goodbye->sentence, actions);
    else if (!std::holds_alternative<Heartbeat>(received.message)) violation("it sent a message that only a source sends", now_ns, actions);
    return actions;
}

void Sender::greet(const Hello& peer, uint64_t now_ns, Actions& actions) {
    if (state_ != State::greeting && state_ != State::repairing) return violation("it greeted twice", now_ns, actions);
    if (const auto objection = objection_to(peer, Role::replica)) return dialogue_.end(objection->reason, objection->sentence, now_ns, actions);
    peer_ = peer;
    state_ = State::placing;
    search_.reset();
    const Lsn oldest = std::max(self_.oldest, peer.oldest), newest = std::min(self_.end.lsn, peer.end.lsn);
    if (meet(self_, peer) != Meeting::same_volume || newest < oldest) return judge(now_ns, actions);
    search_.emplace(oldest, newest);
    ask(now_ns, actions);
}

void Sender::ask(uint64_t now_ns, Actions& actions) {
    const auto question = search_->question();
    if (!question) return judge(now_ns, actions);
    ours_.reset();
    theirs_.reset();
    dialogue_.send(Probe{*question}, now_ns, actions);
    actions.push_back(AskPosition{*question});
}

Actions Sender::on_position(Lsn asked, const std::optional<Position>& position, uint64_t now_ns) {
    Actions actions;
    if (is_over()) return actions;
    HF_CHECK(state_ == State::placing && search_->question() == asked);
    ours_ = position;
    compare(now_ns, actions);
    return actions;
}

void Sender::take(const PositionIs& answer, uint64_t now_ns, Actions& actions) {
    const bool is_expected = state_ == State::placing && search_ && search_->question() == answer.asked && !theirs_;
    if (!is_expected) return violation("it answered what was not asked", now_ns, actions);
    theirs_ = answer.is_known ? std::optional<Position>(answer.position) : std::nullopt;
    compare(now_ns, actions);
}

void Sender::compare(uint64_t now_ns, Actions& actions) {
    if (!ours_ || !theirs_) return;
    search_->answer(*ours_, *theirs_);
    ask(now_ns, actions);
}

void Sender::judge(uint64_t now_ns, Actions& actions) {
    decision_ = decide(self_, peer_, search_ ? search_->shared() : std::nullopt);
    if (decision_->outcome == Outcome::repair) return offer_repair(now_ns, actions);
    dialogue_.send(Verdict{decision_->outcome, decision_->lsn, decision_->sentence}, now_ns, actions);
    switch (decision_->outcome) {
        case Outcome::resume:
            state_ = State::streaming;
            sent_ = decision_->lsn;
            acknowledged_ = {sent_, sent_, 0};
            actions.push_back(SaveCursor{sent_});
            return pump(actions);
        case Outcome::rewind:
            state_ = State::greeting;
            if (++rewinds_ > rewinds_max) violation("it did not go back to where it was sent", now_ns, actions);
            return;
        case Outcome::repair: return;  // the verdict waits for the moment
        case Outcome::refuse: return dialogue_.drop(Reason::refused, decision_->sentence, actions);
    }
}

void Sender::offer_repair(uint64_t now_ns, Actions& actions) {
    if (++repairs_ > repairs_max) return violation("it was repaired, and is not where it was brought to", now_ns, actions);
    state_ = State::offering;
    actions.push_back(OfferRepair{});
}

Actions Sender::on_repair_offered(const RepairBegins& offer, const Hello& self, uint64_t now_ns) {
    Actions actions;
    if (is_over()) return actions;
    HF_CHECK(state_ == State::offering);
    HF_CHECK(self.oldest <= offer.begin.lsn && offer.begin.lsn <= offer.at && journal::moment_of(offer.at, self.segment_bytes) <= self.end.lsn);
    self_ = self;
    published_ = std::max(published_, self.end.lsn);
    state_ = State::repairing;
    dialogue_.send(Verdict{Outcome::repair, offer.at, decision_->sentence}, now_ns, actions);
    dialogue_.send(offer, now_ns, actions);
    return actions;
}

void Sender::take(SyncBytes& question, uint64_t now_ns, Actions& actions) {
    if (comparing_ == Comparing::broken) return;  // it was under way when we said so
    if (state_ != State::repairing && comparing_ == Comparing::no) return violation("its store asks ours, and nothing is compared", now_ns, actions);
    actions.push_back(AskStore{std::move(question.bytes)});
}

void Sender::take(const Compare& compare, uint64_t now_ns, Actions& actions) {
    if (state_ != State::streaming || comparing_ != Comparing::no) return violation("it begins a comparison at the wrong time", now_ns, actions);
    comparing_ = Comparing::yes;
    actions.push_back(ServeComparison{compare.at});
}

void Sender::take(Compared& compared, uint64_t now_ns, Actions& actions) {
    if (comparing_ == Comparing::no) return violation("it tells of a comparison that it did not begin", now_ns, actions);
    if (comparing_ == Comparing::yes) {
        actions.push_back(EndServing{});
        dialogue_.send(Compared{}, now_ns, actions);
    }
    comparing_ = Comparing::no;
    actions.push_back(NoteCompared{std::move(compared)});
}

Actions Sender::ask_for_comparison(uint64_t now_ns) {
    Actions actions;
    if (can_be_compared()) dialogue_.send(Compare{}, now_ns, actions);
    return actions;
}

Actions Sender::on_comparison_failure(const std::string& why, uint64_t now_ns) {
    Actions actions;
    if (comparing_ != Comparing::yes || is_over()) return actions;
    comparing_ = Comparing::broken;
    dialogue_.send(Compared{.has_failed = true, .text = why}, now_ns, actions);
    return actions;
}

Actions Sender::on_store_answer(std::vector<std::byte> bytes, uint64_t now_ns) {
    Actions actions;
    const bool is_wanted = state_ == State::repairing || comparing_ == Comparing::yes;
    if (is_wanted && !is_over()) dialogue_.send(SyncBytes{std::move(bytes)}, now_ns, actions);
    return actions;
}

Actions Sender::on_published(Lsn published, uint64_t) {
    Actions actions;
    HF_CHECK(published >= published_);
    published_ = published;
    pump(actions);
    return actions;
}

void Sender::pump(Actions& actions) {
    if (!is_streaming() || is_reading_ || journal::moment_of(published_, self_.segment_bytes) <= sent_) return;
    if (sent_ - acknowledged_.received >= window_bytes_max) return;
    is_reading_ = true;
    actions.push_back(ReadStream{sent_, batch_bytes_max});
}

Actions Sender::on_read(StreamPiece piece, uint64_t now_ns) {
    Actions actions;
    if (is_over()) return actions;
    HF_CHECK(is_reading_);
    is_reading_ = false;
    if (!piece.header.empty()) dialogue_.send(SegmentBegins{std::move(piece.header)}, now_ns, actions);
    // Published, yet only up to a place where no record begins: it is asked for again when more is published.
    if (piece.records.bytes.empty()) return actions;
    HF_CHECK(journal::moment_of(piece.records.first, self_.segment_bytes) == sent_);
    sent_ = piece.records.end;
    dialogue_.send(std::move(piece.records), now_ns, actions);
    pump(actions);
    return actions;
}

void Sender::take(const Ack& ack, uint64_t now_ns, Actions& actions) {
    const bool makes_sense = state_ == State::streaming && ack.received <= sent_ && ack.durable <= ack.received &&
                             ack.received >= acknowledged_.received && ack.durable >= acknowledged_.durable;
    if (!makes_sense) return violation("it acknowledged what it cannot have", now_ns, actions);
    const bool is_safer = ack.durable > acknowledged_.durable;
    acknowledged_ = ack;
    if (is_safer) actions.push_back(SaveCursor{ack.durable});
    pump(actions);
}

Actions Sender::on_failure(Reason reason, const std::string& sentence, uint64_t now_ns) {
    Actions actions;
    dialogue_.end(reason, sentence, now_ns, actions);
    return actions;
}

Actions Sender::on_tick(uint64_t now_ns) {
    Actions actions;
    dialogue_.tick(now_ns, published_, actions);
    return actions;
}

void Sender::violation(const char* what, uint64_t now_ns, Actions& actions) {
    dialogue_.end(Reason::protocol, std::string("the replica broke the protocol: ") + what, now_ns, actions);
}

}  // namespace holdfast::replicator

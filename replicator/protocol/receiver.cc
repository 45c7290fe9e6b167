#include "replicator/protocol/receiver.h"

#include <algorithm>

#include "base/check.h"
#include "journal/segment.h"

namespace holdfast::replicator {

Receiver::Receiver(Hello self, uint64_t term, uint64_t now_ns) : self_(std::move(self)), term_(term), dialogue_(now_ns) {
    HF_CHECK(self_.role == Role::replica);
}

Actions Receiver::start(uint64_t now_ns) {
    Actions actions;
    dialogue_.send(self_, now_ns, actions);
    return actions;
}

Actions Receiver::on_message(Received received, uint64_t now_ns) {
    Actions actions;
    if (is_over()) return actions;
    dialogue_.heard(now_ns);
    if (!accept_term(received.term, now_ns, actions)) return actions;
    Message& message = received.message;
    if (const auto* hello = std::get_if<Hello>(&message)) take(*hello, now_ns, actions);
    else if (const auto* probe = std::get_if<Probe>(&message)) take(*probe, now_ns, actions);
    else if (const auto* verdict = std::get_if<Verdict>(&message)) take(*verdict, now_ns, actions);
    else if (const auto* repair = std::get_if<RepairBegins>(&message)) take(*repair, now_ns, actions);
    else if (auto* answer = std::get_if<SyncBytes>(&message)) take(*answer, now_ns, actions);
    else if (auto* segment = std::get_if<SegmentBegins>(&message)) take(std::move(*segment), now_ns, actions);
    else if (auto* records = std::get_if<Records>(&message)) take(std::move(*records), now_ns, actions);
    else if (const auto* wanted = std::get_if<Compare>(&message)) take(*wanted, now_ns, actions);
    else if (auto* compared = std::get_if<Compared>(&message)) take(*compared, now_ns, actions);
    else if (const auto* beat = std::get_if<Heartbeat>(&message)) source_published_ = std::max(source_published_, beat->published);
    else if (const auto* goodbye = std::get_if<Goodbye>(&message)) dialogue_.drop(goodbye->reason, "the source ended the session: " + goodbye->sentence, actions);
    else violation("it sent a message that only a replica sends", now_ns, actions);
    return actions;
}

// A lower term is that of a source that was replaced and does not know it yet; it hears so and stops (I8).
bool Receiver::accept_term(uint64_t term, uint64_t now_ns, Actions& actions) {
    if (term < term_) {
        dialogue_.end(Reason::stale_term, "the source writes under term " + std::to_string(term) + ", which is over; the term is " + std::to_string(term_), now_ns, actions);
        return false;
    }
    if (term > term_) {
        term_ = term;
        actions.push_back(PersistTerm{term});
    }
    return true;
}

void Receiver::take(const Hello& peer, uint64_t now_ns, Actions& actions) {
    if (state_ != State::greeting) return violation("it greeted twice", now_ns, actions);
    if (const auto objection = objection_to(peer, Role::source)) return dialogue_.end(objection->reason, objection->sentence, now_ns, actions);
    source_published_ = peer.end.lsn;
    source_version_ = peer.version;
    state_ = State::placed_by_source;
}

void Receiver::take(const Probe& probe, uint64_t now_ns, Actions& actions) {
    if (state_ != State::placed_by_source || probed_) return violation("it asked at the wrong time", now_ns, actions);
    if (++probes_ > probes_max) return violation("it asked more often than any search needs", now_ns, actions);
    probed_ = probe.at;
    actions.push_back(AskPosition{probe.at});
}

Actions Receiver::on_position(Lsn asked, const std::optional<Position>& position, uint64_t now_ns) {
    Actions actions;
    if (is_over()) return actions;
    HF_CHECK(probed_ == asked);
    probed_.reset();
    dialogue_.send(PositionIs{asked, position.has_value(), position.value_or(Position{})}, now_ns, actions);
    return actions;
}

void Receiver::take(const Verdict& verdict, uint64_t now_ns, Actions& actions) {
    if (state_ != State::placed_by_source || probed_) return violation("its verdict came at the wrong time", now_ns, actions);
    switch (verdict.outcome) {
        case Outcome::resume:
            if (verdict.lsn != self_.end.lsn) return violation("it wants to go on where the replica does not end", now_ns, actions);
            state_ = State::streaming;
            expected_ = verdict.lsn;
            progress_ = {verdict.lsn, verdict.lsn, progress_.applied};
            return;
        case Outcome::rewind:
            if (verdict.lsn >= self_.end.lsn || verdict.lsn < self_.window_begin) return violation("it sends the replica to where its history does not reach", now_ns, actions);
            if (++rewinds_ > rewinds_max) return violation("it sends the replica back again and again", now_ns, actions);
            state_ = State::rewinding;
            actions.push_back(RewindTo{verdict.lsn});
            return;
        case Outcome::repair:
            if (++repairs_ > repairs_max) return violation("it has the replica repaired again and again", now_ns, actions);
            state_ = State::promised_repair;
            repaired_at_ = verdict.lsn;
            return;
        case Outcome::refuse: return dialogue_.drop(Reason::refused, verdict.sentence, actions);
    }
}

Actions Receiver::on_rewound(const Hello& self, uint64_t now_ns) {
    Actions actions;
    if (is_over()) return actions;
    HF_CHECK(state_ == State::rewinding);
    greet_again(self, now_ns, actions);
    return actions;
}

// The source has not moved; it only needs to hear where we are now.
void Receiver::greet_again(const Hello& self, uint64_t now_ns, Actions& actions) {
    self_ = self;
    state_ = State::placed_by_source;
    dialogue_.send(self_, now_ns, actions);
}

void Receiver::take(const RepairBegins& point, uint64_t now_ns, Actions& actions) {
    if (state_ != State::promised_repair) return violation("it began a repair without a verdict", now_ns, actions);
    if (point.at != repaired_at_) return violation("its repair is not to the moment of its verdict", now_ns, actions);
    const bool is_in_segment = point.begin.lsn % self_.segment_bytes == 0 && point.begin.lsn <= point.at && point.at - point.begin.lsn < self_.segment_bytes;
    if (!is_in_segment) return violation("its repair does not begin with the segment that holds its moment", now_ns, actions);
    state_ = State::repairing;
    actions.push_back(BeginRepair{point});
}

void Receiver::take(SyncBytes& answer, uint64_t now_ns, Actions& actions) {
    if (comparing_ == Comparing::ending) return;  // it was under way when we said so
    if (state_ != State::repairing && comparing_ == Comparing::no) return violation("its store answers ours, and nothing is compared", now_ns, actions);
    actions.push_back(GiveStore{std::move(answer.bytes)});
}

Actions Receiver::on_store_question(std::vector<std::byte> bytes, uint64_t now_ns) {
    Actions actions;
    if (is_repairing() || comparing_ == Comparing::yes) dialogue_.send(SyncBytes{std::move(bytes)}, now_ns, actions);
    return actions;
}

Actions Receiver::on_comparison(Lsn at, uint64_t now_ns) {
    HF_CHECK(can_compare());
    Actions actions;
    comparing_ = Comparing::yes;
    dialogue_.send(Compare{at}, now_ns, actions);
    return actions;
}

Actions Receiver::on_compared(const Compared& compared, uint64_t now_ns) {
    Actions actions;
    if (comparing_ != Comparing::yes) return actions;
    comparing_ = Comparing::ending;
    dialogue_.send(compared, now_ns, actions);
    return actions;
}

void Receiver::take(const Compare& wanted, uint64_t now_ns, Actions& actions) {
    if (state_ != State::streaming || wanted.at != 0) return violation("it asks for a comparison at the wrong time", now_ns, actions);
    actions.push_back(WantComparison{});
}

void Receiver::take(Compared& compared, uint64_t now_ns, Actions& actions) {
    if (comparing_ == Comparing::no) return violation("it ends a comparison that was not begun", now_ns, actions);
    if (comparing_ == Comparing::ending) {
        comparing_ = Comparing::no;
        return;
    }
    // It cannot go on. Our own word ends the matter for both.
    comparing_ = Comparing::no;
    dialogue_.send(Compared{.has_failed = true, .text = compared.text}, now_ns, actions);
    actions.push_back(BreakComparison{std::move(compared.text)});
}

Actions Receiver::on_repaired(const Hello& self, uint64_t now_ns) {
    Actions actions;
    if (is_over()) return actions;
    HF_CHECK(state_ == State::repairing);
    greet_again(self, now_ns, actions);
    return actions;
}

void Receiver::take(SegmentBegins segment, uint64_t now_ns, Actions& actions) {
    if (state_ != State::streaming) return violation("it began a segment outside the stream", now_ns, actions);
    if (expected_ % self_.segment_bytes != 0) return violation("it began a segment within another", now_ns, actions);
    actions.push_back(BeginSegment{std::move(segment.header)});
}

void Receiver::take(Records records, uint64_t now_ns, Actions& actions) {
    if (state_ != State::streaming) return violation("it sent records outside the stream", now_ns, actions);
    if (journal::moment_of(records.first, self_.segment_bytes) != expected_) return violation("its records do not continue the stream", now_ns, actions);
    expected_ = records.end;
    actions.push_back(StoreRecords{std::move(records)});
}

Actions Receiver::on_stored(Lsn received, uint64_t now_ns) {
    Actions actions;
    if (is_over()) return actions;
    HF_CHECK(received >= progress_.received && received <= expected_);
    progress_.received = received;
    source_published_ = std::max(source_published_, received);
    if (!is_syncing_) {
        is_syncing_ = true;
        actions.push_back(SyncJournal{});
    }
    acknowledge(now_ns, actions);
    return actions;
}

Actions Receiver::on_synced(Lsn durable, uint64_t now_ns) {
    Actions actions;
    if (is_over()) return actions;
    durable = journal::moment_of(durable, self_.segment_bytes);  // a header alone is no progress
    HF_CHECK(is_syncing_ && durable >= progress_.durable && durable <= progress_.received);
    progress_.durable = durable;
    is_syncing_ = durable < progress_.received;
    if (is_syncing_) actions.push_back(SyncJournal{});
    acknowledge(now_ns, actions);
    return actions;
}

Actions Receiver::on_applied(Lsn applied, uint64_t now_ns) {
    Actions actions;
    if (applied == progress_.applied) return actions;
    progress_.applied = applied;
    if (is_streaming()) acknowledge(now_ns, actions);
    return actions;
}

void Receiver::acknowledge(uint64_t now_ns, Actions& actions) {
    dialogue_.send(progress_, now_ns, actions);
}

Actions Receiver::on_failure(Reason reason, const std::string& sentence, uint64_t now_ns) {
    Actions actions;
    dialogue_.end(reason, sentence, now_ns, actions);
    return actions;
}

Actions Receiver::on_tick(uint64_t now_ns) {
    Actions actions;
    dialogue_.tick(now_ns, 0, actions);
    return actions;
}

void Receiver::violation(const char* what, uint64_t now_ns, Actions& actions) {
    dialogue_.end(Reason::protocol, std::string("the source broke the protocol: ") + what, now_ns, actions);
}

}  // namespace holdfast::replicator

// What a session asks of its engine. Sessions take values and return actions; they know no clock, no disk, no socket and
// no thread, so that the simulator runs the very code that runs in production.
//
// The engine carries actions out in the order in which they were returned. Those with an answer say which call brings it.
// Thread rule: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "replicator/protocol/messages.h"

namespace holdfast::replicator {

struct Send { Message message; };
// The last record boundary at or below AT in our own journal; answered by on_position().
struct AskPosition { Lsn at; };
// Ends the connection. What was sent before still goes out if it can.
struct Close { Reason reason; std::string sentence; };

// The source's engine.
// A piece of the stream from FROM on, of one segment and about BYTES_MAX; answered by on_read().
struct ReadStream { Lsn from; uint32_t bytes_max; };
// The replica has everything below AT on its disk: the journal may forget it as far as this consumer is concerned.
struct SaveCursor { Lsn at; };
// The replica is to be made equal by comparison: which moment can be compared with? Answered by on_repair_offered().
struct OfferRepair {};
// The replica's store asks ours; each answer comes by on_store_answer().
struct AskStore { std::vector<std::byte> bytes; };
// The replica's store compares itself with ours as it was at AT: it asks from now on (AskStore).
struct ServeComparison { Lsn at; };
// It asks no more.
struct EndServing {};
// What the replica found; its listing is its own word.
struct NoteCompared { Compared compared; };
// Another source with a higher term exists: stop writing at once (I8).
struct StepDown { uint64_t term; };

// The replica's engine.
// The source's term, higher than the one known: durable before anything that follows.
struct PersistTerm { uint64_t term; };
struct BeginSegment { std::vector<std::byte> header; };
struct StoreRecords { Records records; };  // answered by on_stored()
struct SyncJournal {};                     // answered by on_synced()
// Keeps journal and history from AT on aside, takes image and journal back to AT; answered by on_rewound().
struct RewindTo { Lsn at; };
// Has the store make the image equal to the source's tree at POINT.at, and the journal begin at POINT.begin; what the store wants to know
// comes by on_store_question(), the end by on_repaired().
struct BeginRepair { RepairBegins point; };
// An answer from the source's store.
struct GiveStore { std::vector<std::byte> bytes; };

// The source wants all compared.
struct WantComparison {};
// The source's store cannot be compared with now; answered by on_compared().
struct BreakComparison { std::string why; };

using Action = std::variant<Send, AskPosition, Close, ReadStream, SaveCursor, OfferRepair, AskStore, StepDown, PersistTerm, BeginSegment, StoreRecords, SyncJournal, RewindTo,
                            BeginRepair, GiveStore, ServeComparison, EndServing, NoteCompared, WantComparison, BreakComparison>;
using Actions = std::vector<Action>;

}  // namespace holdfast::replicator

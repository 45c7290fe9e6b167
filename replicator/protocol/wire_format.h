// The bytes that travel between two engines. docs/replication_protocol.md explains them with the dialogue, the edge cases
// and the limits; page and header change in one commit.
//
// All integers are little-endian, all structures are free of padding, reserved bytes are zero and checked. Numbers are
// never reused. These bytes are only ever read inside an authenticated channel, and trusted no more for it.
#pragma once

#include <cstdint>

#define HF_WIRE_MAGIC 0x52464e48u /* "HNFR" */
#define HF_WIRE_VERSION 3 /* 2: comparisons within the stream; 3: side streams */
#define HF_WIRE_VERSION_OLDEST 1 /* the oldest that this program still speaks */

#define HF_FRAME_PLAIN_BYTES_MAX (4u << 20)              /* payload of a frame once unpacked */
#define HF_FRAME_STORED_BYTES_MAX HF_FRAME_PLAIN_BYTES_MAX /* packed is never larger: else it is sent as it is */
#define HF_FRAME_SENTENCE_BYTES_MAX 1024u
#define HF_FRAME_SYNC_BYTES_MAX (2u << 20) /* what a store says to another at once */
#define HF_FRAME_LIST_BYTES_MAX (64u << 10) /* of what differs */

#define HF_SIDE_STREAMS_MAX 7u /* beside the first connection of a session */

#define HF_FRAME_ZSTD 0x0001u /* the payload is one zstd frame */

enum hf_frame_type : uint16_t {
    HF_FRAME_HELLO = 1,      // both, first: who am I, where am I
    HF_FRAME_PROBE = 2,      // source: what is your last position at or below this address?
    HF_FRAME_POSITION = 3,   // replica: this one
    HF_FRAME_VERDICT = 4,    // source: how we go on
    HF_FRAME_SEGMENT = 5,    // source: a segment begins; payload hf_segment_header
    HF_FRAME_RECORDS = 6,    // source: whole records of one segment, back to back, as they lie in the file
    HF_FRAME_ACK = 7,        // replica
    HF_FRAME_HEARTBEAT = 8,  // both
    HF_FRAME_GOODBYE = 9,    // both: why this session ends
    HF_FRAME_REPAIR = 10,    // source: the moment that the replica is made equal to
    HF_FRAME_SYNC = 11,      // both, during a repair or a comparison: what one store says to the other
    HF_FRAME_COMPARE = 12,   // replica: its store compares itself with the source's now; source: it should, all of it. Since version 2
    HF_FRAME_COMPARED = 13,  // both: for us the comparison is over; from the replica with what was found. Since version 2
    // Of hosts, not of the volume; at any time after the greeting.
    HF_FRAME_NEXT_KEY = 32,  // both: this host will show another key
    HF_FRAME_KEY_KEPT = 33,  // both: it is on this host's list of peers, durably
    // Of connections. Since version 3.
    HF_FRAME_STREAMS = 34,    // source: further connections that name this session belong to it
    HF_FRAME_JOIN = 35,       // source, first on a further connection: to which session it belongs, and its number there
    HF_FRAME_JOINED = 36,     // replica, the only one that it sends there: frames may come
    HF_FRAME_ELSEWHERE = 37,  // source, on the first connection: the frame in this place comes on another one
};

// Before every payload. The checksum (xxh3, 64 bits) is that of the payload as it travels, seeded with that of the header with
// the field zero; plain_checksum is that of the payload unpacked, so that a fault of the packer is seen as well.
struct hf_frame_header {
    uint32_t magic;
    uint16_t type;
    uint16_t flags;
    uint32_t stored_bytes;
    uint32_t plain_bytes;
    uint64_t term;     // of the sender (I8)
    uint64_t sent_ns;  // realtime clock of the sender
    uint64_t plain_checksum;
    uint64_t checksum;
};

struct hf_wire_position {
    uint64_t lsn;
    uint8_t chain[16];  // journal/chain_at.h
};

struct hf_wire_answer {
    uint64_t asked;  // the address of the probe that this answers
    uint32_t is_known;
    uint32_t reserved;
    struct hf_wire_position position;
};

enum hf_wire_role : uint32_t { HF_ROLE_SOURCE = 1, HF_ROLE_REPLICA = 2 };

#define HF_HELLO_EMPTY 0x1u   /* neither a journal nor an image: nothing to go on from */
#define HF_HELLO_RETIRED 0x2u /* an older source: its journal begins with the whole tree. Taken and ignored; never sent, never used anew */
#define HF_HELLO_UNSOUND 0x4u /* a repair of the image is under way: it is no moment of the source's */

struct hf_wire_hello {
    uint16_t version_oldest;
    uint16_t version;
    uint32_t role;
    uint8_t volume[16];
    uint64_t segment_bytes;
    uint32_t timeline;
    uint32_t flags;         // HF_HELLO_*
    uint64_t oldest;        // the first address whose position can still be told
    uint64_t window_begin;  // replica: the oldest address to which image and history can go back
    struct hf_wire_position end;  // replica: durable; source: published
};

struct hf_wire_verdict {
    uint32_t outcome;  // replicator::Outcome
    uint32_t sentence_bytes;
    uint64_t lsn;
};

struct hf_wire_repair {
    uint64_t at;       // the moment
    uint64_t time_ns;  // of it, realtime clock of the source
    struct hf_wire_position begin;  // where the replica's journal begins afterwards: the segment that holds the moment
};

struct hf_wire_compare {
    uint64_t at;  // the moment; from the source zero
};

#define HF_COMPARED_WHOLE 0x1u  /* all objects: since `began_ns` */
#define HF_COMPARED_ASKED 0x2u  /* it was asked for, and is of one moment */
#define HF_COMPARED_FAILED 0x4u /* it came to nothing; the text says why */

struct hf_wire_compared {
    uint64_t at;        // the moment of the last part
    uint64_t time_ns;   // when that was the replica's present, by its realtime clock
    uint64_t began_ns;  // the same of the first part
    uint64_t objects;   // of all parts so far
    uint64_t bytes;
    uint64_t differences;
    uint32_t flags;     // HF_COMPARED_*
    uint32_t text_bytes;
};

struct hf_wire_records {
    uint64_t first;  // address of the first record
    uint64_t end;    // past the last one, in the stream
};

struct hf_wire_ack {
    uint64_t received;
    uint64_t durable;
    uint64_t applied;
};

struct hf_wire_heartbeat {
    uint64_t published;  // source; a replica says zero
};

struct hf_wire_goodbye {
    uint32_t code;  // replicator::Reason
    uint32_t sentence_bytes;
};

struct hf_wire_key {
    uint8_t fingerprint[32];  // trust/identity.h
};

struct hf_wire_streams {
    uint8_t session[16];  // drawn by the source for each
};

struct hf_wire_join {
    uint8_t session[16];
    uint32_t number;  // of the connection: 1 to HF_SIDE_STREAMS_MAX
    uint32_t reserved;
};

struct hf_wire_side {
    uint32_t number;
};

static_assert(sizeof(hf_frame_header) == 48);
static_assert(sizeof(hf_wire_position) == 24);
static_assert(sizeof(hf_wire_answer) == 40);
static_assert(sizeof(hf_wire_hello) == 80);
static_assert(sizeof(hf_wire_verdict) == 16);
static_assert(sizeof(hf_wire_repair) == 40);
static_assert(sizeof(hf_wire_compare) == 8);
static_assert(sizeof(hf_wire_compared) == 56);
static_assert(sizeof(hf_wire_records) == 16);
static_assert(sizeof(hf_wire_ack) == 24);
static_assert(sizeof(hf_wire_heartbeat) == 8);
static_assert(sizeof(hf_wire_goodbye) == 8);
static_assert(sizeof(hf_wire_key) == 32);
static_assert(sizeof(hf_wire_streams) == 16);
static_assert(sizeof(hf_wire_join) == 24);
static_assert(sizeof(hf_wire_side) == 4);

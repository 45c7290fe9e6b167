/*
 * The on-disk format of undo segments. docs/store_format.md explains it with the edge cases; the two change in one
 * commit.
 *
 * All integers are little-endian, all structures are free of padding, reserved bytes are zero and checked. Numbers are
 * never reused. Heads are kept small, because a random 4 KiB write must not cost more than 1.05 bytes for each byte
 * that it overwrote.
 */
#ifndef HF_UNDO_FORMAT_H
#define HF_UNDO_FORMAT_H

#include <stdint.h>

#include "journal/format.h"

#define HF_UNDO_MAGIC 0x4f444e5554534648ULL /* "HFSTUNDO" */
#define HF_UNDO_VERSION 1

#define HF_UNDO_SEGMENT_BYTES (64u << 20)
#define HF_UNDO_SEGMENT_HEADER_BYTES 128u
#define HF_UNDO_ALIGNMENT 8u
#define HF_UNDO_PART_DATA_BYTES_MAX (4u << 20)  /* data of one part; a journal record may need several parts */
#define HF_UNDO_PART_ITEMS_MAX 4096u
#define HF_UNDO_RECORD_BYTES_MAX (8u << 20)

/* Start of every segment file. The checksum (xxh3, 64 bits) covers the header with the field zero. */
struct hf_undo_segment_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes;
	uint8_t volume[16];
	uint64_t segment_index;    /* the segment's first address is index * segment_bytes */
	uint64_t segment_bytes;
	uint64_t previous_lsn;     /* of the newest record before this segment; 0: none */
	uint64_t previous_end_lsn;
	uint64_t previous_time_ns;
	uint8_t chain_before[16];
	uint8_t reserved[32];
	uint64_t checksum;
};

#define HF_UNDO_CONTINUED 0x1u /* more parts of the same journal record follow; only the last part counts as whole */
#define HF_UNDO_EXCHANGE 0x2u  /* RENAME that exchanged two names */
#define HF_UNDO_FLAGS_ALL 0x3u

/* One per applied journal record, or one per part of it. Then item_count items. */
struct hf_undo_record {
	uint32_t length;   /* of header, items and padding; a multiple of 8 */
	uint16_t type;     /* enum hf_record_type of the journal record; HF_SEGMENT_END seals the segment */
	uint16_t flags;    /* HF_RECORD_* of the journal record */
	uint64_t lsn;
	uint64_t end_lsn;  /* where the next journal record begins */
	uint64_t time_ns;
	uint64_t checksum; /* xxh3, 64 bits, over `length` bytes with this field zero, xor xxh3 of the address (8 bytes) */
	struct hf_object_id object;
	uint16_t item_count;
	uint16_t undo_flags;     /* HF_UNDO_* */
	uint32_t unsynced_bytes; /* everything that lies further back than this in the segment was durable already */
};

#define HF_UNDO_ITEM_OTHER_OBJECT 0x1u /* an object id follows; else the item is about the record's object */
#define HF_UNDO_ITEM_PRESENT 0x2u      /* xattr: it had a value */
#define HF_UNDO_ITEM_FLAGS_ALL 0x3u

/* Head of an item. After it, in this order: the object id (if flagged), the kind's own fields, the name, the data,
 * padding to 8. Own fields: data: offset (8); hole: offset, length (16); dirent: the previous object (16);
 * attributes: hf_undo_attributes (56); xattr, birth, death, event: none. The checksum makes an item that is read alone
 * trustworthy: without it, every read of a few bytes would have to read the whole record. */
struct hf_undo_item {
	uint8_t kind; /* UndoKind */
	uint8_t flags;
	uint16_t name_length;
	uint32_t data_length;
	uint64_t checksum; /* xxh3, 64 bits, over the item without its padding, this field zero */
};

struct hf_undo_attributes {
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t nlink;
	uint64_t size;
	uint64_t rdev;
	int64_t atime_ns;
	int64_t mtime_ns;
	int64_t ctime_ns;
};

HF_STATIC_ASSERT(sizeof(struct hf_undo_segment_header) == HF_UNDO_SEGMENT_HEADER_BYTES);
HF_STATIC_ASSERT(sizeof(struct hf_undo_record) == 64);
HF_STATIC_ASSERT(sizeof(struct hf_undo_item) == 16);
HF_STATIC_ASSERT(sizeof(struct hf_undo_attributes) == 56);

#endif

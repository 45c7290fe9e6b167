/*
 * The on-disk format of the journal, for C and C++, for the kernel and for user space. docs/journal_format.md
 * explains it with a grammar, the edge cases and a worked example; the two change in one commit, and a
 * house-rules test holds the numbers of that page against this file.
 *
 * All integers are little-endian, all structures are free of padding, reserved bytes are zero and checked.
 * Numbers are never reused.
 */
#ifndef HF_JOURNAL_FORMAT_H
#define HF_JOURNAL_FORMAT_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdint.h>
#endif

/* What is read from a disk may be no enumerator; in C++ an enumeration can hold that only if its type is said. */
#ifdef __cplusplus
#define HF_ENUM_U32 : uint32_t
#else
#define HF_ENUM_U32
#endif

#define HF_JOURNAL_MAGIC 0x4c4e524a54534648ULL /* "HFSTJRNL" */
#define HF_JOURNAL_VERSION 1

#define HF_SEGMENT_HEADER_BYTES 4096u
#define HF_SEGMENT_BYTES_MIN (2u << 20) /* every record fits, with header and seal */
#define HF_SEGMENT_BYTES_DEFAULT (64u << 20)
#define HF_SEGMENT_BYTES_MAX (1u << 30)

#define HF_RECORD_ALIGNMENT 8u
#define HF_RECORD_DATA_BYTES_MAX (1u << 20)                 /* data of one WRITE */
#define HF_RECORD_BYTES_MAX ((1u << 20) + (128u << 10))     /* header, payload and padding */
#define HF_NAME_BYTES_MAX 255u
#define HF_SYMLINK_BYTES_MAX 4095u
#define HF_XATTR_VALUE_BYTES_MAX 65536u
#define HF_BOOKMARK_NAME_BYTES_MAX 254u
#define HF_GAP_SENTENCE_BYTES_MAX 65536u
#define HF_SEGMENT_END_BYTES 104u /* header and payload of SEGMENT_END; kept free at the end of every segment */

/* First 4 KiB of every segment file. The checksum (xxh3, 64 bits) covers the header with the field zero. */
struct hf_segment_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes;
	uint8_t volume[16];     /* UUID */
	uint64_t segment_index; /* the segment's first LSN is index * segment_bytes */
	uint64_t segment_bytes; /* of the whole file, this header included */
	uint64_t term;
	uint32_t timeline;
	uint32_t reserved0;
	uint64_t created_ns;
	uint64_t checksum;
};

/* An object is named by the host it was born on and by that host's inode and generation. Zero: no object. */
struct hf_object_id {
	uint64_t inode;
	uint32_t generation;
	uint32_t origin;
};

struct hf_record_header {
	uint32_t length;      /* bytes in the stream: header, payload, padding; a multiple of 8 */
	uint16_t type;        /* enum hf_record_type */
	uint16_t flags;       /* HF_RECORD_* */
	uint64_t lsn;         /* the record's own address in the stream */
	uint64_t time_ns;     /* realtime clock of the writer */
	uint64_t checksum;    /* xxh3, 64 bits, over header (this field zero) and payload */
	struct hf_object_id object;
	uint64_t offset;      /* WRITE, FALLOCATE: byte offset; TRUNCATE: new size; otherwise zero */
	uint32_t data_length; /* payload bytes; padding up to the next multiple of 8 is zero, the rest of `length` is
	                       * neither written nor read, so that a long VOID or SEGMENT_END costs 64 or 104 bytes */
	uint32_t reserved;
};

#define HF_RECORD_FROM_MMAP 0x0001u /* WRITE that came from a shared mapping's writeback */
#define HF_RECORD_REPAIR 0x0002u    /* written by reconciliation inside a gap, not by an application */
#define HF_RECORD_LAST_LINK 0x0004u /* UNLINK, RMDIR, RENAME: the object in question lost its last name */

enum hf_record_type HF_ENUM_U32 {
	HF_VOID = 1,         /* an operation that failed, or filler: nothing happened here */
	HF_SEGMENT_END = 2,  /* its length reaches to the segment's end, its file ends with its payload */

	HF_WRITE = 16,       /* payload: the data */
	HF_TRUNCATE = 17,    /* offset: the new size */
	HF_FALLOCATE = 18,   /* payload hf_fallocate */
	HF_CREATE = 19,      /* regular file; payload hf_birth + tail. No name: born nameless (O_TMPFILE) */
	HF_MKDIR = 20,
	HF_MKNOD = 21,
	HF_SYMLINK = 22,     /* tail: name, target */
	HF_LINK = 23,        /* payload hf_name_change + name; object: the linked one */
	HF_UNLINK = 24,      /* payload hf_name_change + name; object: the one that lost the name */
	HF_RMDIR = 25,
	HF_RENAME = 26,      /* payload hf_rename + both names; object: the one that moves */
	HF_SETATTR = 27,     /* payload hf_attributes */
	HF_SETXATTR = 28,    /* payload hf_xattr + name + value */
	HF_REMOVEXATTR = 29, /* payload hf_xattr + name */
	HF_ORPHAN_END = 30,  /* the last user of a nameless object is gone */

	HF_BOOKMARK = 64,    /* payload: the name, bytes */
	HF_HEARTBEAT = 65,
	HF_SYNC_POINT = 66,  /* everything before this is durable in the backing tree */
	HF_VERIFY = 67,
	HF_SNAPSHOT_DIR = 68,
	HF_SNAPSHOT_OBJECT = 69,
	HF_SNAPSHOT_DATA = 70,
	HF_GAP_BEGIN = 71,   /* payload hf_gap + sentence */
	HF_GAP_END = 72,     /* payload hf_gap + sentence */
	HF_SESSION_OPEN = 73, /* payload hf_session */
	HF_SESSION_CLOSE = 74,
	HF_DEMOTE = 75,
	HF_PROMOTE = 76,
};

/* Chain: chain_after = xxh3-128(chain_before, then checksum of every record of the segment but this one,
 * each as 8 bytes, in LSN order), stored low half first. The first segment of a volume starts from zero. */
struct hf_segment_end {
	uint8_t chain_before[16];
	uint8_t chain_after[16];
	uint64_t record_count; /* without this one */
};

#define HF_ATTR_MODE 0x01u
#define HF_ATTR_UID 0x02u
#define HF_ATTR_GID 0x04u
#define HF_ATTR_ATIME 0x08u
#define HF_ATTR_MTIME 0x10u
#define HF_ATTR_CTIME 0x20u /* informative: no system call can set it */
#define HF_ATTR_ALL 0x3fu

struct hf_attributes {
	uint32_t valid; /* HF_ATTR_* */
	uint32_t mode;  /* type bits included */
	uint32_t uid;
	uint32_t gid;
	int64_t atime_ns;
	int64_t mtime_ns;
	int64_t ctime_ns;
};

/* Birth of an object: what it is after the operation, inherited ACLs included. Tail: name, symlink target,
 * then xattr_count times hf_xattr + name + value. */
struct hf_birth {
	struct hf_object_id parent;
	struct hf_attributes attributes;
	uint64_t rdev; /* device number in the kernel's 64-bit user encoding, MKNOD only */
	uint16_t name_length;
	uint16_t target_length;
	uint16_t xattr_count;
	uint16_t reserved;
};

struct hf_name_change {
	struct hf_object_id parent;
	uint16_t name_length;
	uint16_t reserved0;
	uint32_t reserved1;
};

#define HF_RENAME_EXCHANGE 0x1u

struct hf_rename {
	struct hf_object_id old_parent;
	struct hf_object_id new_parent;
	struct hf_object_id other; /* replaced or exchanged object; zero if the new name was free */
	uint32_t flags;            /* HF_RENAME_* */
	uint16_t old_name_length;
	uint16_t new_name_length;
};

#define HF_FALLOC_KEEP_SIZE 0x01u /* the values of linux/falloc.h */
#define HF_FALLOC_PUNCH_HOLE 0x02u
#define HF_FALLOC_COLLAPSE_RANGE 0x08u
#define HF_FALLOC_ZERO_RANGE 0x10u
#define HF_FALLOC_INSERT_RANGE 0x20u

struct hf_fallocate {
	uint64_t length;
	uint32_t mode;
	uint32_t reserved;
};

struct hf_xattr {
	uint32_t value_length;
	uint16_t name_length;
	uint16_t reserved;
};

enum hf_gap_reason HF_ENUM_U32 {
	HF_GAP_HOST_CRASH = 1,
	HF_GAP_JOURNAL_FULL = 2,
	HF_GAP_JOURNAL_FAILED = 3,
	HF_GAP_NOT_MOUNTED = 4,
	HF_GAP_JOURNAL_DAMAGED = 5,
	HF_GAP_BYPASS = 6,
};

struct hf_gap {
	uint32_t reason;
	uint32_t sentence_length;
	uint64_t since_ns; /* earliest time at which something may be missing */
};

struct hf_session {
	uint8_t boot_id[16];
	uint64_t session;
	uint32_t clean; /* SESSION_CLOSE: 1 if everything was flushed */
	uint32_t reserved;
};

#if defined(__cplusplus)
#define HF_STATIC_ASSERT(c) static_assert(c, #c)
#else
#define HF_STATIC_ASSERT(c) _Static_assert(c, #c)
#endif
HF_STATIC_ASSERT(sizeof(struct hf_segment_header) == 80);
HF_STATIC_ASSERT(sizeof(struct hf_object_id) == 16);
HF_STATIC_ASSERT(sizeof(struct hf_record_header) == 64);
HF_STATIC_ASSERT(sizeof(struct hf_segment_end) == 40);
HF_STATIC_ASSERT(sizeof(struct hf_record_header) + sizeof(struct hf_segment_end) == HF_SEGMENT_END_BYTES);
HF_STATIC_ASSERT(HF_SEGMENT_HEADER_BYTES + HF_RECORD_BYTES_MAX + HF_SEGMENT_END_BYTES <= HF_SEGMENT_BYTES_MIN);
HF_STATIC_ASSERT(sizeof(struct hf_attributes) == 40);
HF_STATIC_ASSERT(sizeof(struct hf_birth) == 72);
HF_STATIC_ASSERT(sizeof(struct hf_name_change) == 24);
HF_STATIC_ASSERT(sizeof(struct hf_rename) == 56);
HF_STATIC_ASSERT(sizeof(struct hf_fallocate) == 16);
HF_STATIC_ASSERT(sizeof(struct hf_xattr) == 8);
HF_STATIC_ASSERT(sizeof(struct hf_gap) == 16);
HF_STATIC_ASSERT(sizeof(struct hf_session) == 32);

#endif

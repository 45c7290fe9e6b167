#include "rewind/index/index_options.h"

#include <rocksdb/cache.h>
#include <rocksdb/table.h>

namespace holdfast::rewind {

namespace {

// Together the bound on the memory that an index takes: two buffers being flushed, one being filled, and the cache.
constexpr size_t write_buffer_bytes = 32 << 20;
constexpr int write_buffer_count = 3;
constexpr size_t cache_bytes = 64 << 20;
constexpr int open_files_max = 512;
// Large blocks, because entries of one block are much alike and compress each other.
constexpr size_t block_bytes = 32 << 10;
constexpr uint64_t forget_within_s = 24 * 3600;

}  // namespace

rocksdb::Options index_options(std::shared_ptr<const PruneLimit> limit) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = write_buffer_bytes;
    options.max_write_buffer_number = write_buffer_count;
    options.target_file_size_base = 32 << 20;
    options.max_bytes_for_level_base = 128 << 20;
    options.level_compaction_dynamic_level_bytes = true;
    options.max_background_jobs = 2;
    options.max_open_files = open_files_max;
    options.bytes_per_sync = 1 << 20;
    // Fast where data is young and will be written again, small where it rests.
    options.compression = rocksdb::kLZ4Compression;
    options.bottommost_compression = rocksdb::kZSTD;
    options.bottommost_compression_opts.enabled = true;
    options.bottommost_compression_opts.level = 6;
    options.compaction_filter_factory = make_prune_filter(std::move(limit));
    // Every file passes the filter within this time, so that what was pruned also leaves the disk.
    options.periodic_compaction_seconds = forget_within_s;

    rocksdb::BlockBasedTableOptions table;
    table.block_size = block_bytes;
    table.block_cache = rocksdb::NewLRUCache(cache_bytes);
    table.cache_index_and_filter_blocks = true;
    table.pin_l0_filter_and_index_blocks_in_cache = true;
    table.format_version = 5;
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));

    options.info_log_level = rocksdb::WARN_LEVEL;
    options.max_log_file_size = 1 << 20;
    options.keep_log_file_num = 2;
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    return options;
}

}  // namespace holdfast::rewind

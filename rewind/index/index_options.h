// How the index's database is set up.
#pragma once

#include <rocksdb/options.h>

#include <memory>

#include "rewind/index/index_prune.h"

namespace holdfast::rewind {

rocksdb::Options index_options(std::shared_ptr<const PruneLimit> limit);

}  // namespace holdfast::rewind

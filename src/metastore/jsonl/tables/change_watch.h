// Tells of rows that were appended to the tables, by inotify.
#pragma once

#include <memory>

#include "ferry/metastore/metastore.h"
#include "metastore/jsonl/tables/directory.h"

namespace ferry::metastore {

/// Where the kernel gives no queue of events, it tells twice a second that rows may have come.
std::unique_ptr<ChangeNotice> watch_tables(std::shared_ptr<const Directory> directory);

}  // namespace ferry::metastore

// Finds the deliveries that a query asks for, a page at a time.
#pragma once

#include <vector>

#include "ferry/metastore/metastore.h"
#include "metastore/postgres/snapshot.h"

namespace ferry::metastore::postgres {

struct FoundTransfer {
  FileRecord file;
  DeliveryRow delivery;
  bool is_alive = false;
};

class TransferSearch {
 public:
  explicit TransferSearch(TransferQuery query);

  /// The next deliveries. None: there are no more.
  Result<std::vector<FoundTransfer>> next(Snapshot& snapshot);

 private:
  Result<std::vector<FileNumber>> candidates(Snapshot& snapshot);
  bool matches(const DeliveryRow& delivery) const;

  TransferQuery query_;
  bool goes_by_date_ = false;
  // The last one that was looked at.
  FileNumber last_ = 0;
  std::int64_t last_date_us_ = 0;
};

}  // namespace ferry::metastore::postgres

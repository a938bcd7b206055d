// Finds the deliveries that a query asks for, a page at a time, each in a snapshot of its own.
#pragma once

#include "ferry/metastore/metastore.h"
#include "metastore/jsonl/index/snapshot.h"

namespace ferry::metastore {

class TransferSearch {
 public:
  explicit TransferSearch(TransferQuery query);

  /// The next files with deliveries among which some match, and with all their deliveries. No
  /// files: there are no more.
  Result<Page> next(Snapshot& snapshot);

  bool matches(const Delivery& delivery) const;

 private:
  std::vector<FileNumber> candidates(Index& index);
  bool asks_for(TransferStatus status) const;

  TransferQuery query_;
  bool goes_by_date_ = false;
  // The last one that was looked at; by its id for an index that was built anew since.
  std::string last_id_;
  Index::Success last_;
};

}  // namespace ferry::metastore

// One state of the tables and their index, and what the questions to it have in common.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/metastore/rules.h"
#include "metastore/jsonl/index/indexed_tables.h"
#include "metastore/jsonl/index/perspective.h"
#include "metastore/jsonl/tables/agents.h"
#include "metastore/viewpoint.h"

namespace ferry::metastore {

/// A file as it is shown, with all that the views in its deliveries refer to.
struct FoundFile {
  FileRecord file;
  std::vector<Delivery> deliveries;
};
struct Page {
  std::vector<FoundFile> files;
  std::set<std::string, std::less<>> texts;

  std::string_view keep(std::string_view text);
};

class Snapshot {
 public:
  /// All outlive it. TABLES are in a transaction.
  Snapshot(const Directory& directory, IndexedTables& tables, const Viewpoint& viewpoint);

  IndexedTables& tables() { return tables_; }
  Index& index() { return tables_.index(); }
  const Viewpoint& viewpoint() const { return viewpoint_; }
  const Demand& demand() const { return viewpoint_.demand; }
  Perspective& perspective() { return perspective_; }
  Liveness& liveness() { return liveness_; }

  /// Every version of a path, oldest first. Rows that name no area stand for any area that has none
  /// of the path.
  std::vector<FileNumber> versions(std::string_view landing, std::string_view path);
  std::optional<FileNumber> latest(std::string_view landing, std::string_view path);

  /// The whole record.
  Result<FileRecord> record(const KnownFile& file);
  Result<std::optional<FileRecord>> record(FileNumber number);
  /// As rules look at it: what the index has, under its area's own name.
  FileRecord outline(const KnownFile& file) const;

  /// With claim_alive; without the errors' messages, and with views that live as long as those of
  /// KnownDelivery.
  std::vector<Delivery> deliveries(FileNumber number);
  /// With all that there is to show.
  Result<void> show(const KnownFile& file, Page& page);

 private:
  const Viewpoint& viewpoint_;
  IndexedTables& tables_;
  Perspective perspective_;
  Liveness liveness_;
  std::vector<KnownDelivery> known_deliveries_;
};

}  // namespace ferry::metastore

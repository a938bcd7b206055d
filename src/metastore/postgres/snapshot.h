// What a transaction sees, and what the questions to it have in common.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "metastore/postgres/agents.h"
#include "metastore/postgres/rows.h"
#include "metastore/viewpoint.h"

namespace ferry::metastore::postgres {

/// A file with what became of it, as its last rows have it.
struct KnownFile {
  FileRow file;
  std::vector<DeliveryRow> deliveries;
};

struct PathKey {
  std::string landing;  // a label
  std::string path;
  auto operator<=>(const PathKey&) const = default;
};

/// One version of a path.
struct Version {
  FileNumber number = 0;
  std::string id;
  std::string landing;  // as it is stored
  std::int64_t version = 0;
  FileState state = FileState::kReady;
};

enum class Wait : bool { kNo, kYes };

class Snapshot {
 public:
  /// Both outlive it. CONNECTION is in a transaction.
  Snapshot(Connection& connection, const Viewpoint& viewpoint)
      : connection_(connection), viewpoint_(viewpoint) {}

  Connection& connection() { return connection_; }
  const Viewpoint& viewpoint() const { return viewpoint_; }
  const Demand& demand() const { return viewpoint_.demand; }

  /// Locks files against changes, in the order of their numbers. Returns those that are there and,
  /// without waiting, not locked by others.
  Result<std::vector<FileNumber>> lock(const std::vector<FileNumber>& numbers, Wait wait);

  /// Those that there are, in the order of NUMBERS.
  Result<std::vector<KnownFile>> load(const std::vector<FileNumber>& numbers);
  /// Those that there are, by their numbers, with what rules need of their records: id, landing,
  /// path, state and date.
  Result<std::vector<KnownFile>> outline(const std::vector<FileNumber>& numbers);
  /// The same, locked.
  Result<std::vector<KnownFile>> lock_outlines(const std::vector<FileNumber>& numbers);
  Result<std::vector<KnownFile>> lock_outlines(const std::vector<std::string>& ids);
  /// Reads the whole records of FILES, which are locked.
  Result<void> complete(std::span<KnownFile* const> files);
  Result<std::map<std::string, FileNumber>> find(const std::vector<std::string>& ids);

  /// Every version of each path, oldest first. Rows that name no area stand for any area that has
  /// none of the path.
  Result<std::vector<std::vector<Version>>> versions(const std::vector<PathKey>& keys);
  /// The same for the paths of these files, which are as they were loaded.
  Result<std::vector<std::vector<Version>>> versions(const std::vector<KnownFile>& files);

  /// Has to be called before what follows, and after what is to be judged by it was read: an agent
  /// joins before it claims.
  Result<void> look_who_lives();
  const Liveness& liveness() const { return *liveness_; }
  /// With claim_alive; views of FILE.
  std::vector<Delivery> deliveries(const KnownFile& file) const;
  /// As the rules and people see it: under its area's own name.
  FileRecord record(const KnownFile& file) const;

 private:
  Result<std::vector<KnownFile>> outline_by(std::string_view condition,
                                            const Parameters& parameters);
  Result<void> add_deliveries(std::vector<KnownFile>& files);
  Result<void> add_versions_of_any_area(const std::vector<PathKey>& keys,
                                        std::vector<std::vector<Version>>& found);

  Connection& connection_;
  const Viewpoint& viewpoint_;
  std::optional<Liveness> liveness_;
};

/// One column of numbers.
std::vector<FileNumber> numbers_in(const Rows& rows);

}  // namespace ferry::metastore::postgres

// Compares what is derived in the database with what the rows of the two tables say.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "metastore/postgres/changes.h"
#include "metastore/postgres/routes.h"
#include "metastore/postgres/snapshot.h"

namespace ferry::metastore::postgres {

class Verification {
 public:
  /// Both outlive it.
  Verification(Snapshot& snapshot, const RouteState& route) : snapshot_(snapshot), route_(route) {}

  Result<void> run();
  const std::vector<std::string>& differences() const { return differences_; }

 private:
  using Standings = std::map<FileNumber, std::vector<Class::Key>>;

  Result<void> compare_files(const std::vector<KnownFile>& files);
  Result<void> compare_deliveries(const std::vector<KnownFile>& files);
  Result<void> compare_standings(const std::vector<KnownFile>& files);
  Result<Standings> standings_of(const std::vector<KnownFile>& files);
  Result<void> compare_sums();

  template <typename... Args>
  void differ(fmt::format_string<Args...> format, Args&&... args) {
    differences_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  Snapshot& snapshot_;
  const RouteState& route_;
  std::map<std::string, Delivered> delivered_;
  std::vector<std::string> differences_;
};

}  // namespace ferry::metastore::postgres

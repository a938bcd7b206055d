// Rows that could not be read: each is remembered, and reported until a table has too many.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/metastore/metastore.h"

namespace ferry::metastore {

class DamageLog {
 public:
  void add(const std::string& table, std::uint64_t line, const std::string& reason);
  /// To be called after each reading: says how many more rows were damaged than were reported.
  void end_reading(const std::string& table);
  void clear() { damages_.clear(); }

  const std::vector<Metastore::Damage>& damages() const { return damages_; }

 private:
  std::vector<Metastore::Damage> damages_;
  std::uint64_t reported_ = 0;
  std::uint64_t unreported_ = 0;
};

}  // namespace ferry::metastore

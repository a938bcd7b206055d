// Ids as the index keeps them: a UUID as its 16 bytes, which is less than half of its text.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "metastore/jsonl/index/database.h"

namespace ferry::metastore {

class StoredId {
 public:
  explicit StoredId(std::string_view id);

  /// As a parameter of a statement; lives as long as this, and ID.
  std::variant<Blob, std::string_view> value() const;

 private:
  std::string_view text_;
  char uuid_[16] = {};
  bool is_uuid_ = false;
};

/// The id in a column.
std::string id_from(const Rows& row, int column);

}  // namespace ferry::metastore

// What statements are given: single values as text, arrays in PostgreSQL's binary form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/time.h"

namespace ferry::metastore::postgres {

/// PostgreSQL counts microseconds from 2000-01-01.
inline constexpr std::int64_t kEpochMs = 946'684'800'000;

/// A value of an array's type, by its oid; 0: as text, of whatever type the statement asks for.
struct Value {
  std::string bytes;
  unsigned type = 0;
};

/// Builds an array, value by value, all of one kind. Statements cast it to the type they need.
///
/// Text that is not UTF-8 becomes U+FFFD, as in JSON lines; NUL characters are left out. Numbers
/// are bigints, those without a sign go as text.
class Column {
 public:
  void add(std::string_view text);
  void add(std::int64_t number);
  void add_unsigned(std::uint64_t number);
  void add(Timestamp time);
  void add_null();
  void add_or_null(std::string_view text);  // null if it is empty
  void add_flag(bool flag);
  /// The array; the column is empty then.
  Value take();

 private:
  enum class Kind : std::uint8_t { kNone, kText, kNumber, kTime, kFlag };
  void add_length(std::size_t bytes);

  Kind kind_ = Kind::kNone;
  std::uint32_t count_ = 0;
  bool has_null_ = false;
  std::string elements_;
};

/// The values of $1, $2, … of a statement; text as in Column.
class Parameters {
 public:
  Parameters& add(std::string_view text);
  Parameters& add(const std::string& text) { return add(std::string_view(text)); }
  Parameters& add(const char* text) { return add(std::string_view(text)); }
  Parameters& add(std::int64_t number);
  Parameters& add(const std::vector<std::int64_t>& numbers);
  Parameters& add(const std::vector<std::string>& texts);
  Parameters& add(Column&& column);

  const std::vector<Value>& values() const { return values_; }

 private:
  std::vector<Value> values_;
};

}  // namespace ferry::metastore::postgres

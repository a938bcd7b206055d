// Lines of JSON that are flat rows: read into columns and written from them, quickly where they are
// plain.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/result.h"

namespace ferry {

/// How deep a row's columns may be nested: whoever handles a value goes as deep as it does.
inline constexpr int kMaxDepth = 32;

/// What a row has in one column. JSON's null counts as absent.
struct Cell {
  enum class Kind : std::uint8_t { kAbsent, kString, kInteger, kOther };
  Kind kind = Kind::kAbsent;
  bool too_large = false;   // kInteger: fits only AS_UNSIGNED
  std::int64_t number = 0;  // kInteger
  std::string_view text;    // kString: part of the line, or of UNESCAPED
  std::string unescaped;

  std::uint64_t as_unsigned() const { return static_cast<std::uint64_t>(number); }
};

/// Fills CELLS, one for each of NAMES, from LINE, which must outlive them. Returns whether the row
/// has other columns too.
Result<bool> split_row(std::string_view line, std::span<const std::string_view> names,
                       std::span<Cell> cells);

/// The columns of LINE that are not among NAMES, as a JSON object. LINE has passed split_row.
std::string other_columns(std::string_view line, std::span<const std::string_view> names);

/// Builds a line, column by column.
class RowWriter {
 public:
  explicit RowWriter(std::string& line) : line_(line) { columns_.reserve(16); }

  // Names must outlive the writer.
  void text(std::string_view name, std::string_view value);
  void optional_text(std::string_view name, std::string_view value);  // nothing if empty
  void json(std::string_view name, std::string_view value);
  template <typename Integer>
  void integer(std::string_view name, Integer value) {
    json(name, fmt::format_int(value).c_str());
  }
  /// Adds the members of OBJECT (a JSON object, or empty) that the line does not have yet.
  void others(std::string_view object);
  void finish();

 private:
  void start_column(std::string_view name);

  std::string& line_;
  std::vector<std::string_view> columns_;
};

/// TEXT as a JSON string. What is not UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

}  // namespace ferry

#include "metastore/postgres/parameters.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "ferry/base/text.h"

namespace ferry::metastore::postgres {
namespace {

/// An element's type, and that of an array of it: src/include/catalog/pg_type.dat of PostgreSQL.
/// They never change.
struct Type {
  std::uint32_t element;
  std::uint32_t array;
};
constexpr Type kTextType{25, 1009};
constexpr Type kNumberType{20, 1016};
constexpr Type kTimeType{1184, 1185};
constexpr Type kFlagType{16, 1000};

template <typename Integer>
void append_big_endian(std::string& out, Integer value) {
  if constexpr (std::endian::native == std::endian::little) value = std::byteswap(value);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// As PostgreSQL takes it.
void append_clean(std::string& out, std::string_view text) {
  bool is_plain = true;  // ASCII without NUL: found out without a branch for each byte
  for (const char byte : text) is_plain &= static_cast<signed char>(byte) > 0;
  if (is_plain) {
    out += text;
    return;
  }
  while (!text.empty()) {
    const std::size_t length = utf8_sequence(text);
    if (length == 0) {
      out += "\uFFFD";
    } else if (text[0] != '\0') {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
}

}  // namespace

void Column::add_length(std::size_t bytes) {
  ++count_;
  append_big_endian(elements_, static_cast<std::uint32_t>(bytes));
}

void Column::add(std::string_view text) {
  kind_ = Kind::kText;
  const std::size_t place = elements_.size();
  add_length(0);
  append_clean(elements_, text);
  std::string length;
  append_big_endian(length, static_cast<std::uint32_t>(elements_.size() - place - 4));
  elements_.replace(place, 4, length);
}

void Column::add(std::int64_t number) {
  kind_ = Kind::kNumber;
  add_length(sizeof number);
  append_big_endian(elements_, number);
}

void Column::add_unsigned(std::uint64_t number) {
  add(std::string_view(fmt::format_int(number).c_str()));
}

void Column::add(Timestamp time) {
  kind_ = Kind::kTime;
  const std::int64_t us = (time.time_since_epoch().count() - kEpochMs) * 1'000;
  add_length(sizeof us);
  append_big_endian(elements_, us);
}

void Column::add_null() {
  has_null_ = true;
  ++count_;
  append_big_endian(elements_, std::uint32_t{0xFFFF'FFFF});
}

void Column::add_or_null(std::string_view text) {
  if (text.empty()) return add_null();
  add(text);
}

void Column::add_flag(bool flag) {
  kind_ = Kind::kFlag;
  add_length(1);
  elements_ += flag ? '\1' : '\0';
}

/// array_recv of PostgreSQL: dimensions, whether there are nulls, type; of each dimension the
/// length and the first index; elements with their lengths.
Value Column::take() {
  const Column column = std::exchange(*this, {});
  const Type type = column.kind_ == Kind::kNumber ? kNumberType
                    : column.kind_ == Kind::kTime ? kTimeType
                    : column.kind_ == Kind::kFlag ? kFlagType
                                                  : kTextType;
  Value array{.bytes = {}, .type = type.array};
  array.bytes.reserve(20 + column.elements_.size());
  append_big_endian(array.bytes, std::uint32_t{column.count_ == 0 ? 0U : 1U});
  append_big_endian(array.bytes, std::uint32_t{column.has_null_ ? 1U : 0U});
  append_big_endian(array.bytes, type.element);
  if (column.count_ == 0) return array;
  append_big_endian(array.bytes, column.count_);
  append_big_endian(array.bytes, std::uint32_t{1});
  array.bytes += column.elements_;
  return array;
}

Parameters& Parameters::add(std::string_view text) {
  append_clean(values_.emplace_back().bytes, text);
  return *this;
}

Parameters& Parameters::add(std::int64_t number) {
  values_.push_back({.bytes = std::to_string(number), .type = 0});
  return *this;
}

Parameters& Parameters::add(const std::vector<std::int64_t>& numbers) {
  Column column;
  for (const std::int64_t number : numbers) column.add(number);
  return add(std::move(column));
}

Parameters& Parameters::add(const std::vector<std::string>& texts) {
  Column column;
  for (const std::string& text : texts) column.add(std::string_view(text));
  return add(std::move(column));
}

Parameters& Parameters::add(Column&& column) {
  values_.push_back(column.take());
  return *this;
}

}  // namespace ferry::metastore::postgres

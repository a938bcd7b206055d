#include "metastore/jsonl/index/stored_id.h"

#include <cstddef>

namespace ferry::metastore {
namespace {

constexpr std::size_t kUuidText = 36;
constexpr std::size_t kUuidBytes = 16;

constexpr bool is_dash(std::size_t position) {
  return position == 8 || position == 13 || position == 18 || position == 23;
}

/// Only lower case: the text must come back as it was.
int digit_of(char character) {
  if (character >= '0' && character <= '9') return character - '0';
  if (character >= 'a' && character <= 'f') return character - 'a' + 10;
  return -1;
}

}  // namespace

StoredId::StoredId(std::string_view id) : text_(id) {
  if (id.size() != kUuidText) return;
  std::size_t digits = 0;
  for (std::size_t i = 0; i < kUuidText; ++i) {
    if (is_dash(i)) {
      if (id[i] != '-') return;
      continue;
    }
    const int digit = digit_of(id[i]);
    if (digit < 0) return;
    char& byte = uuid_[digits / 2];
    byte = static_cast<char>(digits % 2 == 0 ? digit << 4 : byte | digit);
    ++digits;
  }
  is_uuid_ = true;
}

std::variant<Blob, std::string_view> StoredId::value() const {
  if (is_uuid_) return Blob{{uuid_, kUuidBytes}};
  return text_;
}

std::string id_from(const Rows& row, int column) {
  const std::string_view bytes = row.text(column);
  if (!row.is_blob(column) || bytes.size() != kUuidBytes) return std::string(bytes);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id;
  id.reserve(kUuidText);
  for (const char byte : bytes) {
    if (is_dash(id.size())) id += '-';
    id += kDigits[static_cast<unsigned char>(byte) >> 4];
    id += kDigits[static_cast<unsigned char>(byte) & 0xF];
  }
  return id;
}

}  // namespace ferry::metastore

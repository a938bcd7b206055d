#include "transfer/naming/remote_path.h"

#include <fmt/format.h>

#include <algorithm>

#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/path.h"

namespace ferry::transfer {
namespace {

constexpr std::size_t kTokenDigits = 16;
constexpr std::size_t kMaxNameBytes = 255;   // NAME_MAX of the usual file systems
constexpr std::size_t kMaxPathBytes = 4095;  // PATH_MAX, without the NUL
/// Every file system in use takes names of so many bytes.
constexpr std::size_t kShortNameBytes = 100;
/// Servers that write to a name of their own first put some bytes before and behind it: SFTPGo 36.
constexpr std::size_t kLongestPartNameBytes = kMaxNameBytes - 55;

bool continues_utf8_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

/// ".<name>.<token>.<word>" beside FINAL_PATH.
std::string hidden_beside(std::string_view final_path, std::string_view token,
                          std::string_view word) {
  std::string_view name = base_name(final_path);
  const std::string suffix = fmt::format(".{}.{}", token, word);
  const std::size_t most = std::clamp(name.size(), kShortNameBytes, kLongestPartNameBytes);
  if (1 + name.size() + suffix.size() > most) {
    std::size_t size = most - std::min(most, 1 + suffix.size());
    while (size > 0 && size < name.size() && continues_utf8_character(name[size])) --size;
    name = name.substr(0, size);
  }
  return beside(final_path, fmt::format(".{}{}", name, suffix));
}

}  // namespace

std::string_view below(std::string_view directory, std::string_view path) {
  if (!directory.empty() && path.starts_with(directory)) path.remove_prefix(directory.size());
  if (!directory.empty() && path.starts_with('/')) path.remove_prefix(1);
  return path;
}

std::string part_token(std::string_view batch_id, std::string_view id, unsigned n) {
  return sha256_of(fmt::format("{}\n{}\n{}", batch_id, id, n)).to_hex().substr(0, kTokenDigits);
}

std::string part_path(std::string_view final_path, std::string_view token) {
  return hidden_beside(final_path, token, "part");
}

std::string aside_path(std::string_view final_path, std::string_view token) {
  return hidden_beside(final_path, token, "old");
}

std::optional<std::string_view> name_of_part(std::string_view name) {
  constexpr std::string_view kSuffix = ".part";
  if (!name.starts_with('.') || !name.ends_with(kSuffix)) return std::nullopt;
  const std::string_view whole = name.substr(1, name.size() - 1 - kSuffix.size());
  const auto dot = whole.rfind('.');
  if (dot == whole.npos || dot == 0) return std::nullopt;
  const std::string_view token = whole.substr(dot + 1);
  const bool is_hex = token.find_first_not_of("0123456789abcdef") == token.npos;
  return token.size() == kTokenDigits && is_hex ? std::optional(whole.substr(0, dot))
                                                : std::nullopt;
}

bool is_too_long(std::string_view path) {
  if (path.size() > kMaxPathBytes) return true;
  for (Components names(path); const auto name = names.next();) {
    if (name->size() > kMaxNameBytes) return true;
  }
  return false;
}

}  // namespace ferry::transfer

#include "landing/ignore.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace ferry::landing {
namespace {

constexpr std::array<std::string_view, 3> kUnfinishedSuffixes{".tmp", ".part", ".filepart"};

bool has_hidden_component(std::string_view path) {
  return is_hidden(path) || path.find("/.") != std::string_view::npos;
}

bool is_control(unsigned char byte) {
  return byte < 0x20 || byte == 0x7F;
}

bool is_continuation(unsigned char byte) {
  return (byte & 0xC0) == 0x80;
}

struct Lead {
  std::size_t length;   // of the whole sequence; 0: no lead byte
  std::uint32_t bits;   // those that the lead byte carries
  std::uint32_t least;  // smaller code points are overlong
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1, byte, 0};
  if ((byte & 0xE0) == 0xC0) return {2, byte & 0x1FU, 0x80};
  if ((byte & 0xF0) == 0xE0) return {3, byte & 0x0FU, 0x800};
  if ((byte & 0xF8) == 0xF0) return {4, byte & 0x07U, 0x10000};
  return {0, 0, 0};
}

/// The length of the well-formed UTF-8 sequence (RFC 3629) that TEXT starts with; 0: it has none.
std::size_t utf8_sequence(std::string_view text) {
  const Lead lead = lead_of(static_cast<unsigned char>(text[0]));
  if (lead.length == 0 || lead.length > text.size()) return 0;
  std::uint32_t point = lead.bits;
  for (std::size_t i = 1; i < lead.length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (!is_continuation(byte)) return 0;
    point = (point << 6) | (byte & 0x3FU);
  }
  const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  return point < lead.least || point > 0x10FFFF || surrogate ? 0 : lead.length;
}

}  // namespace

bool is_hidden(std::string_view name) {
  return name.starts_with('.');
}

bool IgnoreRules::ignores_file(const std::string& path) const {
  if (has_hidden_component(path)) return true;
  const auto slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (std::ranges::any_of(kUnfinishedSuffixes, [&](auto end) { return name.ends_with(end); })) {
    return true;
  }
  return std::ranges::any_of(globs_, [&](const Glob& glob) { return glob.matches(path); });
}

std::optional<std::string_view> name_problem(std::string_view name) {
  while (!name.empty()) {
    if (is_control(static_cast<unsigned char>(name[0]))) return "control characters in its name";
    const std::size_t length = utf8_sequence(name);
    if (length == 0) return "its name is not valid UTF-8";
    name.remove_prefix(length);
  }
  return std::nullopt;
}

std::string printable(std::string_view name) {
  std::string text;
  while (!name.empty()) {
    const std::size_t length = utf8_sequence(name);
    const auto byte = static_cast<unsigned char>(name[0]);
    if (length == 0 || is_control(byte)) {
      text += fmt::format("\\x{:02x}", byte);
      name.remove_prefix(1);
    } else {
      text += name.substr(0, length);
      name.remove_prefix(length);
    }
  }
  return text;
}

}  // namespace ferry::landing

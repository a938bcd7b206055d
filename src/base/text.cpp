#include "ferry/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace ferry {
namespace {

bool is_continuation(unsigned char byte) {
  return (byte & 0xC0) == 0x80;
}

struct Lead {
  std::size_t length;  // of the whole sequence; 0: not a lead byte
  char32_t bits;       // those that the lead byte carries
  char32_t least;      // smaller code points are overlong
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1, byte, 0};
  if ((byte & 0xE0) == 0xC0) return {2, byte & 0x1FU, 0x80};
  if ((byte & 0xF0) == 0xE0) return {3, byte & 0x0FU, 0x800};
  if ((byte & 0xF8) == 0xF0) return {4, byte & 0x07U, 0x10000};
  return {0, 0, 0};
}

struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;  // 0: what is there is not UTF-8
};

CodePoint first_code_point(std::string_view text) {
  const Lead lead = lead_of(static_cast<unsigned char>(text[0]));
  if (lead.length == 0 || lead.length > text.size()) return {};
  char32_t point = lead.bits;
  for (std::size_t i = 1; i < lead.length; ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (!is_continuation(byte)) return {};
    point = (point << 6) | (byte & 0x3FU);
  }
  const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  if (point < lead.least || point > 0x10FFFF || surrogate) return {};
  return {point, lead.length};
}

/// Most text is, and needs no second look.
bool is_plain_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char letter) { return letter >= 0x20 && letter < 0x7F; });
}

bool is_between(char32_t point, char32_t first, char32_t last) {
  return point >= first && point <= last;
}

}  // namespace

std::size_t utf8_sequence(std::string_view text) {
  return first_code_point(text).length;
}

bool is_control(char32_t point) {
  return point < 0x20 || is_between(point, 0x7F, 0x9F) ||         // C0, DEL, C1
         point == 0x061C || is_between(point, 0x200E, 0x200F) ||  // marks of direction
         is_between(point, 0x2028, 0x202E) ||  // separators, embeddings, overrides
         is_between(point, 0x2066, 0x2069);    // isolates
}

std::string escape_controls(std::string_view text) {
  if (is_plain_ascii(text)) return std::string(text);
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = first_code_point(text);
    const std::size_t length = std::max<std::size_t>(point.length, 1);
    if (point.length == 0) {
      safe += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[0]));
    } else if (is_control(point.value)) {
      const auto value = static_cast<std::uint32_t>(point.value);
      safe += value < 0x100 ? fmt::format("\\x{:02x}", value) : fmt::format("\\u{:04x}", value);
    } else {
      safe += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return safe;
}

std::string escape_controls_in_json(std::string text) {
  if (is_plain_ascii(text)) return text;
  std::string safe;
  safe.reserve(text.size());
  for (std::string_view rest = text; !rest.empty();) {
    const CodePoint point = first_code_point(rest);
    const std::size_t length = std::max<std::size_t>(point.length, 1);
    // Line ends and tabs can only stand between JSON's words; the library escaped all others of C0.
    if (point.value >= 0x20 && is_control(point.value)) {
      safe += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(point.value));
    } else {
      safe += rest.substr(0, length);
    }
    rest.remove_prefix(length);
  }
  return safe;
}

std::string excerpt(std::string_view text) {
  constexpr std::size_t kLongest = 300;
  if (text.size() <= kLongest) return escape_controls(text);
  std::size_t end = kLongest;
  while (end > kLongest - 3 && is_continuation(static_cast<unsigned char>(text[end]))) --end;
  return escape_controls(text.substr(0, end)) + "…";
}

}  // namespace ferry

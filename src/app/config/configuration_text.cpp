#include "app/config/configuration_text.h"

#include <algorithm>

#include "ferry/base/input.h"

namespace ferry::app {
namespace {

constexpr std::size_t kMostBytes = 4 << 20;
constexpr unsigned kMostParts = 16;

/// Behind the string that begins at AT with QUOTE, or at the end of TEXT.
std::size_t end_of_string(std::string_view text, std::size_t at, char quote) {
  const std::string thrice(3, quote);
  const bool is_long = text.substr(at).starts_with(thrice);
  const std::string_view end = is_long ? std::string_view(thrice) : text.substr(at, 1);
  for (at += end.size(); at < text.size(); ++at) {
    if (quote == '"' && text[at] == '\\') {
      ++at;
    } else if (text.substr(at).starts_with(end)) {
      return at + end.size();
    } else if (!is_long && text[at] == '\n') {
      return at;
    }
  }
  return text.size();
}

TextPosition position_in(std::string_view text, std::size_t at) {
  TextPosition position;
  for (const char letter : text.substr(0, at)) {
    position.column = letter == '\n' ? 1 : position.column + 1;
    if (letter == '\n') ++position.line;
  }
  return position;
}

}  // namespace

Result<std::string> read_configuration_text(const fs::path& file, const StopToken& stop) {
  auto text = read_input(file, kMostBytes, stop);
  if (text) return text;
  Error error = text.error().with_context("configuration");
  if (error.kind != ErrorKind::kCancelled) error.kind = ErrorKind::kInvalid;
  return error;
}

std::optional<TextPosition> find_deep_key(std::string_view text) {
  unsigned parts = 1;
  for (std::size_t at = 0; at < text.size();) {
    const char letter = text[at];
    if (letter == '"' || letter == '\'') {
      at = end_of_string(text, at, letter);
      continue;
    }
    if (letter == '#') {
      at = std::min(text.find('\n', at), text.size());
      continue;
    }
    if (letter == '.' && ++parts > kMostParts) return position_in(text, at);
    const bool ends_key = std::string_view("\n=,[]{}").contains(letter);
    if (ends_key) parts = 1;
    ++at;
  }
  return std::nullopt;
}

}  // namespace ferry::app

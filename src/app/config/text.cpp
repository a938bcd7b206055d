#include "app/config/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "ferry/base/text.h"
#include "ferry/sftp/remote_command.h"

namespace ferry::app {

bool has_open_bracket(std::string_view pattern) {
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] == '\\') {
      ++at;
      continue;
    }
    if (pattern[at] != '[') continue;
    std::size_t first = at + 1;  // a ']' there is meant literally
    if (first < pattern.size() && (pattern[first] == '!' || pattern[first] == '^')) ++first;
    const auto end = pattern.find(']', first + 1);
    if (end == pattern.npos) return true;
    at = end;
  }
  return false;
}

namespace {

/// Levenshtein's: insertions, deletions and substitutions.
std::size_t edit_distance(std::string_view one, std::string_view other) {
  std::vector<std::size_t> row(other.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= one.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= other.size(); ++j) {
      const std::size_t substituted = diagonal + (one[i - 1] == other[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::optional<std::string_view> closest(std::string_view word,
                                        std::span<const std::string_view> known) {
  std::optional<std::string_view> best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string_view candidate : known) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string suggestion(std::string_view word, std::span<const std::string_view> known,
                       std::string_view prefix) {
  const auto near = closest(word, known);
  return near ? fmt::format("; did you mean '{}{}'?", prefix, *near) : "";
}

Result<void> check_name(std::string_view name) {
  if (name.empty()) return make_error(ErrorKind::kInvalid, "the name is empty");
  if (escape_controls(name) != name) {
    return make_error(ErrorKind::kInvalid, "a name has no control characters in it");
  }
  if (name.find_first_of("/*") != name.npos) {
    return make_error(ErrorKind::kInvalid, "a name has neither '/' nor '*' in it");
  }
  return {};
}

std::string quoted_for_shell(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@+,%=~";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return word;
  return sftp::shell_quoted(std::span(&word, 1));
}

}  // namespace ferry::app

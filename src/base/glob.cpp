#include "ferry/base/glob.h"

#include <fnmatch.h>

#include <bitset>
#include <string_view>
#include <vector>

namespace ferry {
namespace {

constexpr std::string_view kSpecial = "*?[\\";

using ByteSet = std::bitset<256>;

/// One element of a pattern: a byte out of a set, or any number of any bytes.
struct Element {
  bool is_star = false;
  ByteSet bytes;
};

const ByteSet kAnyByte = ByteSet().set();

ByteSet only(char letter) {
  return ByteSet().set(static_cast<unsigned char>(letter));
}

/// What the bracket expression at BEGIN stands for; BEGIN moves behind it. Classes such as
/// [:alpha:] count as any byte.
ByteSet bracket(std::string_view pattern, std::size_t& begin) {
  std::size_t at = begin + 1;
  const bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
  if (negated) ++at;
  ByteSet bytes;
  for (bool first = true; at < pattern.size(); first = false, ++at) {
    if (pattern[at] == ']' && !first) {
      begin = at + 1;
      return negated ? ~bytes : bytes;
    }
    if (pattern[at] == '[' && at + 1 < pattern.size() && pattern[at + 1] == ':') {
      const auto end = pattern.find(":]", at + 2);
      if (end == pattern.npos) break;
      bytes = kAnyByte;
      at = end + 1;
      continue;
    }
    if (pattern[at] == '\\' && at + 1 < pattern.size()) ++at;
    const auto low = static_cast<unsigned char>(pattern[at]);
    auto high = low;
    if (at + 2 < pattern.size() && pattern[at + 1] == '-' && pattern[at + 2] != ']') {
      at += 2;
      high = static_cast<unsigned char>(pattern[at]);
    }
    for (unsigned byte = low; byte <= high; ++byte) bytes.set(byte);
  }
  ++begin;  // no end: a plain '['
  return only('[');
}

std::vector<Element> elements_of(std::string_view pattern) {
  std::vector<Element> elements;
  for (std::size_t at = 0; at < pattern.size();) {
    if (pattern[at] == '[') {
      elements.push_back({false, bracket(pattern, at)});
      continue;
    }
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      elements.push_back({false, only(pattern[++at])});
    } else if (pattern[at] == '*') {
      elements.push_back({true, {}});
    } else {
      elements.push_back({false, pattern[at] == '?' ? kAnyByte : only(pattern[at])});
    }
    ++at;
  }
  return elements;
}

/// Walks both patterns at once, over all pairs of positions that one text can lead to.
bool intersect(const std::vector<Element>& one, const std::vector<Element>& other) {
  const std::size_t width = other.size() + 1;
  std::vector<bool> reachable((one.size() + 1) * width);
  reachable[0] = true;
  for (std::size_t i = 0; i <= one.size(); ++i) {
    for (std::size_t j = 0; j <= other.size(); ++j) {
      if (!reachable[i * width + j]) continue;
      const bool one_star = i < one.size() && one[i].is_star;
      const bool other_star = j < other.size() && other[j].is_star;
      if (one_star) reachable[(i + 1) * width + j] = true;
      if (other_star) reachable[i * width + j + 1] = true;
      if (i == one.size() || j == other.size()) continue;
      if (one_star && !other_star) reachable[i * width + j + 1] = true;
      if (other_star && !one_star) reachable[(i + 1) * width + j] = true;
      if (!one_star && !other_star && (one[i].bytes & other[j].bytes).any()) {
        reachable[(i + 1) * width + j + 1] = true;
      }
    }
  }
  return reachable.back();
}

/// Patterns that between them match whole paths only.
std::vector<std::string> path_patterns(const std::string& pattern) {
  if (pattern.find('/') != std::string::npos) return {pattern};
  return {pattern, "*/" + pattern};
}

}  // namespace

Glob::Glob(std::string pattern) : pattern_(std::move(pattern)), kind_(Kind::kGeneral) {
  if (!pattern_.empty() && pattern_.find_first_not_of('*') == pattern_.npos) {
    kind_ = Kind::kEverything;
  } else if (pattern_.starts_with('*') && pattern_.find_first_of(kSpecial, 1) == pattern_.npos) {
    kind_ = Kind::kEnd;
  }
}

std::string Glob::escaped(std::string_view text) {
  std::string pattern;
  for (const char letter : text) {
    if (kSpecial.contains(letter)) pattern += '\\';
    pattern += letter;
  }
  return pattern;
}

bool Glob::matches(const std::string& path) const {
  if (kind_ == Kind::kEverything) return true;
  if (kind_ == Kind::kEnd) return path.ends_with(std::string_view(pattern_).substr(1));
  if (::fnmatch(pattern_.c_str(), path.c_str(), 0) == 0) return true;
  const auto slash = path.rfind('/');
  return slash != std::string::npos &&
         ::fnmatch(pattern_.c_str(), path.c_str() + slash + 1, 0) == 0;
}

bool Glob::is_literal() const {
  return pattern_.find('/') != std::string::npos &&
         pattern_.find_first_of(kSpecial) == std::string::npos;
}

bool overlap(const Glob& one, const Glob& other) {
  for (const std::string& first : path_patterns(one.pattern())) {
    for (const std::string& second : path_patterns(other.pattern())) {
      if (intersect(elements_of(first), elements_of(second))) return true;
    }
  }
  return false;
}

}  // namespace ferry

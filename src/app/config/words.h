// Options that take several words: given again, or with commas.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "app/commands/command.h"

namespace ferry::app {

inline std::vector<std::string> words_of(const Arguments& arguments, std::string_view flag) {
  std::vector<std::string> words;
  const auto found = arguments.flags.find(flag);
  if (found == arguments.flags.end()) return words;
  for (const std::string& value : found->second) {
    for (std::size_t start = 0; start <= value.size();) {
      const std::size_t end = std::min(value.find(',', start), value.size());
      words.push_back(value.substr(start, end - start));
      start = end + 1;
    }
  }
  return words;
}

}  // namespace ferry::app

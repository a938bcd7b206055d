#include "transfer/batch/control_name.h"

#include <algorithm>
#include <cctype>

#include "ferry/base/glob.h"
#include "ferry/transfer/control_file.h"

namespace ferry::transfer {
namespace {

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char letter) {
    return static_cast<char>(std::tolower(letter));
  });
  return result;
}

}  // namespace

bool is_name_of_control_files(const Destination& destination, std::string_view name) {
  if (destination.control == ControlFormat::kNone) return false;
  const std::string pattern = destination.control_name
                                  ? destination.control_name->pattern_for(destination.name)
                                  : control_file_name("*", destination.control);
  const std::string lower = lower_case(name);
  return Glob(lower_case(pattern)).matches(lower) ||
         (!destination.control_sign.empty() &&
          Glob(lower_case(pattern) + std::string(kSignatureSuffix)).matches(lower));
}

bool has_name_of_sidecars(const Destination& destination, std::string_view path) {
  const std::string_view suffix = suffix_of(destination.sidecar);
  if (suffix.empty()) return false;
  const std::string lower = lower_case(path) + "/";
  return lower.contains(std::string(suffix) + "/");
}

}  // namespace ferry::transfer

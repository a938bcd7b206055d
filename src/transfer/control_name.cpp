#include "transfer/control_name.h"

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
  const std::string pattern = destination.control_name
                                  ? destination.control_name->pattern_for(destination.name)
                                  : "*" + std::string(kControlFileSuffix);
  return Glob(lower_case(pattern)).matches(lower_case(name));
}

}  // namespace ferry::transfer

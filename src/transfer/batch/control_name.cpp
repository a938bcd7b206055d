#include "transfer/batch/control_name.h"

#include <algorithm>
#include <cctype>

#include "ferry/base/glob.h"
#include "ferry/transfer/control_file.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {
namespace {

std::string lower_case(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char letter) {
    return static_cast<char>(std::tolower(letter));
  });
  return result;
}

/// Also if it is a directory of PATH that is called like one.
bool has_name_of_sidecars(const Destination& destination, std::string_view path) {
  const std::string_view suffix = suffix_of(destination.sidecar);
  if (suffix.empty()) return false;
  const std::string lower = lower_case(path) + "/";
  return lower.contains(std::string(suffix) + "/");
}

}  // namespace

bool is_name_of_control_files(const Destination& destination, std::string_view name) {
  if (destination.control == ControlFormat::kNone) return false;
  const std::string pattern =
      lower_case(destination.control_name ? destination.control_name->pattern_for(destination.name)
                                          : control_file_name("*", destination.control));
  const std::string whole = lower_case(name_of_part(name).value_or(name));
  return Glob(pattern).matches(whole) ||
         Glob(pattern + std::string(kSignatureSuffix)).matches(whole);
}

Result<void> check_remote_name(const Destination& destination, std::string_view directory,
                               std::string_view control_directory, std::string_view path) {
  if (is_too_long(std::string(path).append(suffix_of(destination.sidecar)))) {
    return make_error(ErrorKind::kAbnormal, "its remote name, {}, is too long", path);
  }
  if (name_of_part(base_name(path))) {
    return make_error(ErrorKind::kAbnormal,
                      "its remote name, {}, is one of part files, and would be taken for one: give "
                      "it another with a route's 'rename'",
                      path);
  }
  if (parent_of(path) == control_directory &&
      is_name_of_control_files(destination, base_name(path))) {
    return make_error(ErrorKind::kAbnormal,
                      "its remote name, {}, is one of control files, and would be taken for one: "
                      "give it another with a route's 'rename'",
                      path);
  }
  if (has_name_of_sidecars(destination, below(directory, path))) {
    return make_error(ErrorKind::kAbnormal,
                      "its remote name, {}, is one of sidecars, and would be taken for one: give "
                      "it another with a route's 'rename'",
                      path);
  }
  return {};
}

}  // namespace ferry::transfer

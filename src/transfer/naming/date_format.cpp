#include "transfer/naming/date_format.h"

#include <algorithm>
#include <array>
#include <ctime>

#include "ferry/base/glob.h"

namespace ferry::transfer {
namespace {

constexpr std::string_view kConversions = "aAbBcCdDeFgGhHIjklmMpPrRsSTuUVwWxXyYzZ%";
constexpr std::string_view kWhiteSpace = "nt";
constexpr std::string_view kFlags = "_-0^#+";
constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kModifiers = "EO";

struct Conversion {
  char letter = '\0';     // '\0': the format ends within it
  bool is_plain = false;  // without flags, width and modifier
};

/// FORMAT begins behind a '%'; what belongs to the conversion is taken off it.
Conversion take_conversion(std::string_view& format) {
  Conversion conversion;
  const std::size_t size = format.size();
  const auto skip = [&](std::string_view set) {
    format.remove_prefix(std::min(format.find_first_not_of(set), format.size()));
  };
  skip(kFlags);
  skip(kDigits);
  skip(kModifiers);
  conversion.is_plain = format.size() == size;
  if (format.empty()) return conversion;
  conversion.letter = format.front();
  format.remove_prefix(1);
  return conversion;
}

std::string digits(std::size_t count) {
  std::string pattern;
  for (std::size_t i = 0; i < count; ++i) pattern += "[0-9]";
  return pattern;
}

std::string pattern_of(const Conversion& conversion) {
  constexpr std::string_view kTwoDigits = "CdgHImMSUVWy";
  if (!conversion.is_plain) return "*";
  if (kTwoDigits.contains(conversion.letter)) return digits(2);
  switch (conversion.letter) {
    case 'Y':
    case 'G':
      return digits(4);
    case 'j':
      return digits(3);
    case 'u':
    case 'w':
      return digits(1);
    case 'F':
      return digits(4) + "-" + digits(2) + "-" + digits(2);
    case 'R':
      return digits(2) + ":" + digits(2);
    case 'T':
      return digits(2) + ":" + digits(2) + ":" + digits(2);
    case '%':
      return "%";
    default:
      return "*";
  }
}

}  // namespace

Result<void> check_date_format(std::string_view format) {
  if (format.empty()) return make_error(ErrorKind::kInvalid, "the format of the date is empty");
  for (auto percent = format.find('%'); percent != format.npos; percent = format.find('%')) {
    format.remove_prefix(percent + 1);
    const std::string_view rest = format;
    const Conversion conversion = take_conversion(format);
    const std::string_view word = rest.substr(0, rest.size() - format.size());
    if (conversion.letter != '\0' && kConversions.contains(conversion.letter)) continue;
    const bool is_white = conversion.letter != '\0' && kWhiteSpace.contains(conversion.letter);
    return make_error(ErrorKind::kInvalid, "%{} {}", word,
                      is_white ? "makes a control character, which no name can have"
                               : "is not a conversion of strftime(3)");
  }
  return {};
}

std::string format_date(const std::string& format, Timestamp date) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(date));
  std::tm fields{};
  ::localtime_r(&seconds, &fields);
  std::array<char, 256> buffer;
  return {buffer.data(), std::strftime(buffer.data(), buffer.size(), format.c_str(), &fields)};
}

std::string date_pattern(std::string_view format) {
  std::string pattern;
  while (!format.empty()) {
    const char letter = format.front();
    format.remove_prefix(1);
    pattern += letter == '%' ? pattern_of(take_conversion(format))
                             : Glob::escaped(std::string_view(&letter, 1));
  }
  return pattern;
}

}  // namespace ferry::transfer

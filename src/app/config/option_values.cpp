#include "app/config/option_values.h"

#include <charconv>
#include <cstdlib>

#include "app/config/local_time.h"
#include "app/config/placement.h"
#include "app/config/text.h"
#include "ferry/base/units.h"

namespace ferry::app {
namespace {

using std::chrono::milliseconds;

Error wrong_type(std::string_view expected) {
  return make_error(ErrorKind::kInvalid, "expected {}", expected);
}

Result<std::string> text_of(const Value& value, std::string_view expected = "a string") {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* list = std::get_if<std::vector<std::string>>(&value); list && list->size() == 1) {
    return list->front();
  }
  return wrong_type(expected);
}

Result<std::int64_t> number_of(const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return *number;
  const auto text = text_of(value, "a whole number");
  if (!text) return text.error();
  std::int64_t number = 0;
  const char* end = text->data() + text->size();
  const auto [rest, error] = std::from_chars(text->data(), end, number);
  if (error != std::errc{} || rest != end) {
    return make_error(ErrorKind::kInvalid, "'{}' is not a whole number", *text);
  }
  return number;
}

/// False unless all of TEXT is digits.
bool read_digits(std::string_view text, unsigned& number) {
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  return error == std::errc{} && rest == end;
}

/// "~/x" and relative paths made absolute, without a slash at the end.
fs::path absolute_path(std::string text, const fs::path& base) {
  if (text == "~" || text.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    if (home != nullptr) text.replace(0, 1, home);
  }
  fs::path path(text);
  if (path.is_relative()) path = base / path;
  // What ".." means depends on the links before it.
  const bool goes_up = std::ranges::find(path, fs::path("..")) != path.end();
  path = goes_up ? resolved(path) : path.lexically_normal();
  if (path.has_relative_path() && path.filename_is_dot()) path = path.parent_path();
  return path;
}

}  // namespace

Result<std::string> read_word(const Value& value, std::span<const std::string_view> words) {
  auto text = text_of(value);
  if (!text || std::ranges::find(words, *text) != words.end()) return text;
  return make_error(ErrorKind::kInvalid, "'{}' is not one of: {}", *text, fmt::join(words, ", "));
}

Result<bool> Codec<bool>::read(const Value& value, const fs::path&) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  return wrong_type("true or false");
}

Result<std::uint64_t> Codec<std::uint64_t>::read(const Value& value, const fs::path&) {
  const auto number = number_of(value);
  if (!number) return number.error();
  if (*number < 0) return make_error(ErrorKind::kInvalid, "{} is negative", *number);
  return static_cast<std::uint64_t>(*number);
}

Result<ThreadCount> Codec<ThreadCount>::read(const Value& value, const fs::path& base) {
  constexpr std::uint64_t kMost = 256;
  const auto number = Codec<std::uint64_t>::read(value, base);
  if (!number) return number.error();
  if (*number > kMost) {
    return make_error(ErrorKind::kInvalid, "{} is more than {}", *number, kMost);
  }
  return ThreadCount{*number};
}

Result<Count> Codec<Count>::read(const Value& value, const fs::path&) {
  const auto number = number_of(value);
  if (!number) return number.error();
  if (*number < 1) return make_error(ErrorKind::kInvalid, "{} is less than 1", *number);
  return Count{*number};
}

Result<Bytes> Codec<Bytes>::read(const Value& value, const fs::path&) {
  if (const auto* number = std::get_if<std::int64_t>(&value); number && *number > 0) {
    return Bytes{static_cast<std::uint64_t>(*number)};
  }
  const auto text = text_of(value, "a size such as \"4MiB\"");
  if (!text) return text.error();
  const auto size = parse_size(*text);
  if (!size) return size.error();
  if (*size == 0) return make_error(ErrorKind::kInvalid, "must be more than 0");
  return Bytes{*size};
}

Value Codec<Bytes>::write(Bytes value) {
  return format_size(value.value);
}

Result<milliseconds> Codec<milliseconds>::read(const Value& value, const fs::path&) {
  const auto text = text_of(value, "a duration such as \"2s\"");
  if (!text) return text.error();
  return parse_duration(*text);
}

Value Codec<milliseconds>::write(milliseconds value) {
  return format_duration(value);
}

Result<std::string> Codec<std::string>::read(const Value& value, const fs::path&) {
  return text_of(value);
}

Result<fs::path> Codec<fs::path>::read(const Value& value, const fs::path& base) {
  const auto text = text_of(value, "a path");
  if (!text) return text.error();
  if (text->empty()) return make_error(ErrorKind::kInvalid, "the path is empty");
  return absolute_path(*text, base);
}

Result<MetastoreLocation> Codec<MetastoreLocation>::read(const Value& value, const fs::path& base) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    if (const auto fit = metastore::check_location(*text); !fit) return fit.error();
    if (text->contains("://")) return MetastoreLocation{*text};
  }
  const auto directory = Codec<fs::path>::read(value, base);
  if (!directory) return directory.error();
  return MetastoreLocation{directory->string()};
}

Result<TimeZone> Codec<TimeZone>::read(const Value& value, const fs::path&) {
  auto name = text_of(value);
  if (!name) return name.error();
  if (const auto checked = check_time_zone(*name); !checked) return checked.error();
  return TimeZone{std::move(*name)};
}

Result<std::vector<std::string>> Codec<std::vector<std::string>>::read(const Value& value,
                                                                       const fs::path&) {
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) return *list;
  if (const auto* text = std::get_if<std::string>(&value)) return std::vector{*text};
  return wrong_type("a string or a list of strings");
}

namespace {

Result<std::vector<std::string>> command_of(const Value& value, const fs::path& base) {
  auto list = Codec<std::vector<std::string>>::read(value, base);
  if (!list) return list;
  if (list->empty()) {
    return make_error(ErrorKind::kInvalid, "it names no program: leave it out if none is to run");
  }
  if (list->front().empty()) {
    return make_error(ErrorKind::kInvalid, "the name of the program is empty");
  }
  return list;
}

}  // namespace

Result<CommandWords> Codec<CommandWords>::read(const Value& value, const fs::path& base) {
  auto list = command_of(value, base);
  if (!list) return list.error();
  if (list->front().contains('/')) list->front() = absolute_path(list->front(), base).string();
  return CommandWords{std::move(*list)};
}

Result<RemoteCommand> Codec<RemoteCommand>::read(const Value& value, const fs::path& base) {
  auto list = command_of(value, base);
  if (!list) return list.error();
  return RemoteCommand{std::move(*list)};
}

Result<ListenAddresses> Codec<ListenAddresses>::read(const Value& value, const fs::path& base) {
  auto list = Codec<std::vector<std::string>>::read(value, base);
  if (!list) return list.error();
  if (list->empty()) return make_error(ErrorKind::kInvalid, "it names no address");
  for (const std::string& text : *list) {
    if (const auto address = http::Address::parse(text); !address) return address.error();
  }
  return ListenAddresses{std::move(*list)};
}

Result<std::vector<fs::path>> Codec<std::vector<fs::path>>::read(const Value& value,
                                                                 const fs::path& base) {
  const auto list = Codec<std::vector<std::string>>::read(value, base);
  if (!list) return list.error();
  std::vector<fs::path> paths;
  for (const std::string& text : *list) paths.push_back(absolute_path(text, base));
  return paths;
}

Value Codec<std::vector<fs::path>>::write(const std::vector<fs::path>& value) {
  std::vector<std::string> texts;
  texts.reserve(value.size());
  for (const fs::path& path : value) texts.push_back(path.string());
  return texts;
}

Result<std::vector<MagicBytes>> Codec<std::vector<MagicBytes>>::read(const Value& value,
                                                                     const fs::path& base) {
  const auto list = Codec<std::vector<std::string>>::read(value, base);
  if (!list) return list.error();
  std::vector<MagicBytes> all;
  for (const std::string& text : *list) {
    auto magic = MagicBytes::parse(text);
    if (!magic) return magic.error();
    all.push_back(std::move(*magic));
  }
  return all;
}

Value Codec<std::vector<MagicBytes>>::write(const std::vector<MagicBytes>& value) {
  std::vector<std::string> texts;
  texts.reserve(value.size());
  for (const MagicBytes& magic : value) texts.push_back(magic.to_string());
  return texts;
}

Result<sftp::Url> Codec<sftp::Url>::read(const Value& value, const fs::path&) {
  const auto text = text_of(value);
  if (!text) return text.error();
  return sftp::Url::parse(*text);
}

Value Codec<sftp::Url>::write(const sftp::Url& value) {
  return value.host.empty() ? std::string() : value.to_string();
}

Result<transfer::BandwidthLimit> Codec<transfer::BandwidthLimit>::read(const Value& value,
                                                                       const fs::path&) {
  const auto text = text_of(value);
  if (!text) return text.error();
  return transfer::BandwidthLimit::parse(*text);
}

Result<FileNames> Codec<FileNames>::read(const Value& value, const fs::path&) {
  const auto text = text_of(value);
  if (!text) return text.error();
  auto pattern = transfer::NameTemplate::for_files(*text);
  if (!pattern) return pattern.error();
  return FileNames{std::move(*pattern)};
}

Value Codec<FileNames>::write(const FileNames& value) {
  return value.pattern ? value.pattern->text() : std::string();
}

Result<ControlFileNames> Codec<ControlFileNames>::read(const Value& value, const fs::path&) {
  const auto text = text_of(value);
  if (!text) return text.error();
  auto pattern = transfer::NameTemplate::for_control_files(*text);
  if (!pattern) return pattern.error();
  return ControlFileNames{std::move(*pattern)};
}

Value Codec<ControlFileNames>::write(const ControlFileNames& value) {
  return value.pattern ? value.pattern->text() : std::string();
}

Result<TimeOfDay> Codec<TimeOfDay>::read(const Value& value, const fs::path&) {
  const auto text = text_of(value);
  if (!text) return text.error();
  constexpr std::size_t kHour = 0, kColon = 2, kMinute = 3, kSize = 5;
  unsigned hour = 0, minute = 0;
  const bool is_time = text->size() == kSize && text->at(kColon) == ':' &&
                       read_digits(text->substr(kHour, 2), hour) &&
                       read_digits(text->substr(kMinute, 2), minute);
  if (!is_time || hour > 23 || minute > 59) {
    return make_error(ErrorKind::kInvalid, "'{}' is not a time of day: write 06:00 or 18:30",
                      *text);
  }
  return TimeOfDay{std::chrono::hours(hour) + std::chrono::minutes(minute)};
}

Value Codec<TimeOfDay>::write(const TimeOfDay& value) {
  const auto minutes = value.since_midnight.count();
  return fmt::format("{:02}:{:02}", minutes / 60, minutes % 60);
}

namespace {

/// In the order of a week that begins with Monday.
constexpr std::array<std::string_view, 7> kDayNames{"mon", "tue", "wed", "thu",
                                                    "fri", "sat", "sun"};

/// 0 is Monday.
std::optional<std::size_t> day_of(std::string_view name) {
  const auto found = std::ranges::find(kDayNames, name);
  if (found == kDayNames.end()) return std::nullopt;
  return static_cast<std::size_t>(found - kDayNames.begin());
}

std::size_t since_sunday(std::size_t since_monday) {
  return (since_monday + 1) % kDayNames.size();
}

/// "fri" or "mon-fri"; "sat-mon" goes on into the next week.
bool add_days(std::string_view part, Weekdays& weekdays) {
  const auto dash = part.find('-');
  const auto first = day_of(part.substr(0, dash));
  const auto last = dash == part.npos ? first : day_of(part.substr(dash + 1));
  if (!first || !last) return false;
  for (std::size_t day = *first;; day = (day + 1) % kDayNames.size()) {
    weekdays.days.set(since_sunday(day));
    if (day == *last) return true;
  }
}

}  // namespace

Result<Weekdays> Codec<Weekdays>::read(const Value& value, const fs::path&) {
  const auto text = text_of(value);
  if (!text) return text.error();
  Weekdays weekdays{};
  weekdays.days.reset();
  std::string_view rest = *text;
  for (bool goes_on = true; goes_on;) {
    const auto comma = rest.find(',');
    goes_on = comma != rest.npos;
    if (!add_days(rest.substr(0, comma), weekdays)) {
      return make_error(ErrorKind::kInvalid,
                        "'{}' are not days of the week: write mon-fri, or sat,sun", *text);
    }
    if (goes_on) rest.remove_prefix(comma + 1);
  }
  return weekdays;
}

Value Codec<Weekdays>::write(const Weekdays& value) {
  std::string text;
  for (std::size_t day = 0; day < kDayNames.size(); ++day) {
    if (!value.days.test(since_sunday(day))) continue;
    text.append(text.empty() ? "" : ",").append(kDayNames.at(day));
  }
  return text;
}

std::vector<std::string_view> Codec<const transfer::TransformType*>::choices() {
  std::vector<std::string_view> names;
  for (const auto* type : transfer::transform_types()) names.push_back(type->name);
  return names;
}

Result<const transfer::TransformType*> Codec<const transfer::TransformType*>::read(
    const Value& value, const fs::path&) {
  const auto name = read_word(value, choices());
  if (!name) return name.error();
  return transfer::find_transform_type(*name);
}

Value Codec<const transfer::TransformType*>::write(const transfer::TransformType* value) {
  return std::string(value->name);
}

namespace {

/// kInvalid: no path can match it, or it is not what somebody meant.
Result<void> check_glob(const std::string& pattern) {
  std::string_view mistake;
  if (pattern.empty()) mistake = "it is empty";
  if (pattern.starts_with('/')) {
    mistake = "it begins with '/': paths are relative to their landing area";
  }
  if (has_open_bracket(pattern)) mistake = "'[' without ']': write \\[ for the character itself";
  if (mistake.empty()) return {};
  return make_error(ErrorKind::kInvalid, "'{}' is not a pattern: {}", pattern, mistake);
}

}  // namespace

Result<Globs> Codec<Globs>::read(const Value& value, const fs::path& base) {
  auto patterns = Codec<std::vector<std::string>>::read(value, base);
  if (!patterns) return patterns.error();
  for (const std::string& pattern : *patterns) {
    if (auto checked = check_glob(pattern); !checked) return checked.error();
  }
  return Globs{std::move(*patterns)};
}

}  // namespace ferry::app

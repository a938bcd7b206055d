#include "app/option_values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "app/local_time.h"
#include "app/units.h"

namespace ferry::app {
namespace {

using std::chrono::milliseconds;

Error wrong_type(std::string_view expected) {
  return make_error(ErrorKind::kInvalid, "expected {}", expected);
}

Result<std::string> text_of(const Value& value, std::string_view expected) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* list = std::get_if<std::vector<std::string>>(&value); list && list->size() == 1) {
    return list->front();
  }
  return wrong_type(expected);
}

Result<std::vector<std::string>> list_of(const Value& value) {
  if (const auto* list = std::get_if<std::vector<std::string>>(&value)) return *list;
  if (const auto* text = std::get_if<std::string>(&value)) return std::vector{*text};
  return wrong_type("a string or a list of strings");
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

/// "~/x" and relative paths made absolute, without a slash at the end.
fs::path absolute_path(std::string text, const fs::path& base) {
  if (text == "~" || text.starts_with("~/")) {
    const char* home = std::getenv("HOME");
    if (home != nullptr) text.replace(0, 1, home);
  }
  fs::path path(text);
  if (path.is_relative()) path = base / path;
  path = path.lexically_normal();
  if (path.has_relative_path() && path.filename_is_dot()) path = path.parent_path();
  return path;
}

/// What an option may be, by its name.
template <typename T>
struct Choice {
  std::string_view name;
  T value;
};

constexpr std::array<std::string_view, 5> kLogLevels{"debug", "info", "warning", "error", "off"};
constexpr std::array<std::string_view, 2> kLogFormats{"text", "json"};
constexpr std::array kTransports{Choice<Transport>{"libssh2", Transport::kLibssh2},
                                 Choice<Transport>{"openssh", Transport::kOpenSsh}};
constexpr std::array kEmptyFiles{Choice<EmptyFiles>{"deliver", EmptyFiles::kDeliver},
                                 Choice<EmptyFiles>{"quarantine", EmptyFiles::kQuarantine}};
constexpr std::array kVerifications{
    Choice<transfer::Verify>{"none", transfer::Verify::kNone},
    Choice<transfer::Verify>{"size", transfer::Verify::kSize},
    Choice<transfer::Verify>{"readback", transfer::Verify::kReadback},
    Choice<transfer::Verify>{"remote-command", transfer::Verify::kRemoteCommand}};
constexpr std::array kBatchModes{
    Choice<transfer::BatchMode>{"independent", transfer::BatchMode::kIndependent},
    Choice<transfer::BatchMode>{"all-or-nothing", transfer::BatchMode::kAllOrNothing}};
constexpr std::array kRoutings{Choice<transfer::Routing>{"first", transfer::Routing::kFirst},
                               Choice<transfer::Routing>{"all", transfer::Routing::kAll}};
constexpr std::array kAfterDeliveries{
    Choice<transfer::AfterDelivery>{"keep", transfer::AfterDelivery::kKeep},
    Choice<transfer::AfterDelivery>{"archive", transfer::AfterDelivery::kArchive},
    Choice<transfer::AfterDelivery>{"delete", transfer::AfterDelivery::kDelete}};
using Ending = transfer::LineEndings::Ending;
constexpr std::array kEndings{Choice<Ending>{"lf", Ending::kLf},
                              Choice<Ending>{"crlf", Ending::kCrLf}};
constexpr std::array kTransformTypes{
    Choice<TransformType>{"command", TransformType::kCommand},
    Choice<TransformType>{"gzip", TransformType::kGzip},
    Choice<TransformType>{"zstd", TransformType::kZstd},
    Choice<TransformType>{"line-endings", TransformType::kLineEndings},
    Choice<TransformType>{"charset", TransformType::kCharset}};

template <typename T, std::size_t kSize>
std::string choice_name(T value, const std::array<Choice<T>, kSize>& choices) {
  const auto found = std::ranges::find(choices, value, &Choice<T>::value);
  return std::string(found->name);
}

template <typename T, std::size_t kSize>
std::vector<std::string_view> names_of(const std::array<Choice<T>, kSize>& choices) {
  std::vector<std::string_view> names;
  names.reserve(kSize);
  for (const Choice<T>& choice : choices) names.push_back(choice.name);
  return names;
}

template <typename T, std::size_t kSize>
Result<void> assign_choice(T& target, const Value& value,
                           const std::array<Choice<T>, kSize>& choices) {
  const auto text = text_of(value, "a string");
  if (!text) return text.error();
  const auto found = std::ranges::find(choices, *text, &Choice<T>::name);
  if (found != choices.end()) {
    target = found->value;
    return {};
  }
  return make_error(ErrorKind::kInvalid, "'{}' is not one of: {}", *text,
                    fmt::join(names_of(choices), ", "));
}

template <typename To, typename From>
Result<void> store(To& target, Result<From> value) {
  if (!value) return value.error();
  target = std::move(*value);
  return {};
}

}  // namespace

Result<void> assign(bool& target, const Value& value, const fs::path&) {
  const auto* flag = std::get_if<bool>(&value);
  if (flag == nullptr) return wrong_type("true or false");
  target = *flag;
  return {};
}

Result<void> assign(std::uint64_t& target, const Value& value, const fs::path&) {
  const auto number = number_of(value);
  if (!number) return number.error();
  if (*number < 0) return make_error(ErrorKind::kInvalid, "{} is negative", *number);
  target = static_cast<std::uint64_t>(*number);
  return {};
}

Result<void> assign(Count& target, const Value& value, const fs::path&) {
  const auto number = number_of(value);
  if (!number) return number.error();
  if (*number < 1) return make_error(ErrorKind::kInvalid, "{} is less than 1", *number);
  target.value = *number;
  return {};
}

Result<void> assign(Bytes& target, const Value& value, const fs::path&) {
  if (const auto* number = std::get_if<std::int64_t>(&value); number && *number > 0) {
    target.value = static_cast<std::uint64_t>(*number);
    return {};
  }
  const auto text = text_of(value, "a size such as \"4MiB\"");
  if (!text) return text.error();
  const auto size = parse_size(*text);
  if (!size) return size.error();
  if (*size == 0) return make_error(ErrorKind::kInvalid, "must be more than 0");
  target.value = *size;
  return {};
}

Result<void> assign(milliseconds& target, const Value& value, const fs::path&) {
  const auto text = text_of(value, "a duration such as \"2s\"");
  if (!text) return text.error();
  return store(target, parse_duration(*text));
}

Result<void> assign(std::string& target, const Value& value, const fs::path&) {
  return store(target, text_of(value, "a string"));
}

Result<void> assign(fs::path& target, const Value& value, const fs::path& base) {
  const auto text = text_of(value, "a path");
  if (!text) return text.error();
  if (text->empty()) return make_error(ErrorKind::kInvalid, "the path is empty");
  target = absolute_path(*text, base);
  return {};
}

Result<void> assign(MetastoreLocation& target, const Value& value, const fs::path& base) {
  if (const auto* text = std::get_if<std::string>(&value);
      text && text->find("://") != text->npos) {
    target.text = *text;
    return {};
  }
  fs::path directory;
  const auto stored = assign(directory, value, base);
  if (stored) target.text = directory.string();
  return stored;
}

Result<void> assign(std::vector<std::string>& target, const Value& value, const fs::path&) {
  return store(target, list_of(value));
}

Result<void> assign(TimeZone& target, const Value& value, const fs::path&) {
  auto name = text_of(value, "a string");
  if (!name) return name.error();
  if (const auto checked = check_time_zone(*name); !checked) return checked;
  target.name = std::move(*name);
  return {};
}

Result<void> assign(CommandWords& target, const Value& value, const fs::path& base) {
  auto list = list_of(value);
  if (!list) return list.error();
  if (!list->empty() && list->front().empty()) {
    return make_error(ErrorKind::kInvalid, "the name of the program is empty");
  }
  if (!list->empty() && list->front().contains('/')) {
    list->front() = absolute_path(list->front(), base).string();
  }
  target.words = std::move(*list);
  return {};
}

Result<void> assign(std::vector<fs::path>& target, const Value& value, const fs::path& base) {
  const auto list = list_of(value);
  if (!list) return list.error();
  target.clear();
  for (const std::string& text : *list) target.push_back(absolute_path(text, base));
  return {};
}

Result<void> assign(log::Level& target, const Value& value, const fs::path&) {
  const auto text = text_of(value, "a string");
  if (!text) return text.error();
  return store(target, log::parse_level(*text));
}

Result<void> assign(log::Format& target, const Value& value, const fs::path&) {
  const auto text = text_of(value, "a string");
  if (!text) return text.error();
  return store(target, log::parse_format(*text));
}

Result<void> assign(sftp::Url& target, const Value& value, const fs::path&) {
  const auto text = text_of(value, "a string");
  if (!text) return text.error();
  return store(target, sftp::Url::parse(*text));
}

Result<void> assign(Transport& target, const Value& value, const fs::path&) {
  return assign_choice(target, value, kTransports);
}

namespace {

template <typename T>
Result<void> assign_optional(std::optional<T>& target, const Value& value, const fs::path& base) {
  T given{};
  if (auto assigned = assign(given, value, base); !assigned) return assigned;
  target = given;
  return {};
}

/// An empty text where there is nothing.
template <typename T>
Value optional_value(const std::optional<T>& value) {
  return value ? to_value(*value) : Value(std::string());
}

}  // namespace

Result<void> assign(std::optional<Count>& target, const Value& value, const fs::path& base) {
  return assign_optional(target, value, base);
}

Result<void> assign(std::optional<Bytes>& target, const Value& value, const fs::path& base) {
  return assign_optional(target, value, base);
}

Result<void> assign(std::optional<std::chrono::milliseconds>& target, const Value& value,
                    const fs::path& base) {
  return assign_optional(target, value, base);
}

Result<void> assign(EmptyFiles& target, const Value& value, const fs::path&) {
  return assign_choice(target, value, kEmptyFiles);
}

Result<void> assign(std::vector<MagicBytes>& target, const Value& value, const fs::path&) {
  const auto list = list_of(value);
  if (!list) return list.error();
  target.clear();
  for (const std::string& text : *list) {
    auto magic = MagicBytes::parse(text);
    if (!magic) return magic.error();
    target.push_back(std::move(*magic));
  }
  return {};
}

Result<void> assign(transfer::Verify& target, const Value& value, const fs::path&) {
  return assign_choice(target, value, kVerifications);
}

Result<void> assign(transfer::BatchMode& target, const Value& value, const fs::path&) {
  return assign_choice(target, value, kBatchModes);
}

Result<void> assign(transfer::BandwidthLimit& target, const Value& value, const fs::path&) {
  const auto text = text_of(value, "a string");
  if (!text) return text.error();
  return store(target, transfer::BandwidthLimit::parse(*text));
}

Result<void> assign(std::optional<transfer::BandwidthLimit>& target, const Value& value,
                    const fs::path& base) {
  transfer::BandwidthLimit limit;
  if (auto assigned = assign(limit, value, base); !assigned) return assigned;
  target = std::move(limit);
  return {};
}

Result<void> assign(transfer::Routing& target, const Value& value, const fs::path&) {
  return assign_choice(target, value, kRoutings);
}

Result<void> assign(transfer::AfterDelivery& target, const Value& value, const fs::path&) {
  return assign_choice(target, value, kAfterDeliveries);
}

Result<void> assign(Ending& target, const Value& value, const fs::path&) {
  return assign_choice(target, value, kEndings);
}

Result<void> assign(TransformType& target, const Value& value, const fs::path&) {
  return assign_choice(target, value, kTransformTypes);
}

Result<void> assign(FileNames& target, const Value& value, const fs::path&) {
  const auto text = text_of(value, "a string");
  if (!text) return text.error();
  return store(target.pattern, transfer::NameTemplate::for_files(*text));
}

Result<void> assign(ControlFileNames& target, const Value& value, const fs::path&) {
  const auto text = text_of(value, "a string");
  if (!text) return text.error();
  return store(target.pattern, transfer::NameTemplate::for_control_files(*text));
}

Result<void> assign(std::optional<std::string>& target, const Value& value, const fs::path&) {
  return store(target, text_of(value, "a string"));
}

Value to_value(bool value) {
  return value;
}
Value to_value(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}
Value to_value(Count value) {
  return value.value;
}
Value to_value(Bytes value) {
  return format_size(value.value);
}
Value to_value(milliseconds value) {
  return format_duration(value);
}
Value to_value(const std::string& value) {
  return value;
}
Value to_value(const fs::path& value) {
  return value.string();
}
Value to_value(const MetastoreLocation& value) {
  return value.text;
}
Value to_value(const std::vector<std::string>& value) {
  return value;
}
Value to_value(const TimeZone& value) {
  return value.name;
}
Value to_value(const CommandWords& value) {
  return value.words;
}
Value to_value(Transport value) {
  return choice_name(value, kTransports);
}
Value to_value(const std::optional<Count>& value) {
  return optional_value(value);
}
Value to_value(const std::optional<Bytes>& value) {
  return optional_value(value);
}
Value to_value(const std::optional<std::chrono::milliseconds>& value) {
  return optional_value(value);
}
Value to_value(EmptyFiles value) {
  return choice_name(value, kEmptyFiles);
}
Value to_value(const std::vector<MagicBytes>& value) {
  std::vector<std::string> texts;
  texts.reserve(value.size());
  for (const MagicBytes& magic : value) texts.push_back(magic.to_string());
  return texts;
}
Value to_value(transfer::Verify value) {
  return choice_name(value, kVerifications);
}
Value to_value(transfer::BatchMode value) {
  return choice_name(value, kBatchModes);
}
Value to_value(const std::optional<transfer::BandwidthLimit>& value) {
  return value ? to_value(*value) : Value(std::string());
}
Value to_value(transfer::Routing value) {
  return choice_name(value, kRoutings);
}
Value to_value(transfer::AfterDelivery value) {
  return choice_name(value, kAfterDeliveries);
}
Value to_value(Ending value) {
  return choice_name(value, kEndings);
}
Value to_value(TransformType value) {
  return choice_name(value, kTransformTypes);
}
Value to_value(const FileNames& value) {
  return value.pattern ? value.pattern->text() : std::string();
}
Value to_value(const ControlFileNames& value) {
  return value.pattern ? value.pattern->text() : std::string();
}
Value to_value(const std::optional<std::string>& value) {
  return value.value_or("");
}
Value to_value(const transfer::BandwidthLimit& value) {
  return value.to_string();
}

Value to_value(const sftp::Url& value) {
  return value.host.empty() ? std::string() : value.to_string();
}

Value to_value(const std::vector<fs::path>& value) {
  std::vector<std::string> texts;
  texts.reserve(value.size());
  for (const fs::path& path : value) texts.push_back(path.string());
  return texts;
}

Value to_value(log::Level level) {
  return std::string(kLogLevels.at(static_cast<std::size_t>(level)));
}

Value to_value(log::Format format) {
  return std::string(kLogFormats.at(static_cast<std::size_t>(format)));
}

std::vector<std::string_view> choices(const EmptyFiles*) {
  return names_of(kEmptyFiles);
}
std::vector<std::string_view> choices(const Transport*) {
  return names_of(kTransports);
}
std::vector<std::string_view> choices(const transfer::Verify*) {
  return names_of(kVerifications);
}
std::vector<std::string_view> choices(const transfer::BatchMode*) {
  return names_of(kBatchModes);
}
std::vector<std::string_view> choices(const transfer::Routing*) {
  return names_of(kRoutings);
}
std::vector<std::string_view> choices(const transfer::AfterDelivery*) {
  return names_of(kAfterDeliveries);
}
std::vector<std::string_view> choices(const Ending*) {
  return names_of(kEndings);
}
std::vector<std::string_view> choices(const TransformType*) {
  return names_of(kTransformTypes);
}
std::vector<std::string_view> choices(const log::Level*) {
  return {kLogLevels.begin(), kLogLevels.end()};
}
std::vector<std::string_view> choices(const log::Format*) {
  return {kLogFormats.begin(), kLogFormats.end()};
}

}  // namespace ferry::app

// How the value of an option is read into the settings' types, and back.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config/options.h"
#include "app/config/settings.h"

namespace ferry::app {

/// What an enumeration is called: a Codec needs no more of it.
template <typename T>
struct Word {
  std::string_view name;
  T value;
};
template <typename T>
inline constexpr std::array<Word<T>, 0> kWords{};

template <>
inline constexpr std::array kWords<log::Level>{
    Word{"debug", log::Level::kDebug}, Word{"info", log::Level::kInfo},
    Word{"warning", log::Level::kWarning}, Word{"error", log::Level::kError},
    Word{"off", log::Level::kOff}};
template <>
inline constexpr std::array kWords<log::Format>{Word{"text", log::Format::kText},
                                                Word{"json", log::Format::kJson}};
template <>
inline constexpr std::array kWords<TransportSetting>{Word{"auto", TransportSetting::kAuto},
                                                     Word{"libssh2", TransportSetting::kLibssh2},
                                                     Word{"openssh", TransportSetting::kOpenSsh}};
template <>
inline constexpr std::array kWords<EmptyFiles>{Word{"deliver", EmptyFiles::kDeliver},
                                               Word{"quarantine", EmptyFiles::kQuarantine}};
template <>
inline constexpr std::array kWords<transfer::Verify>{
    Word{"none", transfer::Verify::kNone}, Word{"size", transfer::Verify::kSize},
    Word{"readback", transfer::Verify::kReadback},
    Word{"remote-command", transfer::Verify::kRemoteCommand}};
template <>
inline constexpr std::array kWords<transfer::BatchMode>{
    Word{"independent", transfer::BatchMode::kIndependent},
    Word{"all-or-nothing", transfer::BatchMode::kAllOrNothing}};
template <>
inline constexpr std::array kWords<transfer::Routing>{Word{"first", transfer::Routing::kFirst},
                                                      Word{"all", transfer::Routing::kAll}};
template <>
inline constexpr std::array kWords<transfer::AfterDelivery>{
    Word{"keep", transfer::AfterDelivery::kKeep},
    Word{"archive", transfer::AfterDelivery::kArchive},
    Word{"delete", transfer::AfterDelivery::kDelete}};
template <>
inline constexpr std::array kWords<transfer::IfExists>{
    Word{transfer::kIfExistsNames[0], transfer::IfExists::kReplace},
    Word{transfer::kIfExistsNames[1], transfer::IfExists::kSkip},
    Word{transfer::kIfExistsNames[2], transfer::IfExists::kFail},
    Word{transfer::kIfExistsNames[3], transfer::IfExists::kVersion}};
template <>
inline constexpr std::array kWords<transfer::Preserve>{Word{"mtime", transfer::Preserve::kMtime},
                                                       Word{"mode", transfer::Preserve::kMode}};
template <>
inline constexpr std::array kWords<transfer::Order>{
    Word{"age", transfer::Order::kAge}, Word{"newest", transfer::Order::kNewest},
    Word{"size", transfer::Order::kSize}, Word{"name", transfer::Order::kName}};
template <>
inline constexpr std::array kWords<transfer::ControlFormat>{
    Word{transfer::kControlFormatNames[0], transfer::ControlFormat::kJson},
    Word{transfer::kControlFormatNames[1], transfer::ControlFormat::kSha256Sums},
    Word{transfer::kControlFormatNames[2], transfer::ControlFormat::kNone}};
template <>
inline constexpr std::array kWords<transfer::Sidecar>{
    Word{transfer::kSidecarNames[0], transfer::Sidecar::kNone},
    Word{transfer::kSidecarNames[1], transfer::Sidecar::kSha256},
    Word{transfer::kSidecarNames[2], transfer::Sidecar::kDone}};
template <>
inline constexpr std::array kWords<EventKind>{
    Word{"failed", EventKind::kFailed},           Word{"given_up", EventKind::kGivenUp},
    Word{"quarantined", EventKind::kQuarantined}, Word{"late", EventKind::kLate},
    Word{"recovered", EventKind::kRecovered},     Word{"batch", EventKind::kBatch}};
template <>
inline constexpr std::array kWords<transfer::LineEnding>{Word{"lf", transfer::LineEnding::kLf},
                                                         Word{"crlf", transfer::LineEnding::kCrLf}};

/// One of WORDS; kInvalid names them all.
Result<std::string> read_word(const Value& value, std::span<const std::string_view> words);

/// Of every type that the settings have: `read` (kInvalid says what is wrong with the value;
/// relative paths start at BASE), `write`, and for the manual `kType`, a word for how a value is
/// written, and `choices`, the words that it may be (none: anything). This one is of enumerations.
template <typename T>
struct Codec {
  static constexpr std::string_view kType = "string";

  static std::vector<std::string_view> choices() {
    std::vector<std::string_view> names;
    for (const Word<T>& word : kWords<T>) names.push_back(word.name);
    return names;
  }
  static Result<T> read(const Value& value, const fs::path&) {
    const auto name = read_word(value, choices());
    if (!name) return name.error();
    return std::ranges::find(kWords<T>, *name, &Word<T>::name)->value;
  }
  static Value write(T value) {
    return std::string(std::ranges::find(kWords<T>, value, &Word<T>::value)->name);
  }
};

struct AnyValue {
  static std::vector<std::string_view> choices() { return {}; }
};

/// Nothing is written as an empty text.
template <typename T>
struct Codec<std::optional<T>> {
  static constexpr std::string_view kType = Codec<T>::kType;
  static std::vector<std::string_view> choices() { return Codec<T>::choices(); }
  static Result<std::optional<T>> read(const Value& value, const fs::path& base) {
    auto given = Codec<T>::read(value, base);
    if (!given) return given.error();
    return std::optional<T>(std::move(*given));
  }
  static Value write(const std::optional<T>& value) {
    return value ? Codec<T>::write(*value) : Value(std::string());
  }
};

template <>
struct Codec<bool> : AnyValue {
  static constexpr std::string_view kType = "true or false";
  static Result<bool> read(const Value& value, const fs::path& base);
  static Value write(bool value) { return value; }
};

template <>
struct Codec<std::uint64_t> : AnyValue {
  static constexpr std::string_view kType = "number";
  static Result<std::uint64_t> read(const Value& value, const fs::path& base);
  static Value write(std::uint64_t value) { return static_cast<std::int64_t>(value); }
};

template <>
struct Codec<ThreadCount> : AnyValue {
  static constexpr std::string_view kType = "number";
  static Result<ThreadCount> read(const Value& value, const fs::path& base);
  static Value write(ThreadCount value) { return static_cast<std::int64_t>(value.value); }
};

template <>
struct Codec<Count> : AnyValue {
  static constexpr std::string_view kType = "number";
  static Result<Count> read(const Value& value, const fs::path& base);
  static Value write(Count value) { return value.value; }
};

template <>
struct Codec<Bytes> : AnyValue {
  static constexpr std::string_view kType = "size";
  static Result<Bytes> read(const Value& value, const fs::path& base);
  static Value write(Bytes value);
};

template <>
struct Codec<std::chrono::milliseconds> : AnyValue {
  static constexpr std::string_view kType = "duration";
  static Result<std::chrono::milliseconds> read(const Value& value, const fs::path& base);
  static Value write(std::chrono::milliseconds value);
};

template <>
struct Codec<std::string> : AnyValue {
  static constexpr std::string_view kType = "string";
  static Result<std::string> read(const Value& value, const fs::path& base);
  static Value write(const std::string& value) { return value; }
};

template <>
struct Codec<fs::path> : AnyValue {
  static constexpr std::string_view kType = "path";
  static Result<fs::path> read(const Value& value, const fs::path& base);
  static Value write(const fs::path& value) { return value.string(); }
};

/// A URL is taken as it is, all else for a directory.
template <>
struct Codec<MetastoreLocation> : AnyValue {
  static constexpr std::string_view kType = "path";
  static Result<MetastoreLocation> read(const Value& value, const fs::path& base);
  static Value write(const MetastoreLocation& value) { return value.text; }
};

template <>
struct Codec<TimeZone> : AnyValue {
  static constexpr std::string_view kType = "string";
  static Result<TimeZone> read(const Value& value, const fs::path& base);
  static Value write(const TimeZone& value) { return value.name; }
};

template <>
struct Codec<TimeOfDay> : AnyValue {
  static constexpr std::string_view kType = "time of day";
  static Result<TimeOfDay> read(const Value& value, const fs::path& base);
  static Value write(const TimeOfDay& value);
};

template <>
struct Codec<Weekdays> : AnyValue {
  static constexpr std::string_view kType = "days of the week";
  static Result<Weekdays> read(const Value& value, const fs::path& base);
  static Value write(const Weekdays& value);
};

template <>
struct Codec<std::vector<std::string>> : AnyValue {
  static constexpr std::string_view kType = "list of strings";
  static Result<std::vector<std::string>> read(const Value& value, const fs::path& base);
  static Value write(const std::vector<std::string>& value) { return value; }
};

template <>
struct Codec<Globs> : AnyValue {
  static constexpr std::string_view kType = "list of strings";
  static Result<Globs> read(const Value& value, const fs::path& base);
  static Value write(const Globs& value) { return std::vector<std::string>(value); }
};

template <>
struct Codec<ListenAddresses> : AnyValue {
  static constexpr std::string_view kType = "list of strings";
  static Result<ListenAddresses> read(const Value& value, const fs::path& base);
  static Value write(const ListenAddresses& value) { return std::vector<std::string>(value); }
};

/// Of enumerations.
template <typename T>
  requires std::is_enum_v<T>
struct Codec<std::vector<T>> : AnyValue {
  static constexpr std::string_view kType = "list of strings";
  static Result<std::vector<T>> read(const Value& value, const fs::path& base) {
    const auto words = Codec<std::vector<std::string>>::read(value, base);
    if (!words) return words.error();
    std::vector<T> values;
    for (const std::string& word : *words) {
      const auto read = Codec<T>::read(word, base);
      if (!read) return read.error();
      values.push_back(*read);
    }
    return values;
  }
  static Value write(const std::vector<T>& values) {
    std::vector<std::string> words;
    for (const T value : values) words.push_back(std::get<std::string>(Codec<T>::write(value)));
    return words;
  }
};

template <>
struct Codec<CommandWords> : AnyValue {
  static constexpr std::string_view kType = "list of strings";
  static Result<CommandWords> read(const Value& value, const fs::path& base);
  static Value write(const CommandWords& value) { return value.words; }
};

template <>
struct Codec<RemoteCommand> : AnyValue {
  static constexpr std::string_view kType = "list of strings";
  static Result<RemoteCommand> read(const Value& value, const fs::path& base);
  static Value write(const RemoteCommand& value) { return value.words; }
};

template <>
struct Codec<std::vector<fs::path>> : AnyValue {
  static constexpr std::string_view kType = "list of paths";
  static Result<std::vector<fs::path>> read(const Value& value, const fs::path& base);
  static Value write(const std::vector<fs::path>& value);
};

template <>
struct Codec<std::vector<MagicBytes>> : AnyValue {
  static constexpr std::string_view kType = "list of strings";
  static Result<std::vector<MagicBytes>> read(const Value& value, const fs::path& base);
  static Value write(const std::vector<MagicBytes>& value);
};

template <>
struct Codec<sftp::Url> : AnyValue {
  static constexpr std::string_view kType = "URL";
  static Result<sftp::Url> read(const Value& value, const fs::path& base);
  static Value write(const sftp::Url& value);
};

template <>
struct Codec<transfer::BandwidthLimit> : AnyValue {
  static constexpr std::string_view kType = "bandwidth";
  static Result<transfer::BandwidthLimit> read(const Value& value, const fs::path& base);
  static Value write(const transfer::BandwidthLimit& value) { return value.to_string(); }
};

template <>
struct Codec<FileNames> : AnyValue {
  static constexpr std::string_view kType = "string";
  static Result<FileNames> read(const Value& value, const fs::path& base);
  static Value write(const FileNames& value);
};

template <>
struct Codec<ControlFileNames> : AnyValue {
  static constexpr std::string_view kType = "string";
  static Result<ControlFileNames> read(const Value& value, const fs::path& base);
  static Value write(const ControlFileNames& value);
};

/// By its name.
template <>
struct Codec<const transfer::TransformType*> {
  static constexpr std::string_view kType = "string";
  static std::vector<std::string_view> choices();
  static Result<const transfer::TransformType*> read(const Value& value, const fs::path& base);
  static Value write(const transfer::TransformType* value);
};

}  // namespace ferry::app

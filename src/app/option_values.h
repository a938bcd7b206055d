// How the value of an option is read into the settings' types, and back.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/options.h"
#include "app/settings.h"

namespace ferry::app {

// Each reads VALUE into TARGET; kInvalid says what is wrong with it. Relative paths start at BASE.

Result<void> assign(bool& target, const Value& value, const fs::path& base);
Result<void> assign(std::uint64_t& target, const Value& value, const fs::path& base);
Result<void> assign(Count& target, const Value& value, const fs::path& base);
Result<void> assign(Bytes& target, const Value& value, const fs::path& base);
Result<void> assign(std::chrono::milliseconds& target, const Value& value, const fs::path& base);
Result<void> assign(std::string& target, const Value& value, const fs::path& base);
Result<void> assign(TimeZone& target, const Value& value, const fs::path& base);
Result<void> assign(fs::path& target, const Value& value, const fs::path& base);
Result<void> assign(MetastoreLocation& target, const Value& value, const fs::path& base);
Result<void> assign(std::vector<std::string>& target, const Value& value, const fs::path& base);
Result<void> assign(CommandWords& target, const Value& value, const fs::path& base);
Result<void> assign(std::vector<fs::path>& target, const Value& value, const fs::path& base);
Result<void> assign(log::Level& target, const Value& value, const fs::path& base);
Result<void> assign(log::Format& target, const Value& value, const fs::path& base);
Result<void> assign(sftp::Url& target, const Value& value, const fs::path& base);
Result<void> assign(Transport& target, const Value& value, const fs::path& base);
Result<void> assign(std::optional<Count>& target, const Value& value, const fs::path& base);
Result<void> assign(std::optional<Bytes>& target, const Value& value, const fs::path& base);
Result<void> assign(std::optional<std::chrono::milliseconds>& target, const Value& value,
                    const fs::path& base);
Result<void> assign(EmptyFiles& target, const Value& value, const fs::path& base);
Result<void> assign(std::vector<MagicBytes>& target, const Value& value, const fs::path& base);
Result<void> assign(transfer::Verify& target, const Value& value, const fs::path& base);
Result<void> assign(transfer::BatchMode& target, const Value& value, const fs::path& base);
Result<void> assign(transfer::BandwidthLimit& target, const Value& value, const fs::path& base);
Result<void> assign(std::optional<transfer::BandwidthLimit>& target, const Value& value,
                    const fs::path& base);
Result<void> assign(transfer::Routing& target, const Value& value, const fs::path& base);
Result<void> assign(transfer::AfterDelivery& target, const Value& value, const fs::path& base);
Result<void> assign(transfer::LineEndings::Ending& target, const Value& value,
                    const fs::path& base);
Result<void> assign(TransformType& target, const Value& value, const fs::path& base);
Result<void> assign(FileNames& target, const Value& value, const fs::path& base);
Result<void> assign(ControlFileNames& target, const Value& value, const fs::path& base);
Result<void> assign(std::optional<std::string>& target, const Value& value, const fs::path& base);

Value to_value(bool value);
Value to_value(std::uint64_t value);
Value to_value(Count value);
Value to_value(Bytes value);
Value to_value(std::chrono::milliseconds value);
Value to_value(const std::string& value);
Value to_value(const TimeZone& value);
Value to_value(const fs::path& value);
Value to_value(const MetastoreLocation& value);
Value to_value(const std::vector<std::string>& value);
Value to_value(const CommandWords& value);
Value to_value(Transport value);
Value to_value(const std::optional<Count>& value);
Value to_value(const std::optional<Bytes>& value);
Value to_value(const std::optional<std::chrono::milliseconds>& value);
Value to_value(EmptyFiles value);
Value to_value(const std::vector<MagicBytes>& value);
Value to_value(transfer::Verify value);
Value to_value(transfer::BatchMode value);
Value to_value(const transfer::BandwidthLimit& value);
Value to_value(const std::optional<transfer::BandwidthLimit>& value);
Value to_value(transfer::Routing value);
Value to_value(transfer::AfterDelivery value);
Value to_value(transfer::LineEndings::Ending value);
Value to_value(TransformType value);
Value to_value(const FileNames& value);
Value to_value(const ControlFileNames& value);
Value to_value(const std::optional<std::string>& value);
Value to_value(const sftp::Url& value);
Value to_value(const std::vector<fs::path>& value);
Value to_value(log::Level level);
Value to_value(log::Format format);

// What the manual tells about a type. The pointers only name it.

/// The words that a value may be; none: it is no choice among words.
template <typename T>
std::vector<std::string_view> choices(const T*) {
  return {};
}
std::vector<std::string_view> choices(const EmptyFiles*);
std::vector<std::string_view> choices(const Transport*);
std::vector<std::string_view> choices(const transfer::Verify*);
std::vector<std::string_view> choices(const transfer::BatchMode*);
std::vector<std::string_view> choices(const transfer::Routing*);
std::vector<std::string_view> choices(const transfer::AfterDelivery*);
std::vector<std::string_view> choices(const transfer::LineEndings::Ending*);
std::vector<std::string_view> choices(const TransformType*);
std::vector<std::string_view> choices(const log::Level*);
std::vector<std::string_view> choices(const log::Format*);

/// A word for how a value is written.
template <typename T>
std::string_view type_name(const T*) {
  return "string";
}
inline std::string_view type_name(const bool*) {
  return "true or false";
}
inline std::string_view type_name(const std::uint64_t*) {
  return "number";
}
inline std::string_view type_name(const Count*) {
  return "number";
}
inline std::string_view type_name(const Bytes*) {
  return "size";
}
inline std::string_view type_name(const std::optional<Bytes>*) {
  return type_name(static_cast<const Bytes*>(nullptr));
}
inline std::string_view type_name(const std::optional<Count>*) {
  return "number";
}
inline std::string_view type_name(const std::chrono::milliseconds*) {
  return "duration";
}
inline std::string_view type_name(const std::optional<std::chrono::milliseconds>*) {
  return "duration";
}
inline std::string_view type_name(const fs::path*) {
  return "path";
}
inline std::string_view type_name(const MetastoreLocation*) {
  return "path";
}
inline std::string_view type_name(const std::vector<std::string>*) {
  return "list of strings";
}
inline std::string_view type_name(const CommandWords*) {
  return "list of strings";
}
inline std::string_view type_name(const std::vector<MagicBytes>*) {
  return "list of strings";
}
inline std::string_view type_name(const std::vector<fs::path>*) {
  return "list of paths";
}
inline std::string_view type_name(const sftp::Url*) {
  return "URL";
}
inline std::string_view type_name(const transfer::BandwidthLimit*) {
  return "bandwidth";
}
inline std::string_view type_name(const std::optional<transfer::BandwidthLimit>*) {
  return type_name(static_cast<const transfer::BandwidthLimit*>(nullptr));
}

}  // namespace ferry::app

// What may be done to a file's bytes on their way to a destination.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/base/stop.h"

namespace ferry::transfer {

class Transform;  // src/transfer/transform/transform.h
struct TransformedFile;
struct TransformSettings;

enum class LineEnding : std::uint8_t { kLf, kCrLf };

/// What is wrong with a setting: the key, and what to do.
struct TransformMistake {
  std::string_view key;
  std::string message;
};

/// A kind of transform: a file of its own in src/transfer/transform/, and a line in types.cpp.
struct TransformType {
  std::string_view name;
  std::string_view suffix;      // what it adds to the file's name, such as ".gz"
  bool needs_settings = false;  // it does nothing useful without settings of its own
  bool runs_command = false;
  std::vector<TransformMistake> (*check)(const TransformSettings& settings);
  Result<std::unique_ptr<Transform>> (*make)(const TransformSettings& settings,
                                             const TransformedFile& file, const StopToken& stop);
  /// Two with the same fingerprint make the same output of the same input.
  std::string (*fingerprint)(const TransformSettings& settings);
};

std::span<const TransformType* const> transform_types();
const TransformType* find_transform_type(std::string_view name);

/// Each type reads what concerns it.
struct TransformSettings {
  std::string name = {};  // for messages
  const TransformType* type = nullptr;
  std::optional<std::string> suffix = {};  // instead of the type's
  int level = 0;                           // of compression; 0: the type's default
  LineEnding ending = LineEnding::kLf;
  std::string from = {};  // charsets as of iconv(3)
  std::string to = {};
  /// Any program that filters stdin to stdout; argv, no shell. FERRY_PATH and FERRY_ID tell it
  /// which file it is. Exit status 0: done; 75 (EX_TEMPFAIL of sysexits.h): it may work later; any
  /// other fails the file.
  std::vector<std::string> command = {};
  std::chrono::milliseconds time_limit = std::chrono::hours(1);  // for one file

  std::string name_suffix() const { return suffix.value_or(std::string(type->suffix)); }
};

}  // namespace ferry::transfer

// Names made from what is known of a file or a batch: "{date:%Y/%m}/{stem}-{id}{ext}".
//
// A word in braces is a variable, "{{" and "}}" are braces. {date:FORMAT} and {mtime:FORMAT}
// take a format of strftime(3) and are in the process's time zone; {date} alone is 2026-11-22.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/base/time.h"

namespace ferry::transfer {

class NameTemplate {
 public:
  /// For remote names: {path}, relative to the landing area; {dir} and {name}, its two halves;
  /// {stem} and {ext}, the name's, where {ext} has its dot; {landing}; {id}; {date}: of the file's
  /// registration; {mtime}: of its last change. kInvalid says what is wrong with TEXT.
  static Result<NameTemplate> for_files(std::string_view text);
  /// For control files: {batch_id}, {destination}, {date}: of the batch. No directory.
  static Result<NameTemplate> for_control_files(std::string_view text);

  const std::string& text() const { return text_; }
  bool has_variables() const;
  /// Whether the template itself, without any variable, ends with END.
  bool ends_with(std::string_view end) const;

  struct File {
    std::string_view path;
    std::string_view landing;
    std::string_view id;
    Timestamp date;
    std::optional<Timestamp> mtime = {};  // as far as the registry knows it
  };
  /// A relative path without empty, "." or ".." components; kAbnormal if none comes out.
  Result<std::string> render(const File& file) const;

  struct Batch {
    std::string_view id;
    std::string_view destination;
    Timestamp date;
  };
  /// A file name; kInvalid if none comes out.
  Result<std::string> render(const Batch& batch) const;

  /// A pattern (Glob) that fits the names of all batches for DESTINATION.
  std::string pattern_for(std::string_view destination) const;

 private:
  struct Piece {
    bool is_variable = false;
    std::string text;    // literal, or the variable's name
    std::string format;  // of a date; else empty
  };
  template <typename Value>
  std::string fill(Value value_of) const;
  static Result<NameTemplate> parse(std::string_view text,
                                    const std::vector<std::string_view>& variables);
  static Result<Piece> parse_variable(std::string_view word,
                                      const std::vector<std::string_view>& variables);

  std::string text_;
  std::vector<Piece> pieces_;
};

}  // namespace ferry::transfer

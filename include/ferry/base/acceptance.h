// What a file must be like to be taken: the policy of a landing area, or a route's own checks.
//
// A reason is the end of a sentence about the file, such as "it is empty"; it is what the
// registry and the quarantine keep.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/base/time.h"

namespace ferry {

enum class EmptyFiles : std::uint8_t { kDeliver, kQuarantine };

/// The bytes that files of some format begin with.
class MagicBytes {
 public:
  /// TEXT: an even number of hexadecimal digits, such as "504b0304"; at most kMostBytes bytes.
  static Result<MagicBytes> parse(std::string_view text);
  static constexpr std::size_t kMostBytes = 256;

  std::string to_string() const;  // in lower case
  std::span<const std::byte> bytes() const { return bytes_; }
  bool operator==(const MagicBytes&) const = default;

 private:
  explicit MagicBytes(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  std::vector<std::byte> bytes_;
};

/// The default takes everything. Empty files are EMPTY's matter alone: neither min_size nor magic
/// is held against them.
struct AcceptancePolicy {
  EmptyFiles empty = EmptyFiles::kDeliver;
  std::uint64_t min_size = 0;  // bytes
  std::uint64_t max_size = 0;  // bytes; 0: any size
  /// What the name must end with, after a dot: "csv", "tar.gz"; in any case. Empty: anything.
  std::vector<std::string> extensions;
  std::vector<MagicBytes> magic;  // one of these must be there; empty: anything
  /// Since the last change. A younger file is not refused: it has to wait.
  std::chrono::milliseconds min_age{0};
  /// A program and its arguments, run without a shell, that is given the file as its input and
  /// judges it: exit status 0 takes the file. Empty: none.
  std::vector<std::string> validate;
  std::chrono::milliseconds validate_timeout = std::chrono::minutes(1);

  bool operator==(const AcceptancePolicy&) const = default;
};

/// Whether POLICY refuses nothing: at most a file has to wait.
bool takes_everything(const AcceptancePolicy& policy);

/// What a policy looks at, but for the validating command.
struct FileFacts {
  std::string_view path;  // relative, '/'-separated
  std::uint64_t size = 0;
  std::span<const std::byte> head;  // the first magic_length bytes, or all if there are fewer
};

/// How many of a file's first bytes POLICY has to see.
std::size_t magic_length(const AcceptancePolicy& policy);

/// Why POLICY refuses the file; nothing if it does not. Neither its age nor the validating
/// command is considered.
std::optional<std::string> refusal_reason(const AcceptancePolicy& policy, const FileFacts& file);

/// Why POLICY refuses an open file of SIZE bytes, the validating command's word included, which
/// gets ENVIRONMENT besides ours. Errors are not the file's fault: it cannot be read, the command
/// cannot be run (exit status 126 or 127), was killed, or STOP came first.
Result<std::optional<std::string>> judge(const AcceptancePolicy& policy, int fd,
                                         std::string_view path, std::uint64_t size,
                                         const std::vector<std::string>& environment,
                                         const StopToken& stop);

/// What a validating command is told of a file, beside its content.
std::vector<std::string> judged_environment(const std::string& landing, const std::string& path,
                                            std::uint64_t size, const Checksum& checksum);

/// How long before NOW a file changed last; negative if its clock is ahead. Anybody can set mtime,
/// to the future too, and then does not count; nobody sets ctime, which servers do not tell.
std::chrono::nanoseconds age_of_change(const FileIdentity& identity,
                                       std::chrono::sys_time<std::chrono::nanoseconds> now);

/// How long what happened at CHANGED has to wait yet to be as old as MIN_AGE; zero: it is. Where
/// clocks are set back nothing waits for more than twice MIN_AGE.
std::chrono::milliseconds remaining_wait(std::chrono::milliseconds min_age, Timestamp changed,
                                         Timestamp now);

}  // namespace ferry

// The rows of the two tables. metastore/README.md is the normative description of their text form.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/result.h"
#include "ferry/base/time.h"

namespace ferry::metastore {

enum class FileState : std::uint8_t { kReady, kSuperseded, kMissing, kQuarantined };
enum class FileSource : std::uint8_t { kWatch, kUpload, kImport };
enum class TransferStatus : std::uint8_t { kInProgress, kSuccessful, kFailed };

std::string_view to_string(FileState state);        // "ready", …
std::string_view to_string(FileSource source);      // "watch", …
std::string_view to_string(TransferStatus status);  // "in_progress", …

/// One version of a path: a row of file_registry.
struct FileRecord {
  std::string id;
  std::string path;  // relative to the landing area, '/'-separated
  Timestamp updated_date;
  Checksum checksum;
  std::string landing;  // the area's name or absolute path; empty if the row does not say
  std::optional<FileIdentity> identity;  // of the bytes that were hashed; absent in foreign rows
  FileSource source = FileSource::kImport;
  FileState state = FileState::kReady;
  std::string reason;           // why it is not ready; kReady: why it had been held, if it had
  std::string unknown_columns;  // a JSON object that goes back into the row as it came; or empty
};

struct TransferError {
  std::string kind;  // to_string(ErrorKind)
  std::string message;
  bool retryable = false;
};

/// One status that a file reached with a destination: a row of transfer_logs.
struct TransferRecord {
  std::string id;
  TransferStatus status = TransferStatus::kInProgress;
  Timestamp date;  // when the status was reached; kSuccessful: when B had the whole file
  std::string destination;
  std::string batch_id;
  std::string agent;
  std::int64_t attempt = 1;  // counts failures, from 1; 0 with kFailed: released
  std::int64_t bytes = 0;    // as sent
  std::int64_t duration_ms = 0;
  std::string remote_path;
  std::optional<Checksum> checksum;    // of the bytes that were sent
  std::optional<TransferError> error;  // with kFailed
  /// With kInProgress: the updated_date of the file's row that was claimed.
  std::optional<Timestamp> file_updated_date;
  std::string unknown_columns;
};

/// One line of JSON with its '\n'.
std::string to_line(const FileRecord& record);
std::string to_line(const TransferRecord& record);

/// LINE comes without its '\n'. An error is of kind kCorrupt and says what is wrong with the row.
Result<FileRecord> parse_file_record(std::string_view line);
Result<TransferRecord> parse_transfer_record(std::string_view line);

}  // namespace ferry::metastore

#include "ferry/metastore/records.h"

#include <algorithm>
#include <array>

#include "ferry/base/json.h"
#include "ferry/base/json_row.h"
#include "metastore/path_rules.h"

namespace ferry::metastore {
namespace {

constexpr std::array<std::string_view, 4> kStateNames = {"ready", "superseded", "missing",
                                                         "quarantined"};
constexpr std::array<std::string_view, 3> kSourceNames = {"watch", "upload", "import"};
constexpr std::array<std::string_view, 3> kStatusNames = {"in_progress", "successful", "failed"};

// The columns of both tables in the order in which they are written.
enum RegistryColumn : std::uint8_t {
  kFileId,
  kPath,
  kUpdatedDate,
  kFileChecksum,
  kLanding,
  kSize,
  kMtimeNs,
  kCtimeNs,
  kInode,
  kDevice,
  kSource,
  kState,
  kReason,
  kRegistryColumns
};
constexpr std::array<std::string_view, kRegistryColumns> kRegistryNames = {
    "id",       "path",  "updated_date", "checksum", "landing", "size",  "mtime_ns",
    "ctime_ns", "inode", "device",       "source",   "state",   "reason"};

enum TransferColumn : std::uint8_t {
  kTransferId,
  kStatus,
  kDate,
  kDestination,
  kBatchId,
  kAgent,
  kAttempt,
  kBytes,
  kDurationMs,
  kRemotePath,
  kSentChecksum,
  kError,
  kFileUpdatedDate,
  kTransferColumns
};
constexpr std::array<std::string_view, kTransferColumns> kTransferNames = {"id",
                                                                           "transfer_status",
                                                                           "transfer_date",
                                                                           "destination",
                                                                           "batch_id",
                                                                           "agent",
                                                                           "attempt",
                                                                           "bytes",
                                                                           "duration_ms",
                                                                           "remote_path",
                                                                           "checksum",
                                                                           "error",
                                                                           "file_updated_date"};

/// Enough of VALUE to recognise it in a message.
std::string beginning_of(std::string_view value) {
  constexpr std::size_t kShown = 100;
  return value.size() <= kShown ? std::string(value) : fmt::format("{}…", value.substr(0, kShown));
}

/// No text of PostgreSQL has a NUL: without it a row is the same in every store.
std::string without_nul(std::string text) {
  std::erase(text, '\0');
  return text;
}

/// Reads a row's cells and keeps the first thing that is wrong with them.
class RowReader {
 public:
  RowReader(std::span<Cell> cells, std::span<const std::string_view> names)
      : cells_(cells), names_(names) {}

  bool has(std::size_t column) const { return cells_[column].kind != Cell::Kind::kAbsent; }

  std::string_view required(std::size_t column) {
    if (!has(column)) fail("no {}", names_[column]);
    const std::string_view value = text(column);
    if (!error_ && value.empty()) fail("an empty {}", names_[column]);
    return value;
  }

  std::string_view text(std::size_t column) {
    const Cell& cell = cells_[column];
    if (cell.kind == Cell::Kind::kAbsent) return {};
    if (cell.kind != Cell::Kind::kString) fail("a {} that is not a string", names_[column]);
    return cell.text;
  }

  std::string free_text(std::size_t column) { return without_nul(std::string(text(column))); }

  std::string id(std::size_t column) {
    const std::string_view value = required(column);
    if (const auto problem = id_problem(value); !problem.empty()) {
      fail("an {} that {}", names_[column], problem);
    }
    return std::string(value);
  }

  std::int64_t integer(std::size_t column, std::int64_t absent = 0) {
    const Cell& cell = cells_[column];
    if (cell.kind == Cell::Kind::kAbsent) return absent;
    if (cell.kind != Cell::Kind::kInteger) fail("a {} that is not an integer", names_[column]);
    if (cell.too_large) fail("a {} that is too large", names_[column]);
    return cell.number;
  }

  std::int64_t count(std::size_t column, std::int64_t absent = 0) {
    const std::int64_t value = integer(column, absent);
    if (value < 0) fail("a negative {}", names_[column]);
    return value;
  }

  std::uint64_t unsigned_integer(std::size_t column) {
    const Cell& cell = cells_[column];
    if (!cell.too_large) return static_cast<std::uint64_t>(count(column));
    return cell.as_unsigned();
  }

  template <typename Enum, std::size_t N>
  Enum one_of(const std::array<std::string_view, N>& values, std::size_t column, Enum absent) {
    if (!has(column)) return absent;
    const std::string_view value = text(column);
    const auto found = std::find(values.begin(), values.end(), value);
    if (found == values.end()) {
      fail("the unknown {} '{}'", names_[column], beginning_of(value));
      return absent;
    }
    return static_cast<Enum>(found - values.begin());
  }

  Timestamp date(std::size_t column) {
    const std::string_view value = required(column);
    if (error_) return {};
    return take(parse_timestamp(value), column);
  }

  Checksum checksum(std::size_t column) {
    const std::string_view value = required(column);
    if (error_) return {};
    return take(Checksum::parse(value), column);
  }

  template <typename... Args>
  void fail(fmt::format_string<Args...> format, Args&&... args) {
    if (!error_) {
      error_ = make_error(ErrorKind::kCorrupt, "the row has {}",
                          fmt::format(format, std::forward<Args>(args)...));
    }
  }

  const std::optional<Error>& error() const { return error_; }

 private:
  template <typename T>
  T take(Result<T> value, std::size_t column) {
    if (value) return *std::move(value);
    fail("a bad {}: {}", names_[column], value.error().message);
    return {};
  }

  std::span<Cell> cells_;
  std::span<const std::string_view> names_;
  std::optional<Error> error_;
};

std::optional<FileIdentity> identity_from(RowReader& row) {
  bool whole = true;
  for (const auto column : {kSize, kMtimeNs, kCtimeNs, kInode, kDevice}) {
    whole = whole && row.has(column);
  }
  const FileIdentity identity{.device = row.unsigned_integer(kDevice),
                              .inode = row.unsigned_integer(kInode),
                              .size = row.unsigned_integer(kSize),
                              .mtime_ns = row.integer(kMtimeNs),
                              .ctime_ns = row.integer(kCtimeNs)};
  return whole ? std::optional(identity) : std::nullopt;
}

bool has_part_of_identity(const FileRecord& record, const RowReader& row) {
  if (record.identity) return false;
  const auto columns = {kSize, kMtimeNs, kCtimeNs, kInode, kDevice};
  return std::any_of(columns.begin(), columns.end(), [&](auto column) { return row.has(column); });
}

/// Where a row has only some of the identity's columns they say nothing to us, but they stay.
std::string unknown_file_columns(std::string_view line, bool identity_is_known) {
  std::vector<std::string_view> known;
  for (std::size_t column = 0; column < kRegistryColumns; ++column) {
    const bool of_identity = column >= kSize && column <= kDevice;
    if (!of_identity || identity_is_known) known.push_back(kRegistryNames[column]);
  }
  return other_columns(line, known);
}

TransferError transfer_error_from(std::string_view line) {
  TransferError error;
  const Json row = Json::parse(line, nullptr, false);
  const auto found = row.find("error");
  if (found == row.end() || !found->is_object()) {
    error.message = found == row.end() ? "" : found->dump();
    return error;
  }
  const auto text = [&](const char* name) {
    const auto value = found->find(name);
    if (value == found->end()) return std::string();
    return value->is_string() ? without_nul(value->get<std::string>()) : value->dump();
  };
  error.kind = text("kind");
  error.message = text("message");
  const auto retryable = found->find("retryable");
  error.retryable = retryable != found->end() && retryable->is_boolean() && retryable->get<bool>();
  return error;
}

std::string to_json(const TransferError& error) {
  std::string json = "{\"kind\":";
  append_json_string(json, error.kind);
  json += ",\"message\":";
  append_json_string(json, error.message);
  json += error.retryable ? ",\"retryable\":true}" : ",\"retryable\":false}";
  return json;
}

}  // namespace

std::string_view to_string(FileState state) {
  return kStateNames[static_cast<std::size_t>(state)];
}
std::string_view to_string(FileSource source) {
  return kSourceNames[static_cast<std::size_t>(source)];
}
std::string_view to_string(TransferStatus status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}

std::string to_line(const FileRecord& record) {
  std::string line;
  line.reserve(512);
  RowWriter row(line);
  row.text(kRegistryNames[kFileId], record.id);
  row.text(kRegistryNames[kPath], record.path);
  row.text(kRegistryNames[kUpdatedDate], format_timestamp(record.updated_date));
  row.text(kRegistryNames[kFileChecksum], record.checksum.to_string());
  row.optional_text(kRegistryNames[kLanding], record.landing);
  if (record.identity) {
    row.integer(kRegistryNames[kSize], record.identity->size);
    row.integer(kRegistryNames[kMtimeNs], record.identity->mtime_ns);
    row.integer(kRegistryNames[kCtimeNs], record.identity->ctime_ns);
    row.integer(kRegistryNames[kInode], record.identity->inode);
    row.integer(kRegistryNames[kDevice], record.identity->device);
  }
  row.text(kRegistryNames[kSource], to_string(record.source));
  row.text(kRegistryNames[kState], to_string(record.state));
  row.optional_text(kRegistryNames[kReason], record.reason);
  row.others(record.unknown_columns);
  row.finish();
  return line;
}

std::string to_line(const TransferRecord& record) {
  std::string line;
  line.reserve(512);
  RowWriter row(line);
  row.text(kTransferNames[kTransferId], record.id);
  row.text(kTransferNames[kStatus], to_string(record.status));
  row.text(kTransferNames[kDate], format_timestamp(record.date));
  row.optional_text(kTransferNames[kDestination], record.destination);
  row.optional_text(kTransferNames[kBatchId], record.batch_id);
  row.optional_text(kTransferNames[kAgent], record.agent);
  row.integer(kTransferNames[kAttempt], record.attempt);
  row.integer(kTransferNames[kBytes], record.bytes);
  row.integer(kTransferNames[kDurationMs], record.duration_ms);
  row.optional_text(kTransferNames[kRemotePath], record.remote_path);
  if (record.checksum) row.text(kTransferNames[kSentChecksum], record.checksum->to_string());
  if (record.error) row.json(kTransferNames[kError], to_json(*record.error));
  if (record.file_updated_date) {
    row.text(kTransferNames[kFileUpdatedDate], format_timestamp(*record.file_updated_date));
  }
  row.others(record.unknown_columns);
  row.finish();
  return line;
}

Result<FileRecord> parse_file_record(std::string_view line) {
  std::array<Cell, kRegistryColumns> cells;
  const auto has_others = split_row(line, kRegistryNames, cells);
  if (!has_others) return has_others.error();
  RowReader row(cells, kRegistryNames);
  FileRecord record{.id = row.id(kFileId),
                    .path = std::string(row.required(kPath)),
                    .updated_date = row.date(kUpdatedDate),
                    .checksum = row.checksum(kFileChecksum),
                    .landing = row.free_text(kLanding),
                    .identity = identity_from(row),
                    .source = row.one_of(kSourceNames, kSource, FileSource::kImport),
                    .state = row.one_of(kStateNames, kState, FileState::kReady),
                    .reason = row.free_text(kReason),
                    .unknown_columns = {}};
  if (const auto problem = path_problem(record.path); !problem.empty()) {
    row.fail("a path '{}' that {}", beginning_of(record.path), problem);
  }
  if (row.error()) return *row.error();
  if (*has_others || has_part_of_identity(record, row)) {
    record.unknown_columns = unknown_file_columns(line, record.identity.has_value());
  }
  return record;
}

Result<TransferRecord> parse_transfer_record(std::string_view line) {
  std::array<Cell, kTransferColumns> cells;
  const auto has_others = split_row(line, kTransferNames, cells);
  if (!has_others) return has_others.error();
  RowReader row(cells, kTransferNames);
  if (!row.has(kStatus)) row.fail("no {}", kTransferNames[kStatus]);
  TransferRecord record{.id = row.id(kTransferId),
                        .status = row.one_of(kStatusNames, kStatus, TransferStatus::kInProgress),
                        .date = row.date(kDate),
                        .destination = row.free_text(kDestination),
                        .batch_id = row.free_text(kBatchId),
                        .agent = row.free_text(kAgent),
                        .attempt = row.count(kAttempt, 1),
                        .bytes = row.count(kBytes),
                        .duration_ms = row.count(kDurationMs),
                        .remote_path = row.free_text(kRemotePath),
                        .checksum = {},
                        .error = {},
                        .file_updated_date = {},
                        .unknown_columns = {}};
  if (row.has(kFileUpdatedDate)) record.file_updated_date = row.date(kFileUpdatedDate);
  if (row.has(kSentChecksum)) record.checksum = row.checksum(kSentChecksum);
  if (row.error()) return *row.error();
  if (row.has(kError)) record.error = transfer_error_from(line);
  if (*has_others) record.unknown_columns = other_columns(line, kTransferNames);
  return record;
}

}  // namespace ferry::metastore

// Records as the database's tables have them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ferry/metastore/records.h"
#include "ferry/metastore/rules.h"
#include "metastore/postgres/connection.h"

namespace ferry::metastore::postgres {

using FileNumber = std::int64_t;

/// A row of deliveries.
struct DeliveryRow {
  std::string destination;
  TransferStatus status = TransferStatus::kInProgress;
  Timestamp date;
  Timestamp claimed;
  std::optional<Timestamp> file_updated_date;
  std::int64_t attempt = 0;
  std::int64_t bytes = 0;
  std::int64_t duration_ms = 0;
  std::string agent;
  std::string batch_id;
  std::string error_kind;
  std::string error_message;
  std::int64_t row = 0;

  /// Views that live as long as this does.
  Delivery view(bool claim_alive) const;

  bool operator==(const DeliveryRow&) const = default;
};

/// What ROW makes of the delivery that it is about: null if it is the first.
DeliveryRow fold(const DeliveryRow* before, const TransferRecord& row, std::int64_t number);

/// A row of files, with the one of file_registry that it is about.
struct FileRow {
  FileNumber number = 0;
  std::int64_t version = 0;
  std::int64_t registered = 0;  // ms
  std::int64_t row = 0;
  std::int64_t size = 0;
  FileRecord record;  // landing as it is stored
};

std::int64_t to_ms(Timestamp time);
Timestamp time_from(std::int64_t ms);

/// When a file was registered: by its id, or by its first row.
std::int64_t registered_at(const FileRecord& record);

/// As sums see it.
std::int64_t size_of(const FileRecord& record);

std::optional<FileState> parse_state(std::string_view text);
std::optional<TransferStatus> parse_status(std::string_view text);

// Columns in the order in which the readers below expect them.

/// Of file_registry, of which R is an alias.
#define FERRY_REGISTRY_COLUMNS                                                             \
  "r.row, r.id, r.path, r.updated_date, r.checksum, r.landing, r.size::text, r.mtime_ns, " \
  "r.ctime_ns, r.inode::text, r.device::text, r.source, r.state, r.reason, r.others::text"
inline constexpr int kRegistryColumns = 15;
FileRecord file_record(const Rows& rows, std::size_t row, int first_column);

/// Of transfer_logs, of which L is an alias.
#define FERRY_TRANSFER_COLUMNS                                                            \
  "l.row, l.id, l.transfer_status, l.transfer_date, l.destination, l.batch_id, l.agent, " \
  "l.attempt, l.bytes, l.duration_ms, l.remote_path, l.checksum, l.error::text, "         \
  "l.file_updated_date, l.others::text"
TransferRecord transfer_record(const Rows& rows, std::size_t row, int first_column);

/// Of deliveries, of which D is an alias.
#define FERRY_DELIVERY_COLUMNS                                                                  \
  "d.file, d.destination, d.transfer_status, d.transfer_date, d.claimed_date, "                 \
  "d.file_updated_date, d.attempt, d.bytes, d.duration_ms, d.agent, d.batch_id, d.error_kind, " \
  "d.error_message, d.row"
DeliveryRow delivery_row(const Rows& rows, std::size_t row);

/// Appends to tables, many rows at once, by Connection::send.
class RegistryInsert {
 public:
  void add(std::int64_t number, const FileRecord& record);
  Result<void> run(Connection& connection);

 private:
  bool is_empty_ = true;
  Column row_, id_, path_, updated_, checksum_, landing_, size_, mtime_, ctime_, inode_, device_,
      source_, state_, reason_, others_;
};

class TransferInsert {
 public:
  void add(std::int64_t number, const TransferRecord& record);
  Result<void> run(Connection& connection);

 private:
  bool is_empty_ = true;
  Column row_, id_, status_, date_, destination_, batch_, agent_, attempt_, bytes_, duration_,
      remote_path_, checksum_, error_, file_updated_, others_;
};

}  // namespace ferry::metastore::postgres

#include "metastore/postgres/rows.h"

#include <algorithm>
#include <charconv>

#include "ferry/base/json.h"
#include "ferry/base/uuid.h"

namespace ferry::metastore::postgres {
namespace {

using enum TransferStatus;

template <typename Enum>
std::optional<Enum> parse(std::string_view text, std::initializer_list<Enum> values) {
  for (const Enum value : values) {
    if (to_string(value) == text) return value;
  }
  return std::nullopt;
}

std::uint64_t unsigned_from(std::string_view digits) {
  std::uint64_t number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

std::string to_json(const TransferError& error) {
  return to_text(
      Json{{"kind", error.kind}, {"message", error.message}, {"retryable", error.retryable}});
}

std::optional<TransferError> error_from(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const Json json = Json::parse(text, nullptr, false);
  TransferError error;
  if (!json.is_object()) return error;
  const auto string = [&](const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  error.kind = string("kind");
  error.message = string("message");
  const auto retryable = json.find("retryable");
  error.retryable = retryable != json.end() && retryable->is_boolean() && retryable->get<bool>();
  return error;
}

/// What is not JSON is not a column.
void add_json(Column& column, const std::string& object) {
  if (object.empty() || !Json::accept(object)) return column.add_null();
  column.add(std::string_view(object));
}

}  // namespace

std::int64_t to_ms(Timestamp time) {
  return time.time_since_epoch().count();
}
Timestamp time_from(std::int64_t ms) {
  return Timestamp(std::chrono::milliseconds(ms));
}

std::int64_t registered_at(const FileRecord& record) {
  return to_ms(time_of_uuid(record.id).value_or(record.updated_date));
}

std::int64_t size_of(const FileRecord& record) {
  return record.identity ? static_cast<std::int64_t>(record.identity->size) : 0;
}

std::optional<FileState> parse_state(std::string_view text) {
  using enum FileState;
  return parse(text, {kReady, kSuperseded, kMissing, kQuarantined});
}

std::optional<TransferStatus> parse_status(std::string_view text) {
  return parse(text, {kInProgress, kSuccessful, kFailed});
}

// Deliveries.

Delivery DeliveryRow::view(bool claim_alive) const {
  Delivery delivery;
  delivery.destination = destination;
  delivery.status = status;
  delivery.claim_alive = claim_alive && status == kInProgress;
  delivery.date = date;
  delivery.claimed = claimed;
  delivery.file_updated_date = file_updated_date;
  delivery.attempt = attempt;
  delivery.bytes = bytes;
  delivery.duration_ms = duration_ms;
  delivery.agent = agent;
  delivery.batch_id = batch_id;
  delivery.error_kind = error_kind;
  delivery.error_message = error_message;
  return delivery;
}

DeliveryRow fold(const DeliveryRow* before, const TransferRecord& row, std::int64_t number) {
  DeliveryRow delivery;
  const bool ends_attempt = before != nullptr && before->status == kInProgress &&
                            row.status != kInProgress && before->attempt == row.attempt;
  delivery.claimed = ends_attempt ? before->claimed : row.date;
  if (ends_attempt) delivery.file_updated_date = before->file_updated_date;
  if (row.file_updated_date) delivery.file_updated_date = row.file_updated_date;
  delivery.destination = row.destination;
  delivery.status = row.status;
  delivery.date = row.date;
  delivery.attempt = row.attempt;
  delivery.bytes = row.bytes;
  delivery.duration_ms = row.duration_ms;
  delivery.agent = row.agent;
  delivery.batch_id = row.batch_id;
  if (row.status == kFailed && row.error) {
    delivery.error_kind = row.error->kind;
    delivery.error_message = row.error->message;
  }
  delivery.row = number;
  return delivery;
}

DeliveryRow delivery_row(const Rows& rows, std::size_t row) {
  DeliveryRow delivery;
  delivery.destination = rows.text(row, 1);
  delivery.status = parse_status(rows.text(row, 2)).value_or(kInProgress);
  delivery.date = rows.time(row, 3);
  delivery.claimed = rows.time(row, 4);
  if (!rows.is_null(row, 5)) delivery.file_updated_date = rows.time(row, 5);
  delivery.attempt = rows.integer(row, 6);
  delivery.bytes = rows.integer(row, 7);
  delivery.duration_ms = rows.integer(row, 8);
  delivery.agent = rows.text(row, 9);
  delivery.batch_id = rows.text(row, 10);
  delivery.error_kind = rows.text(row, 11);
  delivery.error_message = rows.text(row, 12);
  delivery.row = rows.integer(row, 13);
  return delivery;
}

// The two tables.

FileRecord file_record(const Rows& rows, std::size_t row, int first) {
  using enum FileSource;
  FileRecord record;
  record.id = rows.text(row, first + 1);
  record.path = rows.text(row, first + 2);
  record.updated_date = rows.time(row, first + 3);
  record.checksum = Checksum::parse(rows.text(row, first + 4)).value_or(Checksum());
  record.landing = rows.text(row, first + 5);
  if (!rows.is_null(row, first + 6)) {
    record.identity = FileIdentity{.device = unsigned_from(rows.text(row, first + 10)),
                                   .inode = unsigned_from(rows.text(row, first + 9)),
                                   .size = unsigned_from(rows.text(row, first + 6)),
                                   .mtime_ns = rows.integer(row, first + 7),
                                   .ctime_ns = rows.integer(row, first + 8)};
  }
  record.source = parse(rows.text(row, first + 11), {kWatch, kUpload, kImport}).value_or(kImport);
  record.state = parse_state(rows.text(row, first + 12)).value_or(FileState::kReady);
  record.reason = rows.text(row, first + 13);
  record.unknown_columns = rows.text(row, first + 14);
  return record;
}

TransferRecord transfer_record(const Rows& rows, std::size_t row, int first) {
  TransferRecord record;
  record.id = rows.text(row, first + 1);
  record.status = parse_status(rows.text(row, first + 2)).value_or(kInProgress);
  record.date = rows.time(row, first + 3);
  record.destination = rows.text(row, first + 4);
  record.batch_id = rows.text(row, first + 5);
  record.agent = rows.text(row, first + 6);
  record.attempt = rows.integer(row, first + 7);
  record.bytes = rows.integer(row, first + 8);
  record.duration_ms = rows.integer(row, first + 9);
  record.remote_path = rows.text(row, first + 10);
  if (!rows.is_null(row, first + 11)) {
    if (auto checksum = Checksum::parse(rows.text(row, first + 11))) record.checksum = *checksum;
  }
  record.error = error_from(rows.text(row, first + 12));
  if (!rows.is_null(row, first + 13)) record.file_updated_date = rows.time(row, first + 13);
  record.unknown_columns = rows.text(row, first + 14);
  return record;
}

void RegistryInsert::add(std::int64_t number, const FileRecord& record) {
  is_empty_ = false;
  row_.add(number);
  id_.add(std::string_view(record.id));
  path_.add(std::string_view(record.path));
  updated_.add(record.updated_date);
  checksum_.add(std::string_view(record.checksum.to_string()));
  landing_.add_or_null(record.landing);
  if (record.identity) {
    size_.add_unsigned(record.identity->size);
    mtime_.add(record.identity->mtime_ns);
    ctime_.add(record.identity->ctime_ns);
    inode_.add_unsigned(record.identity->inode);
    device_.add_unsigned(record.identity->device);
  } else {
    for (Column* column : {&size_, &mtime_, &ctime_, &inode_, &device_}) column->add_null();
  }
  source_.add(to_string(record.source));
  state_.add(to_string(record.state));
  reason_.add_or_null(record.reason);
  add_json(others_, record.unknown_columns);
}

Result<void> RegistryInsert::run(Connection& connection) {
  if (is_empty_) return {};
  is_empty_ = true;
  Parameters parameters;
  for (Column* column : {&row_, &id_, &path_, &updated_, &checksum_, &landing_, &size_, &mtime_,
                         &ctime_, &inode_, &device_, &source_, &state_, &reason_, &others_}) {
    parameters.add(std::move(*column));
  }
  return connection.send(
      "INSERT INTO file_registry (row, id, path, updated_date, checksum, landing, size, mtime_ns, "
      "ctime_ns, inode, device, source, state, reason, others) SELECT * FROM unnest($1::bigint[], "
      "$2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::numeric[], "
      "$8::bigint[], $9::bigint[], $10::numeric[], $11::numeric[], $12::text[], $13::text[], "
      "$14::text[], $15::json[])",
      parameters);
}

void TransferInsert::add(std::int64_t number, const TransferRecord& record) {
  is_empty_ = false;
  row_.add(number);
  id_.add(std::string_view(record.id));
  status_.add(to_string(record.status));
  date_.add(record.date);
  destination_.add_or_null(record.destination);
  batch_.add_or_null(record.batch_id);
  agent_.add_or_null(record.agent);
  attempt_.add(record.attempt);
  bytes_.add(record.bytes);
  duration_.add(record.duration_ms);
  remote_path_.add_or_null(record.remote_path);
  checksum_.add_or_null(record.checksum ? record.checksum->to_string() : std::string());
  add_json(error_, record.error ? to_json(*record.error) : std::string());
  if (record.file_updated_date) {
    file_updated_.add(*record.file_updated_date);
  } else {
    file_updated_.add_null();
  }
  add_json(others_, record.unknown_columns);
}

Result<void> TransferInsert::run(Connection& connection) {
  if (is_empty_) return {};
  is_empty_ = true;
  Parameters parameters;
  for (Column* column :
       {&row_, &id_, &status_, &date_, &destination_, &batch_, &agent_, &attempt_, &bytes_,
        &duration_, &remote_path_, &checksum_, &error_, &file_updated_, &others_}) {
    parameters.add(std::move(*column));
  }
  return connection.send(
      "INSERT INTO transfer_logs (row, id, transfer_status, transfer_date, destination, batch_id, "
      "agent, attempt, bytes, duration_ms, remote_path, checksum, error, file_updated_date, "
      "others) SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], "
      "$5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], "
      "$11::text[], $12::text[], $13::json[], $14::timestamptz[], $15::json[])",
      parameters);
}

}  // namespace ferry::metastore::postgres

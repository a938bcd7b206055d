// The tables folded: for every file and every delivery what is asked by, and where the rows are.
//
// Derived from the tables only, in SQLite (schema: index_schema.h). What nobody asks by is read
// from the table's row. What may go wrong is kept by the database: see database.h. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ferry/base/histogram.h"
#include "ferry/metastore/rules.h"
#include "metastore/jsonl/index/database.h"
#include "metastore/jsonl/tables/table.h"

namespace ferry::metastore {

/// Files are numbered in the order in which the registry named them first.
using FileNumber = std::int64_t;

/// Of the record: id, path, landing (as the row has it), state and updated_date.
struct KnownFile {
  FileNumber number = 0;
  FileRecord record;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;     // of its current row in the registry
  std::int64_t registered = 0;  // by its id, or by its first row
};

/// The views in it live until the next call of forget_names().
struct KnownDelivery {
  Delivery delivery;         // without the error's message; claim_alive is false
  std::uint64_t offset = 0;  // of its current row in the logs
};

/// Of all successful deliveries to one destination.
struct Successes {
  std::int64_t files = 0;
  std::int64_t bytes = 0;  // as sent
  Histogram durations;     // once begun
  Histogram latencies;     // from the first row of the file on

  void add(const Successes& other);
};

struct DamagedRow {
  std::string table;
  std::uint64_t line = 0;
  std::uint64_t offset = 0;
  std::string reason;
};

class Index {
 public:
  explicit Index(Database database) : database_(std::move(database)) {}

  Database& database() { return database_; }

  /// In an empty database. The lookups may follow once it is filled.
  void create();
  void create_lookups();
  /// Whether it has just the tables that this program makes.
  bool is_ours();

  /// Keeps memory bounded; to be called between one file and the next, or one page and the next.
  void forget_names();

  /// A state to read from, and a transaction to write in: see Database. What was entered is found
  /// by all that is asked in between.
  void begin_reading();
  void begin_writing();
  Result<void> commit();
  void rollback();

  Position position(std::string_view table);
  void set_position(std::string_view table, const Position& position);
  /// How many rows a table would have if it had no replaced ones: files, or deliveries.
  std::uint64_t keys(std::string_view table);

  // What rows say.

  /// Enters a row of the registry, or of the logs, that stands at OFFSET. Returns the file; a row
  /// of the logs whose file is not known yet gives none, and is kept as an orphan.
  FileNumber enter(const FileRecord& row, std::uint64_t offset, bool& is_new);
  std::optional<FileNumber> enter(const TransferRecord& row, std::uint64_t offset);
  void enter_damage(std::string_view table, const DamagedRow& row);
  /// Where the rows of the logs are that spoke of ID before it was known; they are orphans no more.
  std::vector<std::uint64_t> take_orphans(std::string_view id);
  /// Writes what was kept back so as not to be written twice.
  void flush();

  // Questions.

  std::optional<FileNumber> find(std::string_view id);
  std::optional<KnownFile> file(FileNumber number);
  /// Every version of PATH, oldest first; LANDINGS are labels of the registry.
  std::vector<FileNumber> versions(std::span<const std::string> landings, std::string_view path);
  std::vector<FileNumber> versions_anywhere(std::string_view path);
  void deliveries(FileNumber number, std::vector<KnownDelivery>& found);
  // Files behind AFTER, or, newest first, before it.
  std::vector<FileNumber> files(FileNumber after, bool newest_first, std::size_t limit);
  /// By registration, behind AFTER and until END (excluded); newest first, before AFTER and down
  /// to END (included).
  struct Registered {
    std::int64_t time = 0;  // see KnownFile
    FileNumber number = 0;
  };
  std::vector<FileNumber> registered_files(const Registered& after, std::int64_t end,
                                           bool newest_first, std::size_t limit);
  std::vector<FileNumber> quarantined_files(FileNumber after, bool newest_first, std::size_t limit);
  /// By path, the latest version of each path with this label that lies from FROM to UNTIL
  /// (excluded) and behind AFTER.
  std::vector<FileNumber> latest_of_paths(std::string_view landing, std::string_view from,
                                          std::string_view until, std::string_view after,
                                          std::size_t limit);
  // Files behind AFTER with deliveries: any, of a batch, or ones that are not successful.
  std::vector<FileNumber> files_with_deliveries(FileNumber after, std::size_t limit);
  std::vector<FileNumber> files_of_batch(std::string_view batch, FileNumber after,
                                         std::size_t limit);
  std::vector<FileNumber> files_undone(FileNumber after, std::size_t limit);
  struct Success {
    Timestamp date;
    FileNumber file = 0;
  };
  /// Successful deliveries behind AFTER, by date and file.
  std::vector<Success> successes_after(std::string_view destination, const Success& after,
                                       std::size_t limit);
  /// All rows of a file, oldest first: where they are in the registry, and in the logs.
  std::vector<std::uint64_t> registry_rows(FileNumber number);
  std::vector<std::uint64_t> transfer_rows(FileNumber number);
  std::uint64_t orphans();
  /// Superseded or missing ones whose row is from before SINCE.
  std::uint64_t files_gone_before(Timestamp since);
  std::uint64_t damaged_rows();
  std::vector<DamagedRow> damage(std::size_t limit);
  /// Sorted.
  std::vector<std::string> destinations();
  std::map<std::string, Successes> successes();
  std::optional<Timestamp> last_success(std::string_view destination);

  // Everything, in order. What is called may ask other questions.
  void for_each_file(const std::function<void(const KnownFile& file)>& visit);
  struct DeliveryRows {
    FileNumber file = 0;
    TransferStatus status = TransferStatus::kInProgress;
    std::vector<std::uint64_t> rows;  // where they are in the logs; the last is the current one
  };
  void for_each_delivery(const std::function<void(const DeliveryRows& delivery)>& visit);

  std::string_view name(std::int64_t id);
  /// Nothing if no row has it.
  std::optional<std::int64_t> find_name(std::string_view text);
  std::int64_t enter_name(std::string_view text);

  /// From a row whose columns begin with file_columns.
  KnownFile file_from(const Rows& row);
  /// From a row whose columns begin with delivery_columns.
  KnownDelivery delivery_from(const Rows& row);

 private:
  /// A row of the table `delivery`.
  struct StoredDelivery {
    std::int64_t destination = 0;
    TransferStatus status = TransferStatus::kInProgress;
    std::int64_t attempt = 0;
    std::int64_t date = 0;
    std::int64_t claimed = 0;
    std::optional<std::int64_t> file_updated_date;
    std::int64_t agent = 0;
    std::int64_t batch = 0;
    std::int64_t error_kind = 0;
    std::int64_t bytes = 0;
    std::int64_t duration_ms = 0;
    std::int64_t offset = 0;
    std::string older;
    bool is_written = true;
  };

  /// What a transaction that writes has read of a file, and has not written yet: most files are
  /// asked for several times in one, and most deliveries get two rows soon after each other.
  struct FileAtHand {
    std::int64_t registered = 0;
    std::unique_ptr<KnownFile> file;                        // null: not read
    std::optional<std::vector<StoredDelivery>> deliveries;  // all of them; nothing: not read
  };

  /// In place of a destination: of rows of the registry.
  static constexpr std::int64_t kOfRegistry = -1;

  /// Adds a row that was replaced to OLDER, which a file or a delivery keeps.
  void append_older(std::string& older, FileNumber number, std::int64_t destination,
                    std::int64_t offset);
  /// Adds all rows to ROWS, oldest first.
  void add_rows(std::vector<std::uint64_t>& rows, FileNumber number, std::int64_t destination,
                std::string_view older, std::int64_t current);
  static StoredDelivery stored_from(const Rows& row);
  KnownDelivery known_from(const StoredDelivery& delivery);
  std::vector<StoredDelivery>& deliveries_at_hand(FileNumber number);
  StoredDelivery& stored_delivery(FileNumber number, std::int64_t destination, bool& is_new);
  void write(FileNumber number, StoredDelivery& delivery);
  void write_deliveries();
  void count(const StoredDelivery& delivery, std::int64_t registered, std::int64_t times);
  void write_successes();
  void write_keys();
  FileNumber keep_at_hand(KnownFile file);
  /// Makes it one that is at hand.
  std::optional<FileNumber> find_at_hand(const std::string& id);
  /// Keeps memory bounded.
  void make_room_at_hand();
  void forget_files();
  /// Whether no file from this one on has a delivery that is written.
  bool is_beyond_deliveries(FileNumber number);

  Database database_;
  struct NameHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>()(name);
    }
  };
  std::unordered_map<std::string, std::int64_t, NameHash, std::equal_to<>> ids_of_names_;
  std::unordered_map<std::int64_t, std::string> names_;
  bool is_writing_ = false;
  std::unordered_map<FileNumber, FileAtHand> at_hand_;
  std::unordered_map<std::string, FileNumber> numbers_at_hand_;  // by id
  std::optional<FileNumber> last_delivered_;  // the last file that has a delivery that is written
  std::map<std::int64_t, Successes> uncounted_;  // by destination
  std::int64_t new_files_ = 0;
  std::int64_t new_deliveries_ = 0;
  std::optional<bool> has_orphans_;
};

/// For file_from and delivery_from: `SELECT` these `FROM file`, `FROM delivery`.
#define FERRY_FILE_COLUMNS "number, id, landing, path, state, updated, size, offset, registered"
#define FERRY_DELIVERY_COLUMNS                                                                   \
  "destination, status, attempt, date, claimed, file_updated, agent, batch, error_kind, bytes, " \
  "duration, offset"

}  // namespace ferry::metastore

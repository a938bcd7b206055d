// Both tables folded: for every file its record, the latest version of every path, and the last
// delivery row for every destination. Built for millions of files. No I/O; not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ferry/metastore/metastore.h"
#include "metastore/interner.h"

namespace ferry::metastore {

class View {
 public:
  /// A file, numbered in the order in which the registry named them first.
  using Index = std::uint32_t;

  /// Looks at who wants what, and at max_attempts.
  explicit View(const Options& options);

  void apply(const FileRecord& row);
  void apply(const TransferRecord& row);
  void clear();

  std::size_t size() const { return files_.size(); }
  std::optional<Index> find(std::string_view id) const;
  /// The newest version of a path. A row that names no landing area stands for any.
  std::optional<Index> latest(std::string_view landing, std::string_view path) const;
  bool is_latest(Index index) const;

  FileState state(Index index) const { return files_[index].state; }
  bool has_identity(Index index, const FileIdentity& identity) const;
  bool has_checksum(Index index, const Checksum& checksum) const;
  /// Into a record that is used again and again, which spares allocations.
  void copy_record(Index index, FileRecord& record) const;
  FileRecord record(Index index) const;

  Timestamp updated_date(Index index) const { return files_[index].updated_date; }

  /// Pairs of a file and a destination, numbered in the order in which the logs named them first.
  using DeliveryNumber = std::uint32_t;
  std::size_t delivery_count() const { return deliveries_.size(); }
  std::optional<DeliveryNumber> delivery_number(const std::string& id,
                                                std::string_view destination) const;
  /// Appends those of one file.
  void copy_delivery_numbers(Index index, std::vector<DeliveryNumber>& numbers) const;

  /// Appends the file's deliveries, oldest destination first; claim_alive is left false.
  void copy_deliveries(Index index, std::vector<Delivery>& deliveries) const;

  /// True while a wanted destination has not got the file, whatever its state.
  bool is_undelivered(Index index) const;
  /// How many files an agent may have to deliver: ready, and for a wanted destination never tried,
  /// claimed (the agent may die), or failed with attempts left.
  std::size_t open_count() const { return open_count_; }

 private:
  using Symbol = Interner::Symbol;
  static constexpr std::uint32_t kNone = UINT32_MAX;

  struct File {
    std::string_view id;
    std::string_view path;
    Timestamp updated_date;
    FileIdentity identity;
    Checksum checksum;
    Symbol landing = Interner::kEmpty;
    Symbol reason = Interner::kEmpty;
    std::uint32_t wanted = 0;  // of wanted_sets_
    std::uint32_t first_delivery = kNone;
    FileSource source = FileSource::kImport;
    FileState state = FileState::kReady;
    bool has_identity = false;
    bool has_unknown_columns = false;
    bool is_open = false;
  };

  struct DeliveryRow {
    Timestamp date;
    Timestamp claimed;
    std::int64_t attempt = 0;
    std::int64_t bytes = 0;
    std::int64_t duration_ms = 0;
    Symbol destination = Interner::kEmpty;
    Symbol agent = Interner::kEmpty;
    Symbol batch_id = Interner::kEmpty;
    Symbol error_kind = Interner::kEmpty;
    Symbol error_message = Interner::kEmpty;
    std::uint32_t next = kNone;
    TransferStatus status = TransferStatus::kInProgress;
  };

  struct PathKey {
    Symbol landing;
    std::string_view path;
    bool operator==(const PathKey&) const = default;
  };

  // Hash sets of indexes, looked up by what the file at the index has.
  struct IdHash {
    using is_transparent = void;
    const std::deque<File>* files;
    std::size_t operator()(std::string_view id) const;
    std::size_t operator()(Index index) const;
  };
  struct IdEqual {
    using is_transparent = void;
    const std::deque<File>* files;
    bool operator()(Index a, Index b) const { return a == b; }
    bool operator()(std::string_view id, Index index) const { return (*files)[index].id == id; }
    bool operator()(Index index, std::string_view id) const { return (*files)[index].id == id; }
  };
  struct PathHash {
    using is_transparent = void;
    const std::deque<File>* files;
    std::size_t operator()(const PathKey& key) const;
    std::size_t operator()(Index index) const;
  };
  struct PathEqual {
    using is_transparent = void;
    const std::deque<File>* files;
    PathKey key(Index index) const { return {(*files)[index].landing, (*files)[index].path}; }
    bool operator()(Index a, Index b) const { return key(a) == key(b); }
    bool operator()(const PathKey& a, Index b) const { return a == key(b); }
    bool operator()(Index a, const PathKey& b) const { return key(a) == b; }
  };

  std::string_view keep(std::string_view text);
  Index insert(std::string_view id);
  void set_path(Index index, bool is_new, const FileRecord& row);
  DeliveryRow& delivery_row(std::uint32_t& first, Symbol destination);
  std::uint32_t wanted_set(std::vector<Symbol> destinations);
  std::uint32_t who_wants(const FileRecord& row);
  bool wanted_may_take(const File& file) const;
  void count_open(File& file);
  template <typename Predicate>
  bool any_wanted(const File& file, Predicate predicate) const;
  const DeliveryRow* find_row(const File& file, Symbol destination) const;
  bool may_be_tried(const File& file, const DeliveryRow* row) const;

  Interner symbols_;
  const WantedBy wanted_by_;
  const bool any_delivery_is_enough_;
  const std::int64_t max_attempts_;
  /// Few, however many files there are. The first is that of Options::destinations.
  std::vector<std::vector<Symbol>> wanted_sets_;

  std::pmr::monotonic_buffer_resource texts_;
  std::deque<File> files_;
  std::deque<DeliveryRow> deliveries_;
  std::unordered_set<Index, IdHash, IdEqual> by_id_;
  std::unordered_set<Index, PathHash, PathEqual> latest_;
  std::unordered_map<Index, std::string> unknown_columns_;
  /// First deliveries of files that the registry does not name, or not yet.
  std::unordered_map<std::string, std::uint32_t> early_deliveries_;
  std::size_t open_count_ = 0;
};

}  // namespace ferry::metastore

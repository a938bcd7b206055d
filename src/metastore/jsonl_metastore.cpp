#include "metastore/jsonl_metastore.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "metastore/format.h"
#include "metastore/path_rules.h"
#include "metastore/registration.h"
#include "metastore/staged_files.h"

namespace ferry::metastore {
namespace {

bool is_file_row(std::string_view line) {
  return parse_file_record(line).has_value();
}
bool is_transfer_row(std::string_view line) {
  return parse_transfer_record(line).has_value();
}

Result<void> check_path(const FileRecord& record) {
  const std::string_view problem = path_problem(record.path);
  if (problem.empty()) return {};
  return make_error(ErrorKind::kInvalid, "register '{}': the path {}", record.path, problem);
}

std::string revision_of(const fs::path& table) {
  struct stat status{};
  if (::stat(table.c_str(), &status) != 0) return "none";
  return fmt::format("{}:{}:{}.{}", status.st_ino, status.st_size, status.st_mtim.tv_sec,
                     status.st_mtim.tv_nsec);
}

TransferRecord in_progress_row(const ClaimRequest& request, const Claim& claim, Timestamp now) {
  TransferRecord row;
  row.id = claim.file.id;
  row.status = TransferStatus::kInProgress;
  row.date = now;
  row.destination = request.destination;
  row.batch_id = request.batch_id;
  row.agent = request.agent;
  row.attempt = claim.attempt;
  if (claim.file.identity) row.bytes = static_cast<std::int64_t>(claim.file.identity->size);
  return row;
}

/// What holds for DESTINATION becomes its own.
void keep_only(std::string_view destination, std::vector<Delivery>& deliveries) {
  const Delivery* found = find_delivery(deliveries, destination);
  std::optional<Delivery> kept;
  if (found != nullptr) kept = *found;
  deliveries.clear();
  if (!kept) return;
  kept->destination = destination;
  deliveries.push_back(*kept);
}

/// Attempt 0: as if it had never been tried.
TransferRecord released_row(const std::string& id, const Delivery& ended, Timestamp now) {
  const bool failed = ended.status == TransferStatus::kFailed;
  TransferRecord row;
  row.id = id;
  row.status = TransferStatus::kFailed;
  row.date = now;
  row.destination = ended.destination;
  row.attempt = 0;
  row.error =
      TransferError{.kind = failed ? "released" : "resend",
                    .message = failed ? fmt::format("released after {} attempts; the last: {}",
                                                    ended.attempt, ended.error_message)
                                      : "delivered, and to be delivered again",
                    .retryable = true};
  return row;
}

}  // namespace

JsonlMetastore::JsonlMetastore(Layout layout, Options options, Access access)
    : layout_(std::move(layout)),
      options_(std::move(options)),
      access_(access),
      registry_(std::string(kRegistryTable), layout_.table(kRegistryTable), layout_.damaged()),
      transfers_(std::string(kTransferTable), layout_.table(kTransferTable), layout_.damaged()),
      view_(options_) {}

Result<void> JsonlMetastore::open() {
  if (access_ == Access::kWrite) {
    auto prepared = transact([] { return Result<void>(); });
    if (prepared) compact_where_worthwhile();
    return prepared;
  }
  const std::scoped_lock guard(mutex_);
  return refresh();
}

// Transactions.

/// Whoever has to read a million rows does most of that before others have to wait for the lock.
Result<void> JsonlMetastore::read_ahead() {
  const auto format = read_format(layout_);
  if (!format) return format.error();
  return *format == Format::kOurs ? refresh() : Result<void>();
}

Result<void> JsonlMetastore::prepare() {
  const auto format = read_format(layout_);
  if (!format) return format.error();
  if (*format != Format::kOurs) {
    if (auto written = write_format(layout_); !written) return written;
  }
  if (auto finished = finish_staged_files(layout_.directory, layout_.compaction_note());
      !finished) {
    return finished;
  }
  if (auto read = refresh(); !read) return read;
  if (auto mended = registry_.mend_tail(is_file_row); !mended) return mended;
  if (auto mended = transfers_.mend_tail(is_transfer_row); !mended) return mended;
  return read_tables();
}

void JsonlMetastore::enter(const FileRecord& row) {
  registry_group_.lines += to_line(row);
  ++registry_group_.count;
  view_.apply(row);
}

void JsonlMetastore::enter(const TransferRecord& row) {
  transfer_group_.lines += to_line(row);
  ++transfer_group_.count;
  view_.apply(row);
}

/// The marker is there before the rows that it stands for, and goes after those that settle them:
/// a crash in between leaves it once too often, never too seldom.
Result<void> JsonlMetastore::commit() {
  const bool is_pending = view_.open_count() > 0;
  if (is_pending) {
    if (auto marked = set_marker(true); !marked) return marked;
  }
  if (auto written = write_groups(); !written) return written;
  return is_pending ? Result<void>() : set_marker(false);
}

Result<void> JsonlMetastore::write_groups() {
  const Group registry = std::exchange(registry_group_, {});
  const Group transfers = std::exchange(transfer_group_, {});
  if (registry.count > 0) {
    if (auto written = registry_.append(registry.lines, registry.count); !written) return written;
  }
  if (transfers.count > 0) return transfers_.append(transfers.lines, transfers.count);
  return {};
}

/// For when the view has rows that the tables have not: the next reading starts at their beginning.
void JsonlMetastore::start_anew() {
  registry_group_ = {};
  transfer_group_ = {};
  registry_.rewind();
  transfers_.rewind();
  view_.clear();
  damage_.clear();
  ++beginnings_;
}

Result<void> JsonlMetastore::set_marker(bool wanted) {
  const fs::path marker = layout_.pending_marker();
  if (wanted) {
    const auto made = open_file(marker, O_WRONLY | O_CREAT);
    return made ? Result<void>() : made.error();
  }
  if (::unlink(marker.c_str()) != 0 && errno != ENOENT) {
    return errno_error(errno, fmt::format("remove {}", marker.string()));
  }
  return {};
}

// Reading.

/// Both tables as they belong together: a compaction replaces the registry first.
Result<void> JsonlMetastore::refresh() {
  do {
    const auto new_registry = registry_.follow();
    if (!new_registry) return new_registry.error();
    const auto new_transfers = transfers_.follow();
    if (!new_transfers) return new_transfers.error();
    if (*new_registry || *new_transfers) start_anew();
    if (auto read = read_tables(); !read) return read;
  } while (registry_.is_replaced());
  return {};
}

Result<void> JsonlMetastore::read_tables() {
  const auto read = [this](JsonlTable& table, auto parse) {
    auto outcome = table.read_new([&](std::string_view line, std::uint64_t number) {
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
      if (const auto row = parse(line)) {
        view_.apply(*row);
      } else {
        damage_.add(table.name(), number, row.error().message);
      }
    });
    damage_.end_reading(table.name());
    return outcome;
  };
  const auto parse_file = [this](std::string_view line) {
    auto row = parse_file_record(line);
    if (!row) return row;
    const auto alias = options_.landing_aliases.find(row->landing);
    if (alias != options_.landing_aliases.end()) row->landing = alias->second;
    return row;
  };
  if (auto outcome = read(registry_, parse_file); !outcome) return outcome;
  return read(transfers_, parse_transfer_record);
}

void JsonlMetastore::copy_deliveries(View::Index index, Liveness& liveness,
                                     std::vector<Delivery>& deliveries) {
  deliveries.clear();
  view_.copy_deliveries(index, deliveries);
  for (Delivery& delivery : deliveries) {
    delivery.claim_alive =
        delivery.status == TransferStatus::kInProgress && liveness.is_alive(delivery.agent);
  }
}

bool JsonlMetastore::is_claimed(View::Index index, Liveness& liveness) {
  std::vector<Delivery> deliveries;
  copy_deliveries(index, liveness, deliveries);
  return std::ranges::any_of(deliveries, &Delivery::claim_alive);
}

Result<void> JsonlMetastore::visit(const FileVisitor& visitor) {
  const std::scoped_lock guard(mutex_);
  if (auto read = refresh(); !read) return read;
  Liveness liveness(layout_.agents());
  FileRecord file;
  std::vector<Delivery> deliveries;
  for (View::Index index = 0; index < view_.size(); ++index) {
    view_.copy_record(index, file);
    copy_deliveries(index, liveness, deliveries);
    visitor(file, deliveries);
  }
  return {};
}

std::string JsonlMetastore::revision() {
  return revision_of(layout_.table(kRegistryTable)) + " " +
         revision_of(layout_.table(kTransferTable));
}

Result<bool> JsonlMetastore::is_pending() {
  const std::scoped_lock guard(mutex_);
  if (auto read = refresh(); !read) return read.error();
  return view_.open_count() > 0;
}

std::vector<Metastore::Damage> JsonlMetastore::damages() {
  const std::scoped_lock guard(mutex_);
  return damage_.damages();
}

// Files.

Result<std::vector<Registration>> JsonlMetastore::register_files(std::vector<FileRecord> found) {
  for (const FileRecord& file : found) {
    if (auto valid = check_path(file); !valid) return valid.error();
  }
  return transact([&]() -> Result<std::vector<Registration>> {
    Liveness liveness(layout_.agents());
    const IsClaimed claimed = [&](View::Index index) { return is_claimed(index, liveness); };
    std::vector<Registration> registrations;
    registrations.reserve(found.size());
    std::vector<FileRecord> rows;
    for (FileRecord& file : found) {
      rows.clear();
      registrations.push_back(decide_registration(std::move(file), now(), view_, claimed, rows));
      for (const FileRecord& row : rows) enter(row);
    }
    return registrations;
  });
}

bool JsonlMetastore::is_registered(std::string_view landing, std::string_view path,
                                   const FileIdentity& identity) {
  const std::scoped_lock guard(mutex_);
  const auto latest = view_.latest(landing, path);
  return latest && view_.state(*latest) != FileState::kMissing &&
         view_.has_identity(*latest, identity);
}

bool JsonlMetastore::is_accepted(std::string_view landing, std::string_view path,
                                 const Checksum& checksum) {
  const std::scoped_lock guard(mutex_);
  const auto latest = view_.latest(landing, path);
  return latest && view_.state(*latest) == FileState::kReady &&
         view_.has_checksum(*latest, checksum);
}

Result<std::size_t> JsonlMetastore::mark_missing(std::string_view landing,
                                                 std::span<const std::string> paths,
                                                 std::string_view reason) {
  return transact([&]() -> Result<std::size_t> {
    std::size_t marked = 0;
    for (const std::string& path : paths) {
      const auto latest = view_.latest(landing, path);
      if (!latest || view_.state(*latest) != FileState::kReady) continue;
      FileRecord row = view_.record(*latest);
      row.updated_date = now();
      row.state = FileState::kMissing;
      row.reason = reason;
      enter(row);
      ++marked;
    }
    return marked;
  });
}

Result<std::size_t> JsonlMetastore::change_states(std::span<const StateChange> changes) {
  if (changes.empty()) return 0;
  return transact([&]() -> Result<std::size_t> {
    std::size_t changed = 0;
    for (const StateChange& change : changes) {
      const auto index = view_.find(change.id);
      if (!index) continue;
      FileRecord row = view_.record(*index);
      row.updated_date = now();
      row.state = change.state;
      row.reason = change.reason;
      enter(row);
      ++changed;
    }
    return changed;
  });
}

Result<std::size_t> JsonlMetastore::import_files(std::vector<FileRecord> rows) {
  for (const FileRecord& row : rows) {
    if (auto valid = check_path(row); !valid) return valid.error();
    if (row.id.empty()) return make_error(ErrorKind::kInvalid, "import '{}': no id", row.path);
  }
  return transact([&]() -> Result<std::size_t> {
    std::size_t entered = 0;
    for (const FileRecord& row : rows) {
      if (view_.find(row.id)) continue;
      enter(row);
      ++entered;
    }
    return entered;
  });
}

// Transfers.

Result<std::unique_ptr<AgentPresence>> JsonlMetastore::join() {
  return transact([&]() -> Result<std::unique_ptr<AgentPresence>> {
    remove_dead_agents(layout_.agents());
    return make_presence(layout_.agents());
  });
}

Result<std::vector<Claim>> JsonlMetastore::claim(const ClaimRequest& request) {
  return transact([&]() -> Result<std::vector<Claim>> {
    remove_dead_agents(layout_.agents());
    Liveness liveness(layout_.agents());
    std::vector<Claim> claims;
    for (const std::string& id : request.ids) claim_one(request, id, liveness, claims);
    return claims;
  });
}

void JsonlMetastore::claim_one(const ClaimRequest& request, const std::string& id,
                               Liveness& liveness, std::vector<Claim>& claims) {
  const auto index = view_.find(id);
  if (!index) return;
  Claim claim{.file = view_.record(*index)};
  std::vector<Delivery> deliveries;
  copy_deliveries(*index, liveness, deliveries);
  const Delivery* delivery = find_delivery(deliveries, request.destination);
  const std::int64_t max_attempts = request.ignore_max_attempts ? kAskedFor : options_.max_attempts;
  if (!is_deliverable(claim.file, delivery, max_attempts)) return;
  // An agent held this version when the newer one was registered, and did not deliver it.
  const auto latest = view_.latest(claim.file.landing, claim.file.path);
  if (latest && *latest != *index && view_.state(*latest) != FileState::kMissing) {
    enter(as_superseded(std::move(claim.file), now(), view_.record(*latest).id));
    return;
  }
  claim.attempt = delivery == nullptr ? 1 : delivery->attempt + 1;
  enter(in_progress_row(request, claim, now()));
  claims.push_back(std::move(claim));
}

Result<std::vector<Release>> JsonlMetastore::release(std::span<const std::string> ids,
                                                     std::string_view destination) {
  return give_back(ids, destination, Standing::kFailed);
}

Result<std::vector<Release>> JsonlMetastore::resend(std::span<const std::string> ids,
                                                    std::string_view destination) {
  return give_back(ids, destination, Standing::kSuccessful);
}

Result<std::vector<Release>> JsonlMetastore::give_back(std::span<const std::string> ids,
                                                       std::string_view destination,
                                                       Standing standing) {
  return transact([&]() -> Result<std::vector<Release>> {
    Liveness liveness(layout_.agents());
    std::vector<Release> released;
    std::vector<Delivery> deliveries;
    for (const std::string& id : ids) {
      const auto index = view_.find(id);
      if (!index) continue;
      const FileRecord file = view_.record(*index);
      const bool is_current = file.state == FileState::kReady && view_.is_latest(*index);
      if (standing == Standing::kSuccessful && !is_current) continue;
      deliveries.clear();
      copy_deliveries(*index, liveness, deliveries);
      if (!destination.empty()) keep_only(destination, deliveries);
      for (const Delivery& delivery : deliveries) {
        if (standing_of(file, &delivery) != standing) continue;
        enter(released_row(id, delivery, now()));
        released.push_back({id, std::string(delivery.destination)});
      }
    }
    return released;
  });
}

Result<void> JsonlMetastore::append_transfers(std::span<const TransferRecord> rows) {
  return transact([&]() -> Result<void> {
    for (const TransferRecord& row : rows) enter(row);
    return {};
  });
}

// Opening.

Result<std::unique_ptr<Metastore>> open_metastore(const fs::path& directory, Options options) {
  const Layout layout{directory};
  if (auto made = make_directories(directory); !made) {
    return made.error().with_context("metastore");
  }
  if (const auto format = read_format(layout); !format) return format.error();
  auto store =
      std::make_unique<JsonlMetastore>(layout, std::move(options), JsonlMetastore::Access::kWrite);
  if (auto opened = store->open(); !opened) return opened.error();
  return store;
}

Result<std::unique_ptr<Metastore>> open_metastore_for_reading(const fs::path& directory,
                                                              Options options) {
  const Layout layout{directory};
  const auto format = read_format(layout);
  if (!format) return format.error();
  if (*format == Format::kEmpty) {
    return make_error(ErrorKind::kNotFound,
                      "{} has no metastore: there is no metastore.json and no file_registry.jsonl",
                      directory.string());
  }
  auto store =
      std::make_unique<JsonlMetastore>(layout, std::move(options), JsonlMetastore::Access::kRead);
  if (auto opened = store->open(); !opened) return opened.error();
  return store;
}

}  // namespace ferry::metastore

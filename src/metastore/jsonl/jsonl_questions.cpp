// What JsonlMetastore is asked.
#include <algorithm>
#include <set>

#include "metastore/jsonl/index/transfer_search.h"
#include "metastore/jsonl/jsonl_metastore.h"
#include "metastore/jsonl/tables/archive.h"
#include "metastore/jsonl/tables/change_watch.h"

namespace ferry::metastore {
namespace {

void show(const Page& page, const Metastore::FileVisitor& visitor) {
  for (const FoundFile& found : page.files) visitor(found.file, found.deliveries);
}

/// Adds what the class says to the totals of its destination.
void add_class(const Class& one, Snapshot& snapshot, Totals& totals) {
  const bool is_alive = one.judgement.status == TransferStatus::kInProgress &&
                        snapshot.liveness().is_alive(one.judgement.agent);
  const Standing standing = standing_now(one.judgement, is_alive);
  Totals::Count& count = totals.by_standing[static_cast<std::size_t>(standing)];
  count.files += one.files;
  count.bytes += one.bytes;
  if (standing == Standing::kFailed) {
    totals.failed_by_kind[std::string(one.judgement.error_kind)] += one.files;
    if (!one.judgement.is_open) {
      totals.given_up.files += one.files;
      totals.given_up.bytes += one.bytes;
    }
  }
  if (standing != Standing::kPending) return;
  const auto number = snapshot.perspective().oldest_in(one.id);
  const auto file = number ? snapshot.index().file(*number) : std::nullopt;
  if (!file) return;
  if (totals.oldest_pending && totals.oldest_pending->since <= file->record.updated_date) return;
  totals.oldest_pending = Totals::Oldest{file->record.updated_date, file->record.path};
}

void add_successes(const Successes& successes, Snapshot& snapshot, Totals& totals) {
  Totals::Count& count = totals.by_standing[static_cast<std::size_t>(Standing::kSuccessful)];
  count.files += static_cast<std::uint64_t>(successes.files);
  count.bytes += static_cast<std::uint64_t>(successes.bytes);
  totals.bytes_sent = static_cast<std::uint64_t>(successes.bytes);
  totals.durations = successes.durations;
  totals.latencies = successes.latencies;
  totals.last_success = snapshot.index().last_success(totals.destination);
}

std::vector<Totals> totals_in(Snapshot& snapshot) {
  std::map<std::string, Totals, std::less<>> by_destination;
  const auto of = [&](std::string_view destination) -> Totals& {
    const auto known = by_destination.find(destination);
    if (known != by_destination.end()) return known->second;
    Totals fresh;
    fresh.destination = destination;
    return by_destination.emplace(destination, std::move(fresh)).first->second;
  };
  const Demand& demand = snapshot.demand();
  for (const std::string& destination : demand.destinations) of(destination);
  for (const Class& one : snapshot.perspective().classes()) {
    if (one.judgement.is_due_to_go) continue;
    add_class(one, snapshot, of(one.judgement.destination));
  }
  for (const auto& [destination, successes] : snapshot.index().successes()) {
    const bool is_shown = demand.destinations.empty() || by_destination.contains(destination);
    if (is_shown && successes.files > 0 && !(destination.empty() && !demand.destinations.empty())) {
      add_successes(successes, snapshot, of(destination));
    }
  }
  std::vector<Totals> all;
  for (auto& [destination, totals] : by_destination) all.push_back(std::move(totals));
  return all;
}

}  // namespace

Result<std::vector<std::optional<FileRecord>>> JsonlMetastore::find(
    std::span<const std::string> ids) {
  using Answer = Result<std::vector<std::optional<FileRecord>>>;
  return ask(view_of("", false), [&](Snapshot& snapshot) -> Answer {
    std::vector<std::optional<FileRecord>> found;
    for (const std::string& id : ids) {
      const auto number = snapshot.index().find(id);
      auto record = number ? snapshot.record(*number) : std::optional<FileRecord>();
      if (!record) return record.error();
      found.push_back(std::move(*record));
    }
    return found;
  });
}

Result<std::vector<std::optional<FileRecord>>> JsonlMetastore::latest(
    std::string_view landing, std::span<const std::string> paths) {
  using Answer = Result<std::vector<std::optional<FileRecord>>>;
  return ask(view_of("", false), [&](Snapshot& snapshot) -> Answer {
    std::vector<std::optional<FileRecord>> found;
    found.reserve(paths.size());
    for (const std::string& path : paths) {
      const auto number = snapshot.latest(landing, path);
      auto record = number ? snapshot.record(*number) : std::optional<FileRecord>();
      if (!record) return record.error();
      found.push_back(std::move(*record));
    }
    return found;
  });
}

namespace {

/// What SEARCH finds next, and where it is then. A question may be asked again, of another index:
/// so SEARCH itself stays where it is until the answer is known to be good.
template <typename Search>
Result<std::pair<Page, Search>> next_page(const Search& search, Snapshot& snapshot) {
  Search from_here = search;
  auto page = from_here.next(snapshot);
  if (!page) return page.error();
  return std::pair(std::move(*page), std::move(from_here));
}

}  // namespace

Result<void> JsonlMetastore::visit(const FileQuery& query, const FileVisitor& visitor) {
  FileSearch search(query);
  if (search.needs_text_index()) extend_text_index();
  const View view = view_of(query.destination, search.needs_perspective());
  for (;;) {
    auto found = ask(view, [&](Snapshot& snapshot) { return next_page(search, snapshot); });
    if (!found) return found.error();
    if (found->first.files.empty()) return {};
    show(found->first, visitor);
    search = std::move(found->second);
  }
}

Result<void> JsonlMetastore::visit_transfers(const TransferQuery& query,
                                             const TransferVisitor& visitor) {
  TransferSearch search(query);
  const View view = view_of("", false);
  for (;;) {
    auto found = ask(view, [&](Snapshot& snapshot) { return next_page(search, snapshot); });
    if (!found) return found.error();
    if (found->first.files.empty()) return {};
    for (const FoundFile& one : found->first.files) {
      for (const Delivery& delivery : one.deliveries) {
        if (search.matches(delivery)) visitor(one.file, delivery);
      }
    }
    search = std::move(found->second);
  }
}

Result<std::vector<Totals>> JsonlMetastore::totals() {
  return ask(view_of("", true),
             [](Snapshot& snapshot) -> Result<std::vector<Totals>> { return totals_in(snapshot); });
}

Result<Totals> JsonlMetastore::totals(const std::string& destination) {
  return ask(view_of(destination, true), [&](Snapshot& snapshot) -> Result<Totals> {
    for (Totals& one : totals_in(snapshot)) {
      if (one.destination == destination) return std::move(one);
    }
    Totals none;
    none.destination = destination;
    return none;
  });
}

Result<bool> JsonlMetastore::is_pending() {
  return ask(view_of("", true), [](Snapshot& snapshot) -> Result<bool> {
    return snapshot.perspective().has_open_files();
  });
}

Result<std::vector<std::string>> JsonlMetastore::logged_destinations() {
  return ask(view_of("", false), [](Snapshot& snapshot) -> Result<std::vector<std::string>> {
    return snapshot.index().destinations();
  });
}

Result<std::unique_ptr<ChangeNotice>> JsonlMetastore::watch_changes() {
  const AsOwner owner(*directory_);
  return watch_tables(directory_);
}

// History.

namespace {

/// The rows in the tables of every version with this id or path, by age.
Result<std::vector<History>> live_history(Snapshot& snapshot, const std::string& name) {
  std::set<FileNumber> numbers;
  if (const auto number = snapshot.index().find(name)) numbers.insert(*number);
  for (const FileNumber number : snapshot.index().versions_anywhere(name)) numbers.insert(number);
  std::vector<History> versions;
  for (const FileNumber number : numbers) {
    const auto file = snapshot.index().file(number);
    if (!file) continue;
    History& history = versions.emplace_back();
    for (const std::uint64_t offset : snapshot.index().registry_rows(number)) {
      auto row = snapshot.tables().file_row(offset, file->record.id);
      if (!row) return row.error();
      history.file.push_back(std::move(*row));
    }
    for (const std::uint64_t offset : snapshot.index().transfer_rows(number)) {
      auto row = snapshot.tables().transfer_row(offset, file->record.id);
      if (!row) return row.error();
      history.transfers.push_back(std::move(*row));
    }
  }
  return versions;
}

/// Puts archived rows before those of LIVE, and versions that are in the archive alone before all.
class ArchivedHistory {
 public:
  ArchivedHistory(std::string name, std::vector<History> live)
      : name_(std::move(name)), live_(std::move(live)) {
    for (const History& history : live_) order_.push_back(history.file.front().id);
  }

  Result<std::vector<History>> read(const Directory& directory) {
    std::vector<std::string> needles = order_;
    needles.push_back(name_);
    auto files = search_archive(directory, kRegistryTable, needles, [&](std::string_view line) {
      auto row = parse_file_record(line);
      if (row && (row->id == name_ || row->path == name_ || is_known(row->id)))
        add(std::move(*row));
    });
    if (!files) return files.error();
    needles = order_;
    needles.insert(needles.end(), older_.begin(), older_.end());
    auto transfers = search_archive(directory, kTransferTable, needles, [&](std::string_view line) {
      auto row = parse_transfer_record(line);
      if (row && is_known(row->id)) archived_[row->id].transfers.push_back(std::move(*row));
    });
    if (!transfers) return transfers.error();
    return merged();
  }

 private:
  bool is_known(const std::string& id) const {
    return std::ranges::find(order_, id) != order_.end() || archived_.contains(id);
  }

  void add(FileRecord row) {
    if (!is_known(row.id)) older_.push_back(row.id);
    archived_[row.id].file.push_back(std::move(row));
  }

  std::vector<History> merged() {
    std::vector<History> all;
    for (const std::string& id : older_) all.push_back(std::move(archived_[id]));
    for (History& live : live_) {
      History& history = all.emplace_back(std::move(archived_[live.file.front().id]));
      std::ranges::move(live.file, std::back_inserter(history.file));
      std::ranges::move(live.transfers, std::back_inserter(history.transfers));
    }
    return all;
  }

  const std::string name_;
  std::vector<History> live_;
  std::vector<std::string> order_;  // ids of the live ones
  std::vector<std::string> older_;  // ids of those that are in the archive alone, by age
  std::map<std::string, History> archived_;
};

}  // namespace

Result<std::vector<History>> JsonlMetastore::history(std::string_view id_or_path) {
  const std::string name(id_or_path);
  auto live =
      ask(view_of("", false), [&](Snapshot& snapshot) { return live_history(snapshot, name); });
  if (!live) return live;
  const AsOwner owner(*directory_);
  return ArchivedHistory(name, std::move(*live)).read(*directory_);
}

}  // namespace ferry::metastore

#include "metastore/view.h"

#include <algorithm>
#include <cstring>

#include "metastore/retry_rule.h"

namespace ferry::metastore {

std::size_t View::IdHash::operator()(std::string_view id) const {
  return std::hash<std::string_view>{}(id);
}
std::size_t View::IdHash::operator()(Index index) const {
  return (*this)((*files)[index].id);
}

std::size_t View::PathHash::operator()(const PathKey& key) const {
  return std::hash<std::string_view>{}(key.path) + key.landing * 0x9E3779B97F4A7C15U;
}
std::size_t View::PathHash::operator()(Index index) const {
  const File& file = (*files)[index];
  return (*this)(PathKey{file.landing, file.path});
}

View::View(const Options& options)
    : wanted_by_(options.wanted_by),
      any_delivery_is_enough_(!options.wanted_by && options.destinations.empty()),
      max_attempts_(options.max_attempts),
      by_id_(0, IdHash{&files_}, IdEqual{&files_}),
      latest_(0, PathHash{&files_}, PathEqual{&files_}) {
  std::vector<Symbol>& everybody = wanted_sets_.emplace_back();
  for (const std::string& name : options.destinations) everybody.push_back(symbols_.intern(name));
}

std::uint32_t View::wanted_set(std::vector<Symbol> destinations) {
  const auto known = std::ranges::find(wanted_sets_, destinations);
  if (known == wanted_sets_.end()) {
    wanted_sets_.push_back(std::move(destinations));
    return static_cast<std::uint32_t>(wanted_sets_.size() - 1);
  }
  return static_cast<std::uint32_t>(known - wanted_sets_.begin());
}

std::uint32_t View::who_wants(const FileRecord& row) {
  if (!wanted_by_) return 0;
  std::vector<Symbol> destinations;
  for (const std::string_view name : wanted_by_(row.landing, row.path)) {
    destinations.push_back(symbols_.intern(name));
  }
  return wanted_set(std::move(destinations));
}

void View::clear() {
  by_id_.clear();
  latest_.clear();
  unknown_columns_.clear();
  early_deliveries_.clear();
  files_.clear();
  deliveries_.clear();
  texts_.release();
  open_count_ = 0;
}

std::string_view View::keep(std::string_view text) {
  if (text.empty()) return {};
  auto* copy = static_cast<char*>(texts_.allocate(text.size(), 1));
  std::memcpy(copy, text.data(), text.size());
  return {copy, text.size()};
}

View::Index View::insert(std::string_view id) {
  const auto index = static_cast<Index>(files_.size());
  File& file = files_.emplace_back();
  file.id = keep(id);
  by_id_.insert(index);
  if (early_deliveries_.empty()) return index;
  if (const auto early = early_deliveries_.find(std::string(id));
      early != early_deliveries_.end()) {
    file.first_delivery = early->second;
    early_deliveries_.erase(early);
  }
  return index;
}

void View::set_path(Index index, bool is_new, const FileRecord& row) {
  File& file = files_[index];
  const Symbol landing = symbols_.intern(row.landing);
  if (!is_new && file.landing == landing && file.path == row.path) return;
  file.wanted = who_wants(row);

  bool was_latest = is_new;
  if (!is_new) {
    const auto current = latest_.find(index);
    was_latest = current != latest_.end() && *current == index;
    if (was_latest) latest_.erase(current);
  }
  file.landing = landing;
  if (file.path != row.path) file.path = keep(row.path);
  if (!was_latest) return;
  if (const auto older = latest_.find(index); older != latest_.end()) latest_.erase(older);
  latest_.insert(index);
}

void View::apply(const FileRecord& row) {
  const auto known = find(row.id);
  const Index index = known ? *known : insert(row.id);
  set_path(index, !known, row);
  File& file = files_[index];
  file.updated_date = row.updated_date;
  file.checksum = row.checksum;
  file.has_identity = row.identity.has_value();
  file.identity = row.identity.value_or(FileIdentity{});
  file.source = row.source;
  file.state = row.state;
  file.reason = symbols_.intern(row.reason);
  if (file.has_unknown_columns) unknown_columns_.erase(index);
  file.has_unknown_columns = !row.unknown_columns.empty();
  if (file.has_unknown_columns) unknown_columns_.emplace(index, row.unknown_columns);
  count_open(file);
}

void View::apply(const TransferRecord& row) {
  const auto index = find(row.id);
  std::uint32_t& first = index ? files_[*index].first_delivery
                               : early_deliveries_.try_emplace(row.id, kNone).first->second;
  DeliveryRow& delivery = delivery_row(first, symbols_.intern(row.destination));
  const bool ends_attempt = delivery.status == TransferStatus::kInProgress &&
                            row.status != TransferStatus::kInProgress &&
                            delivery.attempt == row.attempt;
  if (!ends_attempt) delivery.claimed = row.date;
  delivery.status = row.status;
  delivery.date = row.date;
  delivery.attempt = row.attempt;
  delivery.bytes = row.bytes;
  delivery.duration_ms = row.duration_ms;
  delivery.agent = symbols_.intern(row.agent);
  delivery.batch_id = symbols_.intern(row.batch_id);
  const bool failed = row.status == TransferStatus::kFailed && row.error;
  delivery.error_kind = failed ? symbols_.intern(row.error->kind) : Interner::kEmpty;
  delivery.error_message = failed ? symbols_.intern(row.error->message) : Interner::kEmpty;
  if (index) count_open(files_[*index]);
}

std::optional<View::DeliveryNumber> View::delivery_number(const std::string& id,
                                                          std::string_view destination) const {
  const auto symbol = symbols_.find(destination);
  if (!symbol) return std::nullopt;
  std::uint32_t link = kNone;
  if (const auto index = find(id)) {
    link = files_[*index].first_delivery;
  } else if (const auto early = early_deliveries_.find(id); early != early_deliveries_.end()) {
    link = early->second;
  }
  while (link != kNone && deliveries_[link].destination != *symbol) link = deliveries_[link].next;
  if (link == kNone) return std::nullopt;
  return link;
}

void View::copy_delivery_numbers(Index index, std::vector<DeliveryNumber>& numbers) const {
  for (auto link = files_[index].first_delivery; link != kNone; link = deliveries_[link].next) {
    numbers.push_back(link);
  }
}

View::DeliveryRow& View::delivery_row(std::uint32_t& first, Symbol destination) {
  std::uint32_t* link = &first;
  while (*link != kNone) {
    DeliveryRow& row = deliveries_[*link];
    if (row.destination == destination) return row;
    link = &row.next;
  }
  *link = static_cast<std::uint32_t>(deliveries_.size());
  DeliveryRow& row = deliveries_.emplace_back();
  row.destination = destination;
  return row;
}

std::optional<View::Index> View::find(std::string_view id) const {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  return *found;
}

std::optional<View::Index> View::latest(std::string_view landing, std::string_view path) const {
  if (const auto symbol = symbols_.find(landing)) {
    const auto exact = latest_.find(PathKey{*symbol, path});
    if (exact != latest_.end()) return *exact;
  }
  const auto anywhere = latest_.find(PathKey{Interner::kEmpty, path});
  if (anywhere == latest_.end()) return std::nullopt;
  return *anywhere;
}

bool View::is_latest(Index index) const {
  const auto found = latest_.find(index);
  return found != latest_.end() && *found == index;
}

bool View::has_identity(Index index, const FileIdentity& identity) const {
  return files_[index].has_identity && files_[index].identity == identity;
}

bool View::has_checksum(Index index, const Checksum& checksum) const {
  return files_[index].checksum == checksum;
}

void View::copy_record(Index index, FileRecord& record) const {
  const File& file = files_[index];
  record.id.assign(file.id);
  record.path.assign(file.path);
  record.updated_date = file.updated_date;
  record.checksum = file.checksum;
  record.landing.assign(symbols_[file.landing]);
  record.identity = file.has_identity ? std::optional(file.identity) : std::nullopt;
  record.source = file.source;
  record.state = file.state;
  record.reason.assign(symbols_[file.reason]);
  record.unknown_columns.clear();
  if (file.has_unknown_columns) record.unknown_columns = unknown_columns_.at(index);
}

FileRecord View::record(Index index) const {
  FileRecord record;
  copy_record(index, record);
  return record;
}

void View::copy_deliveries(Index index, std::vector<Delivery>& deliveries) const {
  for (auto link = files_[index].first_delivery; link != kNone; link = deliveries_[link].next) {
    const DeliveryRow& row = deliveries_[link];
    deliveries.push_back({.destination = symbols_[row.destination],
                          .status = row.status,
                          .claim_alive = false,
                          .date = row.date,
                          .claimed = row.claimed,
                          .attempt = row.attempt,
                          .bytes = row.bytes,
                          .duration_ms = row.duration_ms,
                          .agent = symbols_[row.agent],
                          .batch_id = symbols_[row.batch_id],
                          .error_kind = symbols_[row.error_kind],
                          .error_message = symbols_[row.error_message]});
  }
}

const View::DeliveryRow* View::find_row(const File& file, Symbol destination) const {
  const DeliveryRow* anywhere = nullptr;
  for (auto link = file.first_delivery; link != kNone; link = deliveries_[link].next) {
    const DeliveryRow& row = deliveries_[link];
    if (row.destination == destination) return &row;
    if (row.destination == Interner::kEmpty) anywhere = &row;
  }
  return anywhere;
}

bool View::may_be_tried(const File& file, const DeliveryRow* row) const {
  if (row == nullptr || row->status == TransferStatus::kInProgress) return true;
  return row->status == TransferStatus::kFailed &&
         may_be_retried(row->attempt, max_attempts_, symbols_[row->error_kind], row->claimed,
                        file.updated_date);
}

template <typename Predicate>
bool View::any_wanted(const File& file, Predicate predicate) const {
  return std::ranges::any_of(wanted_sets_[file.wanted], [&](Symbol destination) {
    return predicate(find_row(file, destination));
  });
}

bool View::is_undelivered(Index index) const {
  const File& file = files_[index];
  if (!any_delivery_is_enough_) {
    return any_wanted(file, [](const DeliveryRow* row) {
      return row == nullptr || row->status != TransferStatus::kSuccessful;
    });
  }
  for (auto link = file.first_delivery; link != kNone; link = deliveries_[link].next) {
    if (deliveries_[link].status == TransferStatus::kSuccessful) return false;
  }
  return true;
}

bool View::wanted_may_take(const File& file) const {
  if (!any_delivery_is_enough_) {
    return any_wanted(file, [&](const DeliveryRow* row) { return may_be_tried(file, row); });
  }
  bool may_be_taken = file.first_delivery == kNone;
  for (auto link = file.first_delivery; link != kNone; link = deliveries_[link].next) {
    if (deliveries_[link].status == TransferStatus::kSuccessful) return false;
    may_be_taken = may_be_taken || may_be_tried(file, &deliveries_[link]);
  }
  return may_be_taken;
}

void View::count_open(File& file) {
  const bool was_open = file.is_open;
  file.is_open = file.state == FileState::kReady && wanted_may_take(file);
  open_count_ += static_cast<std::size_t>(file.is_open) - static_cast<std::size_t>(was_open);
}

}  // namespace ferry::metastore

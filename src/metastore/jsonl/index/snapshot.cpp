#include "metastore/jsonl/index/snapshot.h"

#include <algorithm>

namespace ferry::metastore {

std::string_view Page::keep(std::string_view text) {
  if (text.empty()) return {};
  const auto known = texts.find(text);
  return known != texts.end() ? *known : *texts.emplace(text).first;
}

Snapshot::Snapshot(const Directory& directory, IndexedTables& tables, const Viewpoint& viewpoint)
    : viewpoint_(viewpoint),
      tables_(tables),
      perspective_(tables.index(), viewpoint),
      liveness_(directory) {}

std::vector<FileNumber> Snapshot::versions(std::string_view landing, std::string_view path) {
  auto found = index().versions(viewpoint_.labels_of(landing), path);
  if (!found.empty() || landing.empty()) return found;
  const std::string any_area;
  return index().versions(std::span(&any_area, 1), path);
}

std::optional<FileNumber> Snapshot::latest(std::string_view landing, std::string_view path) {
  const auto found = versions(landing, path);
  if (found.empty()) return std::nullopt;
  return found.back();
}

Result<FileRecord> Snapshot::record(const KnownFile& file) {
  auto record = tables_.file_row(file.offset, file.record.id);
  if (record) record->landing = viewpoint_.canonical(record->landing);
  return record;
}

Result<std::optional<FileRecord>> Snapshot::record(FileNumber number) {
  const auto file = index().file(number);
  if (!file) return std::optional<FileRecord>();
  auto found = record(*file);
  if (!found) return found.error();
  return std::optional(std::move(*found));
}

FileRecord Snapshot::outline(const KnownFile& file) const {
  FileRecord outline = file.record;
  outline.landing = viewpoint_.canonical(file.record.landing);
  return outline;
}

std::vector<Delivery> Snapshot::deliveries(FileNumber number) {
  index().deliveries(number, known_deliveries_);
  std::vector<Delivery> found;
  found.reserve(known_deliveries_.size());
  for (const KnownDelivery& known : known_deliveries_) {
    Delivery& delivery = found.emplace_back(known.delivery);
    delivery.claim_alive =
        delivery.status == TransferStatus::kInProgress && liveness_.is_alive(delivery.agent);
  }
  return found;
}

Result<void> Snapshot::show(const KnownFile& file, Page& page) {
  auto whole = record(file);
  if (!whole) return whole.error();
  FoundFile& found = page.files.emplace_back();
  found.file = std::move(*whole);
  found.deliveries = deliveries(file.number);
  for (std::size_t i = 0; i < found.deliveries.size(); ++i) {
    Delivery& delivery = found.deliveries[i];
    delivery.destination = page.keep(delivery.destination);
    delivery.agent = page.keep(delivery.agent);
    delivery.batch_id = page.keep(delivery.batch_id);
    delivery.error_kind = page.keep(delivery.error_kind);
    if (delivery.status != TransferStatus::kFailed) continue;
    const auto row = tables_.transfer_row(known_deliveries_[i].offset, file.record.id);
    if (!row) return row.error();
    if (row->error) delivery.error_message = page.keep(row->error->message);
  }
  return {};
}

}  // namespace ferry::metastore

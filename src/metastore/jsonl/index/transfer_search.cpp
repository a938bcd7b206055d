#include "metastore/jsonl/index/transfer_search.h"

#include <algorithm>
#include <limits>

namespace ferry::metastore {
namespace {

constexpr std::size_t kPage = 256;

}  // namespace

bool TransferSearch::matches(const Delivery& delivery) const {
  return (query_.destination.empty() || delivery.destination == query_.destination) &&
         (query_.batch_id.empty() || delivery.batch_id == query_.batch_id) &&
         asks_for(delivery.status) && query_.date.contains(delivery.date);
}

TransferSearch::TransferSearch(TransferQuery query)
    : query_(std::move(query)),
      goes_by_date_(query_.date.since && !query_.destination.empty() &&
                    query_.statuses == std::vector{TransferStatus::kSuccessful}) {
  if (goes_by_date_) last_.date = *query_.date.since - std::chrono::milliseconds(1);
  if (goes_by_date_) last_.file = std::numeric_limits<FileNumber>::max();
}

bool TransferSearch::asks_for(TransferStatus status) const {
  return query_.statuses.empty() ||
         std::ranges::find(query_.statuses, status) != query_.statuses.end();
}

/// Behind the last one, some more than one page needs or all that there are.
std::vector<FileNumber> TransferSearch::candidates(Index& index) {
  if (goes_by_date_) {
    std::vector<FileNumber> files;
    for (const auto& success : index.successes_after(query_.destination, last_, kPage)) {
      if (query_.date.until && success.date >= *query_.date.until) break;
      files.push_back(success.file);
      last_.date = success.date;
    }
    return files;
  }
  if (!query_.batch_id.empty()) return index.files_of_batch(query_.batch_id, last_.file, kPage);
  if (asks_for(TransferStatus::kSuccessful)) return index.files_with_deliveries(last_.file, kPage);
  return index.files_undone(last_.file, kPage);
}

Result<Page> TransferSearch::next(Snapshot& snapshot) {
  Page page;
  Index& index = snapshot.index();
  if (const auto number = last_id_.empty() ? std::nullopt : index.find(last_id_)) {
    last_.file = *number;
  }
  while (page.files.empty()) {
    index.forget_names();
    const auto numbers = candidates(index);
    if (numbers.empty()) break;
    for (const FileNumber number : numbers) {
      const auto file = index.file(number);
      last_.file = number;
      if (!file) continue;
      last_id_ = file->record.id;
      if (!query_.updated.contains(file->record.updated_date)) continue;
      const auto deliveries = snapshot.deliveries(number);
      if (std::ranges::none_of(deliveries, [&](const Delivery& one) { return matches(one); })) {
        continue;
      }
      if (auto shown = snapshot.show(*file, page); !shown) return shown.error();
    }
  }
  return page;
}

}  // namespace ferry::metastore

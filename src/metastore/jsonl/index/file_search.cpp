#include "metastore/jsonl/index/file_search.h"

#include <algorithm>
#include <limits>

#include "metastore/jsonl/index/index_values.h"
#include "metastore/jsonl/index/text_index.h"
#include "metastore/query_rules.h"

namespace ferry::metastore {
namespace {

constexpr std::size_t kPage = 256;
/// All names are looked up for each page: few pages for many names.
constexpr std::size_t kPagesOfNames = 8;
/// Of files that stand as asked: of more than these, those with the text are found first.
constexpr std::uint64_t kFewFiles = 10'000;
constexpr FileNumber kBehindAll = std::numeric_limits<FileNumber>::max();

using Times = std::numeric_limits<std::int64_t>;

std::int64_t first_registration(const FileQuery& query) {
  const auto& range = query.registered;
  if (query.newest_first) return range.until ? to_ms(*range.until) : Times::max();
  return range.since ? to_ms(*range.since) : Times::min();
}

std::int64_t last_registration(const FileQuery& query) {
  const auto& range = query.registered;
  if (query.newest_first) return range.since ? to_ms(*range.since) : Times::min();
  return range.until ? to_ms(*range.until) : Times::max();
}

std::vector<PathRange> ranges_of(const Subtrees& below) {
  if (below.tops().empty() || below.cover("")) return {{.from = "", .until = "\xFF"}};
  return ranges_below(below);
}

}  // namespace

FileSearch::FileSearch(const FileQuery& query)
    : query_(std::make_shared<const FileQuery>(query)),
      below_(std::make_shared<const Subtrees>(query.below)),
      ranges_(std::make_shared<const std::vector<PathRange>>(ranges_of(*below_))),
      found_by_(how_to_find(query)),
      left_(query.limit),
      last_id_(query.after) {
  if (query_->newest_first) last_ = kBehindAll;
  if (found_by_ == FoundBy::kRegistered) {
    // Of those at that very time: all behind it, and none before it.
    last_registered_ = first_registration(*query_);
    last_ = 0;
  }
}

FileSearch::FoundBy FileSearch::how_to_find(const FileQuery& query) {
  if (!query.names.empty()) return FoundBy::kNames;
  if (query.deliverable || query.leaves_stale_part || query.due_to_go) return FoundBy::kClasses;
  if (!query.standings.empty() && !has(query.standings, Standing::kSuccessful)) {
    return FoundBy::kClasses;
  }
  if (query.states == std::vector{FileState::kQuarantined}) return FoundBy::kQuarantined;
  if (query.latest_versions && !query.landings.empty()) return FoundBy::kLatest;
  if (!query.text.empty()) return FoundBy::kText;
  return query.registered.since || query.registered.until ? FoundBy::kRegistered : FoundBy::kAll;
}

bool FileSearch::needs_perspective() const {
  return found_by_ == FoundBy::kClasses;
}

bool FileSearch::needs_text_index() const {
  return found_by_ == FoundBy::kText || (found_by_ == FoundBy::kClasses && !query_->text.empty());
}

Result<Page> FileSearch::next(Snapshot& snapshot) {
  const auto files = next_files(snapshot);
  if (!files) return files.error();
  Page page;
  for (const KnownFile& file : *files) {
    if (auto shown = snapshot.show(file, page); !shown) return shown.error();
  }
  return page;
}

Result<std::vector<KnownFile>> FileSearch::next_files(Snapshot& snapshot) {
  std::vector<KnownFile> page;
  if (auto taken_up = take_up(snapshot); !taken_up) return taken_up.error();
  while (page.empty() && left_ > 0 && !is_over_) {
    snapshot.index().forget_names();
    const auto numbers = candidates(snapshot);
    if (snapshot.index().database().failure()) break;
    is_over_ = numbers.empty();
    for (const FileNumber number : numbers) {
      auto file = snapshot.index().file(number);
      if (!file) continue;
      last_ = number;
      last_registered_ = file->registered;
      last_id_ = file->record.id;
      last_path_ = file->record.path;
      if (!matches(*file, snapshot)) continue;
      page.push_back(std::move(*file));
      if (--left_ == 0) break;
    }
  }
  return page;
}

/// The numbers are those of one index: one that was built anew since may have others.
Result<void> FileSearch::take_up(Snapshot& snapshot) {
  if (last_id_.empty()) return {};
  const auto number = snapshot.index().find(last_id_);
  if (!number && last_id_ == query_->after) {
    return make_error(ErrorKind::kNotFound, "no file has the id {}", last_id_);
  }
  if (number) last_ = *number;
  if (number && found_by_ == FoundBy::kRegistered) {
    if (const auto file = snapshot.index().file(*number)) last_registered_ = file->registered;
  }
  return {};
}

// FoundBy: in order, behind the last one, some more than one page needs or all that there are.

std::vector<FileNumber> FileSearch::candidates(Snapshot& snapshot) {
  switch (found_by_) {
    case FoundBy::kNames:
      return named(snapshot);
    case FoundBy::kClasses:
      return in_classes(snapshot);
    case FoundBy::kQuarantined:
      return snapshot.index().quarantined_files(last_, query_->newest_first, kPage);
    case FoundBy::kLatest:
      return latest_versions(snapshot);
    case FoundBy::kText:
      return with_text(snapshot);
    case FoundBy::kRegistered:
      return registered(snapshot);
    case FoundBy::kAll:
      break;
  }
  return snapshot.index().files(last_, query_->newest_first, kPage);
}

/// The lists have the first of their kinds, LIMIT at the most.
std::vector<FileNumber> FileSearch::merged(std::vector<std::vector<FileNumber>> lists,
                                           std::size_t limit) const {
  const auto comes_first = [this](FileNumber a, FileNumber b) {
    return query_->newest_first ? a > b : a < b;
  };
  std::vector<FileNumber> all;
  for (const auto& list : lists) all.insert(all.end(), list.begin(), list.end());
  std::ranges::sort(all, comes_first);
  const auto repeated = std::ranges::unique(all);
  all.erase(repeated.begin(), repeated.end());
  if (all.size() > limit) all.resize(limit);
  return all;
}

std::vector<FileNumber> FileSearch::named(Snapshot& snapshot) {
  std::vector<FileNumber> numbers;
  for (const std::string& name : query_->names) {
    if (const auto number = snapshot.index().find(name)) numbers.push_back(*number);
    const auto versions = snapshot.index().versions_anywhere(name);
    numbers.insert(numbers.end(), versions.begin(), versions.end());
  }
  std::erase_if(numbers, [this](FileNumber number) {
    return query_->newest_first ? number >= last_ : number <= last_;
  });
  return merged({std::move(numbers)}, std::max(kPage, query_->names.size() / kPagesOfNames));
}

bool FileSearch::is_asked_for(const Class& one, Liveness& liveness) const {
  const Judgement& judgement = one.judgement;
  if (judgement.is_due_to_go != query_->due_to_go) return false;
  if (!query_->destination.empty() && judgement.destination != query_->destination) return false;
  const bool is_alive =
      judgement.status == TransferStatus::kInProgress && liveness.is_alive(judgement.agent);
  if (query_->deliverable && (!judgement.is_open || is_alive)) return false;
  if (query_->leaves_stale_part) {
    const bool is_begun = judgement.status && judgement.standing != Standing::kPending &&
                          judgement.standing != Standing::kFailed;
    if (!is_begun || is_alive || judgement.error_kind == kAbandoned) return false;
  }
  return is_empty_or_has(query_->standings, standing_now(judgement, is_alive));
}

std::vector<FileNumber> FileSearch::with_text(Snapshot& snapshot) const {
  return TextIndex(snapshot.index().database())
      .candidates(query_->text, last_, query_->newest_first, kPage);
}

std::vector<FileNumber> FileSearch::in_classes(Snapshot& snapshot) {
  std::vector<Class> meant = snapshot.perspective().classes();
  std::erase_if(meant, [&](const Class& one) { return !is_asked_for(one, snapshot.liveness()); });
  std::uint64_t files = 0;
  for (const Class& one : meant) files += one.files;
  if (!query_->text.empty() && files > kFewFiles) return with_text(snapshot);
  std::vector<std::vector<FileNumber>> lists;
  for (const Class& one : meant) {
    lists.push_back(query_->newest_first ? snapshot.perspective().files_before(one.id, last_, kPage)
                                         : snapshot.perspective().files_in(one.id, last_, kPage));
  }
  return merged(std::move(lists), kPage);
}

std::vector<FileNumber> FileSearch::registered(Snapshot& snapshot) const {
  return snapshot.index().registered_files({.time = last_registered_, .number = last_},
                                           last_registration(*query_), query_->newest_first, kPage);
}

/// By landing area, label, and path.
std::vector<FileNumber> FileSearch::latest_versions(Snapshot& snapshot) {
  std::vector<std::string> labels;
  for (const std::string& landing : query_->landings) {
    for (std::string& label : snapshot.viewpoint().labels_of(landing))
      labels.push_back(std::move(label));
  }
  std::vector<FileNumber> page;
  for (; label_ < labels.size(); ++label_, range_ = 0) {
    for (; range_ < ranges_->size(); ++range_, last_path_.clear()) {
      const PathRange& range = (*ranges_)[range_];
      const auto found = snapshot.index().latest_of_paths(labels[label_], range.from, range.until,
                                                          last_path_, kPage - page.size());
      page.insert(page.end(), found.begin(), found.end());
      if (page.size() == kPage) return page;
    }
  }
  return page;
}

// Conditions.

bool FileSearch::matches(const KnownFile& file, Snapshot& snapshot) const {
  const FileRecord outline = snapshot.outline(file);
  if (!fits(*query_, *below_, outline)) return false;
  if (!query_->registered.contains(time_from(file.registered))) return false;
  if (query_->latest_versions && snapshot.latest(outline.landing, outline.path) != file.number) {
    return false;
  }
  return !depends_on_deliveries(*query_) ||
         stands_as_asked(*query_, outline, snapshot.deliveries(file.number), snapshot.demand());
}

}  // namespace ferry::metastore

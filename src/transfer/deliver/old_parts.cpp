#include "transfer/deliver/old_parts.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "ferry/base/file.h"
#include "ferry/base/hash.h"
#include "ferry/base/log.h"
#include "ferry/sftp/directory_tree.h"
#include "transfer/deliver/journal.h"
#include "transfer/deliver/removal.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {
namespace {

using sftp::Task;

constexpr std::chrono::hours kPause{24};
constexpr mode_t kStampMode = 0640;
/// In one go: a server may make up names without end.
constexpr std::size_t kMostParts = 100'000;

/// Its time of change says when DESTINATION was last looked through.
fs::path stamp_of(const TransferOptions& options, const std::string& destination) {
  constexpr std::size_t kDigits = 32;
  return options.servers / (sha256_of(destination).to_hex().substr(0, kDigits) + ".swept");
}

bool is_due(const fs::path& stamp, Timestamp now) {
  struct stat status{};
  if (::stat(stamp.c_str(), &status) != 0) return true;
  const Timestamp last{std::chrono::seconds(status.st_mtim.tv_sec)};
  return last > now || now - last >= kPause;
}

void set(const fs::path& stamp) {
  auto made = make_directories(stamp.parent_path());
  if (made) made = replace_file(stamp, "", kStampMode);
  if (!made) log::debug("not remembered", {{"error", made.error().message}});
}

/// How long ago the oldest delivery that still goes on was begun, and some time: clocks differ.
Result<std::chrono::milliseconds> age_of_work(metastore::Metastore& metastore,
                                              const std::string& destination, Timestamp time) {
  Timestamp begun = time;
  const auto visited = metastore.visit(
      {.standings = {metastore::Standing::kInProgress}, .destination = destination},
      [&](const metastore::FileRecord&, std::span<const metastore::Delivery> deliveries) {
        const auto* delivery = metastore::find_delivery(deliveries, destination);
        if (delivery != nullptr) begun = std::min(begun, delivery->date);
      });
  if (!visited) return visited.error();
  return time - begun + std::chrono::hours(1);
}

}  // namespace

void PartsFound::add(std::string path, const sftp::DirectoryEntry& entry) {
  if (!entry.attributes.modified) return;
  const Timestamp modified{std::chrono::seconds(*entry.attributes.modified)};
  newest_ = std::max(newest_, modified);
  const bool is_part = sftp::is_regular(entry.attributes) && name_of_part(entry.name);
  if (is_part && !is_full()) parts_.push_back({std::move(path), modified});
}

bool PartsFound::is_full() const {
  return parts_.size() >= kMostParts;
}

std::vector<std::string> PartsFound::older_than(std::chrono::milliseconds keep, Timestamp now,
                                                const std::set<std::string>& resumable) const {
  const Timestamp limit = std::min(now, newest_) - keep;
  std::vector<std::string> old;
  for (const Part& part : parts_) {
    if (part.modified < limit && !resumable.contains(part.path)) old.push_back(part.path);
  }
  return old;
}

Task<Result<void>> remove_old_parts(Session& session, const Destination& destination,
                                    const TransferOptions& options,
                                    metastore::Metastore& metastore) {
  const Timestamp time = now();
  const fs::path stamp = stamp_of(options, destination.name);
  if (!is_due(stamp, time)) co_return Result<void>();
  PartsFound found;
  sftp::TreeVisitor visitor{.entry =
                                [&](const std::string& path, const sftp::DirectoryEntry& entry) {
                                  found.add(join_remote(session.directory, path), entry);
                                  return true;
                                },
                            .unreadable = [](const std::string&, const std::string&) {}};
  const auto walked = co_await sftp::walk_tree(*session.client, session.directory, visitor);
  if (!walked) co_return walked.error();
  // Afterwards: of a part that came to be meanwhile there is a journal by now.
  const auto resumable = Journal::parts_in(options.journals);
  if (!resumable) co_return resumable.error();
  const auto in_hand = age_of_work(metastore, destination.name, time);
  if (!in_hand) co_return in_hand.error();
  const auto removed = co_await remove_side_by_side(
      session, found.older_than(std::max(destination.part_keep, *in_hand), time, *resumable));
  if (!removed) co_return removed.error();
  if (*removed > 0) {
    log::info("old part files removed", {{"destination", destination.name}, {"files", *removed}});
  }
  if (!found.is_full()) set(stamp);
  co_return Result<void>();
}

}  // namespace ferry::transfer

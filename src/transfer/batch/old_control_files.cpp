#include "transfer/batch/old_control_files.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ferry/base/log.h"
#include "ferry/base/uuid.h"
#include "transfer/batch/control_name.h"
#include "transfer/deliver/removal.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {
namespace {

using sftp::Task;

constexpr std::size_t kUuidBytes = 36;

/// The batch's id in NAME; nothing: there is none, or more than one.
std::optional<std::string_view> batch_id_in(std::string_view name) {
  std::optional<std::string_view> found;
  for (std::size_t at = 0; at + kUuidBytes <= name.size(); ++at) {
    const auto id = name.substr(at, kUuidBytes);
    if (!is_uuid(id)) continue;
    if (found) return std::nullopt;
    found = id;
  }
  return found;
}

/// Both have to say so: the id in the name, which has the time when the batch was begun, and the
/// server.
bool is_from_before(Timestamp time, const sftp::DirectoryEntry& entry) {
  const auto batch_id = batch_id_in(entry.name);
  if (!batch_id || !sftp::is_regular(entry.attributes) || !entry.attributes.modified) return false;
  const auto begun = time_of_uuid(*batch_id);
  const Timestamp modified{std::chrono::seconds(*entry.attributes.modified)};
  return begun && *begun < time && modified < time;
}

}  // namespace

std::vector<std::string> old_control_files(const Destination& destination,
                                           std::span<const sftp::DirectoryEntry> entries,
                                           Timestamp now) {
  Timestamp newest{};
  for (const sftp::DirectoryEntry& entry : entries) {
    if (!entry.attributes.modified) continue;
    newest = std::max(newest, Timestamp(std::chrono::seconds(*entry.attributes.modified)));
  }
  const Timestamp limit = std::min(now, newest) - destination.control_keep;
  std::vector<std::string> old;
  for (const sftp::DirectoryEntry& entry : entries) {
    if (!is_name_of_control_files(destination, entry.name)) continue;
    if (is_from_before(limit, entry)) old.push_back(entry.name);
  }
  return old;
}

Task<Result<void>> prune_control_directory(Session& session, const Destination& destination) {
  const std::string directory = session.control_directory;
  const auto entries = co_await session.client->list(directory);
  if (!entries) co_return entries.error().with_context("list " + directory);
  std::vector<std::string> old;
  for (const std::string& name : old_control_files(destination, *entries, now())) {
    old.push_back(join_remote(directory, name));
  }
  const auto removed = co_await remove_side_by_side(session, std::move(old));
  if (!removed) co_return removed.error();
  if (*removed > 0) {
    log::info("old control files removed",
              {{"destination", destination.name}, {"files", *removed}});
  }
  co_return Result<void>();
}

}  // namespace ferry::transfer

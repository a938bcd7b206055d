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

}  // namespace

bool is_old_control_file(const Destination& destination, const sftp::DirectoryEntry& entry,
                         Timestamp time) {
  if (!is_name_of_control_files(destination, entry.name)) return false;
  const auto batch_id = batch_id_in(entry.name);
  if (!batch_id || !sftp::is_regular(entry.attributes) || !entry.attributes.modified) return false;
  const auto begun = time_of_uuid(*batch_id);
  const Timestamp modified{std::chrono::seconds(*entry.attributes.modified)};
  return begun && *begun < time && modified < time;
}

Task<Result<void>> prune_control_directory(Session& session, const Destination& destination,
                                           Timestamp time) {
  const std::string directory = session.control_directory;
  const auto entries = co_await session.client->list(directory);
  if (!entries) co_return entries.error().with_context("list " + directory);
  std::vector<std::string> old;
  for (const sftp::DirectoryEntry& entry : *entries) {
    if (is_old_control_file(destination, entry, time)) {
      old.push_back(join_remote(directory, entry.name));
    }
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

#include "transfer/batch/old_control_files.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "ferry/base/log.h"
#include "ferry/base/uuid.h"
#include "ferry/transfer/control_file.h"
#include "transfer/batch/control_name.h"
#include "transfer/naming/remote_path.h"

namespace ferry::transfer {
namespace {

using sftp::Task;

constexpr std::size_t kUuidBytes = 36;
/// At once, over one connection.
constexpr std::size_t kSideBySide = 32;

/// The name that NAME is a part of, see part_path; or NAME.
std::string_view without_part(std::string_view name) {
  constexpr std::string_view kSuffix = ".part";
  constexpr std::size_t kTokenBytes = 16;
  if (!name.starts_with('.') || !name.ends_with(kSuffix)) return name;
  std::string_view whole = name.substr(1, name.size() - 1 - kSuffix.size());
  const auto dot = whole.rfind('.');
  if (dot == whole.npos || whole.size() - dot - 1 != kTokenBytes) return name;
  return whole.substr(0, dot);
}

bool has_name_of_one(const Destination& destination, std::string_view name,
                     std::string_view batch_id) {
  const std::string_view list = name.ends_with(kSignatureSuffix)
                                    ? name.substr(0, name.size() - kSignatureSuffix.size())
                                    : name;
  return list == control_file_name(batch_id, ControlFormat::kJson) ||
         list == control_file_name(batch_id, ControlFormat::kSha256Sums) ||
         is_name_of_control_files(destination, name);
}

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

Task<void> remove(Session& session, std::string path, std::uint64_t& removed) {
  const auto gone = co_await session.client->remove(std::move(path));
  if (gone) ++removed;
}

}  // namespace

bool is_old_control_file(const Destination& destination, const sftp::DirectoryEntry& entry,
                         Timestamp time) {
  const std::string_view name = without_part(entry.name);
  const auto batch_id = batch_id_in(name);
  if (!batch_id || !sftp::is_regular(entry.attributes) || !entry.attributes.modified) return false;
  if (!has_name_of_one(destination, name, *batch_id)) return false;
  const auto begun = time_of_uuid(*batch_id);
  const Timestamp modified{std::chrono::seconds(*entry.attributes.modified)};
  return begun && *begun < time && modified < time;
}

Task<Result<void>> prune_control_directory(Session& session, const Destination& destination,
                                           Timestamp time) {
  const std::string directory = session.control_directory;
  const auto entries = co_await session.client->list(directory);
  if (!entries) co_return entries.error().with_context("list " + directory);
  std::uint64_t removed = 0;
  for (auto entry = entries->begin(); entry != entries->end();) {
    sftp::TaskGroup removing(*session.loop);
    for (; entry != entries->end() && removing.size() < kSideBySide; ++entry) {
      if (!is_old_control_file(destination, *entry, time)) continue;
      removing.spawn(remove(session, join_remote(directory, entry->name), removed));
    }
    co_await removing;
    if (const auto& error = session.client->error()) co_return *error;
  }
  if (removed > 0) {
    log::info("old control files removed", {{"destination", destination.name}, {"files", removed}});
  }
  co_return Result<void>();
}

}  // namespace ferry::transfer

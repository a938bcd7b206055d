#include "ferry/landing/quarantine.h"

#include <fcntl.h>

#include <algorithm>
#include <map>

#include "landing/ignore.h"
#include "landing/inspect.h"
#include "landing/quarantine_folder.h"
#include "landing/root.h"
#include "landing/upload_place.h"

namespace ferry::landing {
namespace {

using metastore::FileRecord;
using metastore::FileState;
using metastore::Metastore;

/// What is at PATH in AREA; kNotFound where nothing is.
Result<struct stat> look(const LandingArea& area, const std::string& path) {
  const auto root = open_file(area.path, O_RDONLY | O_DIRECTORY);
  if (!root) return root.error();
  return probe(root->get(), path);
}

Result<void> set_state(Metastore& metastore, std::string_view id, FileState state,
                       std::string_view reason) {
  const metastore::StateChange change{std::string(id), state, std::string(reason)};
  const auto changed = metastore.change_states(std::span(&change, 1));
  return changed ? Result<void>() : changed.error();
}

HeldFile to_held(const FileRecord& file) {
  return {.id = file.id,
          .landing = file.landing,
          .path = file.path,
          .reason = file.reason,
          .kind = "file",
          .since = file.updated_date,
          .size = file.identity ? file.identity->size : 0,
          .registered = true,
          .location = {}};
}

/// Opens HELD where it lies: in QUARANTINE, or still in its old place.
Result<UniqueFd> open_held(const LandingArea& area, const HeldFile& held,
                           const std::optional<QuarantineFolder>& folder) {
  if (folder) {
    auto fd = folder->open_file(held);
    if (fd || fd.error().kind != ErrorKind::kNotFound) return fd;
  }
  const auto root = open_file(area.path, O_RDONLY | O_DIRECTORY);
  if (!root) return root.error();
  return open_beneath(root->get(), held.path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
}

Result<void> check_name(const LandingArea& area, const HeldFile& held, const std::string& path,
                        bool in_place) {
  if (const auto problem = name_problem(path)) {
    return make_error(ErrorKind::kInvalid, "{}: {}; give it another one with --as NAME",
                      printable(path), *problem);
  }
  if (IgnoreRules(area.ignore).ignores_file(path)) {
    return make_error(ErrorKind::kInvalid, "{}: files of this name are ignored", path);
  }
  if (in_place && path == held.path) return {};
  const auto there = look(area, path);
  if (!there && there.error().kind == ErrorKind::kNotFound) return {};
  if (!there) return there.error();
  return make_error(ErrorKind::kInvalid,
                    "{}: the landing area has another file of this name; give this one another "
                    "name with --as NAME",
                    path);
}

/// Where HELD is in an area on a server: what is held there lies where it landed.
fs::path location_in(const LandingArea& area, const HeldFile& held) {
  return place_name(area) + "/" + held.path;
}

/// The row of a held file.
Result<FileRecord> row_of(Metastore& metastore, const HeldFile& held) {
  auto found = metastore.find(std::span(&held.id, 1));
  if (!found) return found.error();
  if (found->front()) return *std::move(found->front());
  return make_error(ErrorKind::kNotFound, "{}: the registry does not know it", held.id);
}

/// Enters the file; the row without an identity stands for it until it is in its place.
Result<FileRecord> register_released(Metastore& metastore, FileRecord record) {
  const auto registrations = metastore.register_files({record});
  if (!registrations) return registrations.error();
  record.id = registrations->front().id;
  return record;
}

}  // namespace

Result<bool> quarantine(Metastore& metastore, const LandingArea& area, const FileRecord& file,
                        std::string_view reason) {
  if (area.location) return false;
  const auto status = look(area, file.path);
  if (!status) {
    const ErrorKind kind = status.error().kind;
    if (kind == ErrorKind::kNotFound || kind == ErrorKind::kAbnormal) return false;
    return status.error();
  }
  const FileIdentity identity = identity_of(*status);
  if (file.identity && *file.identity != identity) return false;
  if (auto stated = set_state(metastore, file.id, FileState::kQuarantined, reason); !stated) {
    return stated.error();
  }
  auto folder = QuarantineFolder::make(area);
  if (!folder) return folder.error();
  HeldFile held = to_held(file);
  held.reason = reason;
  if (auto taken = folder->take(held, identity); !taken) return taken.error();
  return true;
}

Result<std::vector<HeldFile>> held_files(Metastore& metastore, std::span<const LandingArea> areas) {
  std::map<std::string, HeldFile> registered;
  const metastore::FileQuery quarantined{.states = {FileState::kQuarantined}};
  auto visited = metastore.visit(quarantined, [&](const FileRecord& file, auto) {
    registered.emplace(file.id, to_held(file));
  });
  if (!visited) return visited.error();
  std::vector<HeldFile> held;
  for (const LandingArea& area : areas) {
    if (area.location) continue;
    const auto folder = QuarantineFolder::find(area);
    if (!folder) return folder.error();
    if (!*folder) continue;
    auto files = (*folder)->list();
    if (!files) return files.error();
    for (HeldFile& file : *files) {
      // The table has the last word on what it knows.
      const auto row = registered.find(file.id);
      file.registered = row != registered.end();
      if (file.registered) {
        file.reason = row->second.reason;
        registered.erase(row);
      }
      held.push_back(std::move(file));
    }
  }
  for (auto& [id, file] : registered) {
    const auto area = std::ranges::find(areas, file.landing, &LandingArea::name);
    if (area != areas.end() && area->location) {
      file.location = location_in(*area, file);
    } else if (area != areas.end() && look(*area, file.path)) {
      file.location = area->path / file.path;
    }
    held.push_back(std::move(file));
  }
  std::ranges::stable_sort(held, {}, &HeldFile::since);
  return held;
}

namespace {

/// On a server the file is in its place already; the agent proves its content when it is sent.
Result<FileRecord> release_in_place(Metastore& metastore, const HeldFile& held,
                                    const std::string& path) {
  if (path != held.path) {
    return make_error(ErrorKind::kInvalid,
                      "what is held on a server is released under its own name only");
  }
  auto row = row_of(metastore, held);
  if (!row) return row.error();
  FileRecord record;
  record.path = path;
  record.landing = row->landing;
  record.checksum = row->checksum;
  record.source = row->source;
  record.reason = fmt::format("released from quarantine: {}", held.reason);
  auto released = register_released(metastore, std::move(record));
  if (!released) return released;
  auto stated = set_state(metastore, held.id, FileState::kSuperseded,
                          fmt::format("released as version {}", released->id));
  if (!stated) return stated.error();
  released->identity = row->identity;
  return register_released(metastore, std::move(*released));
}

/// Only the version that is held: what has taken its place since stays.
Result<void> drop_in_place(Metastore& metastore, const LandingArea& area, const HeldFile& held,
                           StopToken& stop) {
  const auto row = row_of(metastore, held);
  if (!row) return row.error();
  auto place = open_place(area, stop);
  if (!place) return place.error();
  const StagedFile file{.path = held.path,
                        .temporary = {},
                        .identity = row->identity.value_or(FileIdentity{}),
                        .sha256 = row->checksum};
  const auto there = (*place)->identities(std::span(&file, 1));
  if (!there) return there.error();
  if (there->front()) {
    const auto removed = (*place)->discard(std::span(&held.path, 1));
    if (!removed) return removed.error();
  }
  return set_state(metastore, held.id, FileState::kMissing,
                   fmt::format("dropped from quarantine: {}", held.reason));
}

}  // namespace

Result<FileRecord> release(Metastore& metastore, const LandingArea& area, const HeldFile& held,
                           const std::string& path, const StopToken& stop) {
  if (area.location) return release_in_place(metastore, held, path);
  auto folder = QuarantineFolder::find(area);
  if (!folder) return folder.error();
  const auto fd = open_held(area, held, *folder);
  if (!fd) return fd.error();
  const auto status = stat_fd(fd->get(), held.location);
  if (!status) return status.error();
  if (!S_ISREG(status->st_mode)) {
    return make_error(ErrorKind::kAbnormal, "it is no regular file and cannot be delivered");
  }
  const bool in_place = look(area, held.path) && held.location == area.path / held.path;
  if (auto named = check_name(area, held, path, in_place); !named) return named.error();

  std::vector<std::byte> buffer(std::size_t{1024} * 1024);
  const auto content = hash_content(fd->get(), held.path, buffer, stop);
  if (!content) return content.error();
  FileRecord record;
  record.path = path;
  record.landing = area.name;
  record.checksum = content->checksum;
  record.source = metastore::FileSource::kWatch;
  record.reason = fmt::format("released from quarantine: {}", held.reason);
  auto released = register_released(metastore, std::move(record));
  if (!released) return released;
  if (held.registered) {
    auto stated = set_state(metastore, held.id, FileState::kSuperseded,
                            fmt::format("released as version {}", released->id));
    if (!stated) return stated.error();
  }
  if (!in_place) {
    if (auto moved = (*folder)->put_back(held, path); !moved) return moved.error();
  }
  const auto now_there = look(area, path);
  if (!now_there) return now_there.error();
  released->identity = identity_of(*now_there);
  return register_released(metastore, std::move(*released));
}

Result<void> drop(Metastore& metastore, const LandingArea& area, const HeldFile& held,
                  StopToken& stop) {
  if (area.location) return drop_in_place(metastore, area, held, stop);
  auto folder = QuarantineFolder::find(area);
  if (!folder) return folder.error();
  const bool in_place = held.location == area.path / held.path;
  if (*folder && !in_place && !held.location.empty()) {
    if (auto removed = (*folder)->remove(held); !removed) return removed;
  }
  if (in_place) {
    const auto root = open_file(area.path, O_RDONLY | O_DIRECTORY);
    if (!root) return root.error();
    const auto parent = open_parent(root->get(), held.path);
    if (!parent) return parent.error();
    if (::unlinkat(parent->directory.get(), parent->name.c_str(), 0) != 0) {
      return errno_error(errno, fmt::format("remove {}", held.location.string()));
    }
  }
  if (!held.registered) return {};
  return set_state(metastore, held.id, FileState::kMissing,
                   fmt::format("dropped from quarantine: {}", held.reason));
}

}  // namespace ferry::landing

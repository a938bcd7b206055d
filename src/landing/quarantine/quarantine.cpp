#include "ferry/landing/quarantine.h"

#include <fcntl.h>

#include <algorithm>
#include <map>

#include "ferry/base/directory.h"
#include "ferry/base/text.h"
#include "landing/quarantine/quarantine_folder.h"
#include "landing/register/inspect.h"
#include "landing/register/registered.h"
#include "landing/upload/upload_place.h"
#include "landing/watch/ignore.h"
#include "landing/watch/root.h"

namespace ferry::landing {
namespace {

using metastore::FileRecord;
using metastore::FileState;
using metastore::Metastore;

/// What is at PATH in AREA; kNotFound if nothing is.
Result<struct stat> look(const LandingArea& area, const std::string& path) {
  const auto root = open_file(area.path, O_RDONLY | O_DIRECTORY);
  if (!root) return root.error();
  return stat_beneath(root->get(), path);
}

Result<void> set_state(Metastore& metastore, std::string_view id, FileState state,
                       std::string_view reason) {
  const metastore::StateChange change{std::string(id), state, std::string(reason)};
  const auto changed = metastore.change_states(std::span(&change, 1));
  return changed ? Result<void>() : changed.error();
}

/// Said by QuarantineFolder::take: the file that was meant is not in its place.
bool is_elsewhere(const Error& error) {
  const bool is_another = error.kind == ErrorKind::kBusy && error.os_code == 0;
  return is_another || error.kind == ErrorKind::kNotFound || error.kind == ErrorKind::kAbnormal;
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
  return open_beneath(root->get(), held.path, O_RDONLY);
}

/// Whether something is at PATH in AREA.
Result<bool> is_taken(const LandingArea& area, const std::string& path) {
  const auto there = look(area, path);
  if (there) return true;
  if (there.error().kind == ErrorKind::kNotFound) return false;
  return there.error();
}

/// Whether HELD was not moved, or not yet.
Result<bool> is_in_place(const LandingArea& area, const HeldFile& held) {
  if (held.location != area.path / held.path) return false;
  return is_taken(area, held.path);
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
  const auto taken = is_taken(area, path);
  if (!taken) return taken.error();
  if (!*taken) return {};
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

Result<std::string> enter(Metastore& metastore, const FileRecord& record) {
  const auto registrations = metastore.register_files({record});
  if (!registrations) return registrations.error();
  return registrations->front().id;
}

/// Enters a file that is in its place, with an id of its own.
Result<FileRecord> register_released(Metastore& metastore, FileRecord record,
                                     const HeldFile& held) {
  auto id = enter(metastore, record);
  if (id && *id == held.id) {
    // It was never moved: the row of what is held has this very identity.
    FileRecord anew = record;
    anew.identity.reset();
    id = enter(metastore, anew);
    if (id) id = enter(metastore, record);
  }
  if (!id) return id.error();
  record.id = *id;
  return record;
}

Result<void> supersede(Metastore& metastore, std::string_view held, std::string_view released) {
  return set_state(metastore, held, FileState::kSuperseded,
                   fmt::format("released as version {}", released));
}

}  // namespace

Json to_json(const HeldFile& file) {
  return {{"id", file.id},
          {"landing", file.landing},
          {"path", escape_controls(file.path)},
          {"reason", file.reason},
          {"since", format_timestamp(file.since)},
          {"kind", file.kind},
          {"size", file.size},
          {"registered", file.registered}};
}

Result<bool> quarantine(Metastore& metastore, const LandingArea& area, const FileRecord& file,
                        std::string_view reason) {
  if (area.location || !area.moves_aside || !file.identity) return false;
  HeldFile held = to_held(file);
  held.reason = reason;
  auto folder = QuarantineFolder::make(area);
  const Result<void> taken = folder ? folder->take(held, file.identity) : folder.error();
  if (!taken && is_elsewhere(taken.error())) return false;
  if (auto stated = set_state(metastore, file.id, FileState::kQuarantined, reason); !stated) {
    return stated.error();
  }
  if (!taken) return taken.error();
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
    } else if (area != areas.end()) {
      const auto taken = is_taken(*area, file.path);
      if (!taken) return taken.error();
      if (*taken) file.location = area->path / file.path;
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
  record.identity = row->identity;
  auto released = register_released(metastore, std::move(record), held);
  if (!released) return released;
  if (auto stated = supersede(metastore, held.id, released->id); !stated) return stated.error();
  return released;
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
    return make_error(ErrorKind::kAbnormal, "it is not a regular file and cannot be delivered");
  }
  const auto in_place = is_in_place(area, held);
  if (!in_place) return in_place.error();
  if (auto named = check_name(area, held, path, *in_place); !named) return named.error();

  std::vector<std::byte> buffer(std::size_t{1024} * 1024);
  const auto content = hash_content(fd->get(), held.path, buffer, stop);
  if (!content) return content.error();
  FileRecord record;
  record.path = path;
  record.landing = area.name;
  record.checksum = content->checksum;
  record.source = metastore::FileSource::kWatch;
  record.reason = fmt::format("released from quarantine: {}", held.reason);

  const FileIdentity identity = identity_of(*status);
  if (!*folder) {
    auto made = QuarantineFolder::make(area);
    if (!made) return made.error();
    *folder = std::move(*made);
  }
  auto marked = (*folder)->mark(identity, {held.id, path, record.checksum, record.reason});
  if (!marked) return marked.error();
  if (!*in_place) {
    if (auto moved = (*folder)->put_back(held, path); !moved) {
      // After any other error it may be there.
      if (moved.error().kind == ErrorKind::kInvalid) {
        (*folder)->remove_mark(release_mark_name(identity));
      }
      return moved.error();
    }
  }
  const auto now_there = look(area, path);
  if (!now_there) return now_there.error();
  record.identity = identity_of(*now_there);
  if (!same_but_for_ctime(*record.identity, identity)) {
    return make_error(ErrorKind::kBusy, "{}: another file has taken its place", path);
  }
  auto released = register_released(metastore, std::move(record), held);
  if (!released) return released;
  if (held.registered) {
    if (auto stated = supersede(metastore, held.id, released->id); !stated) return stated.error();
  }
  (*folder)->forget(held.id);
  (*folder)->remove_mark(release_mark_name(identity));
  return released;
}

namespace {

/// The version of a marked file that is in its place and registered anew; nothing if it is not.
Result<std::optional<std::string>> released_version(Metastore& metastore, const LandingArea& area,
                                                    const std::string& name,
                                                    const ReleaseMark& mark) {
  const auto there = look(area, mark.path);
  if (!there) return std::optional<std::string>();
  const FileIdentity identity = identity_of(*there);
  if (release_mark_name(identity) != name) return std::optional<std::string>();
  const auto latest = metastore.latest(area.name, std::span(&mark.path, 1));
  if (!latest) return latest.error();
  const auto& row = latest->front();
  if (!is_registered_as(row, identity) || row->id == mark.id) return std::optional<std::string>();
  return row->id;
}

}  // namespace

Result<void> finish_releases(Metastore& metastore, const LandingArea& area) {
  if (area.location) return {};
  auto folder = QuarantineFolder::find(area);
  // What cannot be read now may be at the next rescan.
  if (!folder || !*folder) return {};
  const auto marks = (*folder)->marks();
  if (!marks) return {};
  for (const auto& [name, mark] : *marks) {
    const auto released = released_version(metastore, area, name, mark);
    if (!released) return released.error();
    if (!*released) continue;
    const auto rows = metastore.find(std::span(&mark.id, 1));
    if (!rows) return rows.error();
    const auto& held = rows->front();
    if (held && held->state == FileState::kQuarantined) {
      if (auto stated = supersede(metastore, mark.id, **released); !stated) return stated;
    }
    (*folder)->forget(mark.id);
    (*folder)->remove_mark(name);
  }
  return {};
}

namespace {

/// What could not be moved aside so far is moved first: then it is known what is deleted.
Result<void> delete_held(Metastore& metastore, const LandingArea& area, const HeldFile& held) {
  if (held.location.empty()) {  // a crash may have left its note
    const auto folder = QuarantineFolder::find(area);
    if (folder && *folder) (*folder)->forget(held.id);
    return {};
  }
  const auto in_place = is_in_place(area, held);
  if (!in_place) return in_place.error();
  if (!*in_place) {
    auto folder = QuarantineFolder::find(area);
    if (!folder) return folder.error();
    return *folder ? (*folder)->remove(held) : Result<void>();
  }
  const auto row = row_of(metastore, held);
  if (!row) return row.error();
  auto folder = QuarantineFolder::make(area);
  if (!folder) return folder.error();
  if (auto taken = folder->take(held, row->identity); !taken) return taken;
  return folder->remove(held);
}

}  // namespace

Result<void> drop(Metastore& metastore, const LandingArea& area, const HeldFile& held,
                  StopToken& stop) {
  if (area.location) return drop_in_place(metastore, area, held, stop);
  if (auto deleted = delete_held(metastore, area, held); !deleted) return deleted;
  if (!held.registered) return {};
  return set_state(metastore, held.id, FileState::kMissing,
                   fmt::format("dropped from quarantine: {}", held.reason));
}

}  // namespace ferry::landing

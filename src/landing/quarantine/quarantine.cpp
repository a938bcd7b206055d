#include "ferry/landing/quarantine.h"

#include <algorithm>
#include <cerrno>
#include <map>

#include "ferry/base/text.h"
#include "landing/quarantine/keeper.h"

namespace ferry::landing {

using metastore::FileRecord;
using metastore::FileState;
using metastore::Metastore;

namespace {

/// The row with this id, as it is now.
Outcome<FileRecord> find_row(Metastore& metastore, const std::string& id) {
  auto found = metastore.find(std::span(&id, 1));
  if (!found) return fail(found.error(), Origin::kMetastore);
  if (auto& row = found->front()) return *std::move(row);
  return fail(make_error(ErrorKind::kNotFound, "{}: the registry does not know it", id));
}

std::unique_ptr<Keeper> keeper_of(Metastore& metastore, const LandingArea& area) {
  return area.is_remote() ? keep_in_place(metastore, area) : keep_aside(metastore, area);
}

}  // namespace

HeldFile to_held(const FileRecord& file) {
  return {.id = file.id,
          .landing = file.landing,
          .path = file.path,
          .reason = file.reason,
          .kind = "file",
          .since = file.updated_date,
          .size = file.identity ? file.identity->size : 0,
          .registered = true,
          .identity = file.identity,
          .location = {}};
}

Result<void> set_state(Metastore& metastore, std::string_view id, FileState state,
                       std::string_view reason) {
  const metastore::StateChange change{std::string(id), state, std::string(reason)};
  const auto changed = metastore.change_states(std::span(&change, 1));
  return changed ? Result<void>() : changed.error();
}

Outcome<void> set_dropped(Metastore& metastore, const HeldFile& held) {
  const auto stated = set_state(metastore, held.id, FileState::kMissing,
                                fmt::format("dropped from quarantine: {}", held.reason));
  if (!stated) return fail(stated.error(), Origin::kMetastore);
  return {};
}

std::string released_reason(const HeldFile& held) {
  return fmt::format("released from quarantine: {}", held.reason);
}

Result<void> set_released(Metastore& metastore, std::string_view held, std::string_view released) {
  return set_state(metastore, held, FileState::kSuperseded,
                   fmt::format("released as version {}", released));
}

Outcome<FileRecord> row_of(Metastore& metastore, const HeldFile& held) {
  auto row = find_row(metastore, held.id);
  if (!row || row->state == FileState::kQuarantined) return row;
  return fail(make_error(ErrorKind::kFailed,
                         "{}: it is not held any more: somebody else has released or dropped it",
                         held.path));
}

Outcome<std::optional<std::string>> newer_version(Metastore& metastore, const FileRecord& held) {
  const auto latest = metastore.latest(held.landing, std::span(&held.path, 1));
  if (!latest) return fail(latest.error(), Origin::kMetastore);
  const auto& newest = latest->front();
  if (!newest || newest->id == held.id) return std::nullopt;
  return newest->id;
}

Outcome<void> check_newest(Metastore& metastore, const FileRecord& held) {
  const auto newer = newer_version(metastore, held);
  if (!newer) return std::unexpected(newer.error());
  if (!*newer) return {};
  return fail(make_error(ErrorKind::kFailed,
                         "{}: the registry has a newer version of it, {} ('ferry quarantine drop' "
                         "takes the older one off the list)",
                         held.path, **newer));
}

Outcome<FileRecord> let_go(Metastore& metastore, const HeldFile& held) {
  const auto row = row_of(metastore, held);
  if (!row) return row;
  if (auto newest = check_newest(metastore, *row); !newest) return std::unexpected(newest.error());
  const auto stated = set_state(metastore, row->id, FileState::kReady, released_reason(held));
  if (!stated) return fail(stated.error(), Origin::kMetastore);
  return find_row(metastore, row->id);
}

/// Of one file the registry may have two rows that are held: what a person let go is one file.
Outcome<FileRecord> let_twin_go(Metastore& metastore, const std::string& id, const HeldFile& held) {
  auto row = find_row(metastore, id);
  if (row && row->state == FileState::kQuarantined) {
    const auto stated = set_state(metastore, id, FileState::kReady, released_reason(held));
    if (!stated) return fail(stated.error(), Origin::kMetastore);
    row = find_row(metastore, id);
  }
  if (!row || row->state == FileState::kReady) return row;
  return fail(make_error(ErrorKind::kFailed,
                         "{}: it is in its place, but its version {} is not ready", row->path, id));
}

Outcome<FileRecord> register_released(Metastore& metastore, FileRecord record,
                                      const HeldFile& held) {
  const auto registrations = metastore.register_files({std::move(record)});
  if (!registrations) return fail(registrations.error(), Origin::kMetastore);
  const std::string& id = registrations->front().id;
  // Where moving a file leaves its ctime, the row of what is held has this very identity.
  if (id == held.id) return let_go(metastore, held);
  const auto ready = let_twin_go(metastore, id, held);
  if (!ready) return ready;
  if (held.registered) {
    if (auto stated = set_released(metastore, held.id, id); !stated) {
      return fail(stated.error(), Origin::kMetastore);
    }
  }
  return ready;
}

Json to_json(const HeldFile& file) {
  return {{"id", file.id},
          {"landing", file.landing},
          {"path", escape_controls(file.path)},
          {"reason", file.reason},
          {"since", format_timestamp(file.since)},
          {"kind", file.kind},
          {"size", file.size},
          {"registered", file.registered},
          {"out_of_sight", file.out_of_sight},
          {"replaced", file.replaced}};
}

Result<bool> quarantine(Metastore& metastore, const LandingArea& area, const FileRecord& file,
                        std::string_view reason) {
  return keeper_of(metastore, area)->hold(file, reason);
}

Outcome<std::vector<HeldFile>> held_files(Metastore& metastore,
                                          std::span<const LandingArea> areas) {
  std::map<std::string, HeldFile> registered;
  const metastore::FileQuery quarantined{.states = {FileState::kQuarantined}};
  auto visited = metastore.visit(quarantined, [&](const FileRecord& file, auto) {
    registered.emplace(file.id, to_held(file));
  });
  if (!visited) return fail(visited.error(), Origin::kMetastore);
  std::vector<HeldFile> held;
  for (const LandingArea& area : areas) {
    auto files = keeper_of(metastore, area)->moved();
    if (!files) return fail(files.error());
    for (HeldFile& file : *files) {
      // The table has the last word on what it knows.
      const auto row = registered.find(file.id);
      file.registered = row != registered.end();
      if (file.registered) {
        file.reason = row->second.reason;
        file.identity = row->second.identity;
        registered.erase(row);
      }
      held.push_back(std::move(file));
    }
  }
  for (auto& [id, file] : registered) {
    const auto area = std::ranges::find(areas, file.landing, &LandingArea::name);
    if (area != areas.end()) {
      auto located = keeper_of(metastore, *area)->locate(file);
      if (!located) return fail(located.error());
    }
    held.push_back(std::move(file));
  }
  std::ranges::stable_sort(held, {}, &HeldFile::since);
  return held;
}

Outcome<FileRecord> release(Metastore& metastore, const LandingArea& area, const HeldFile& held,
                            const std::string& path, StopToken& stop) {
  return keeper_of(metastore, area)->release(held, path, stop);
}

bool wants_another_name(const Error& error) {
  return is_name_taken(error) || (error.kind == ErrorKind::kInvalid && error.os_code == EINVAL);
}

bool is_name_taken(const Error& error) {
  return error.kind == ErrorKind::kInvalid && error.os_code == EEXIST;
}

Result<void> finish_releases(Metastore& metastore, const LandingArea& area) {
  return keeper_of(metastore, area)->finish_releases();
}

Outcome<void> drop(Metastore& metastore, const LandingArea& area, const HeldFile& held,
                   StopToken& stop) {
  return keeper_of(metastore, area)->drop(held, stop);
}

}  // namespace ferry::landing

#include <fcntl.h>

#include "ferry/base/directory.h"
#include "landing/quarantine/keeper.h"
#include "landing/quarantine/quarantine_folder.h"
#include "landing/register/inspect.h"
#include "landing/register/registered.h"
#include "landing/watch/ignore.h"
#include "landing/watch/root.h"

namespace ferry::landing {
namespace {

using metastore::FileRecord;
using metastore::FileState;
using metastore::Metastore;

constexpr std::size_t kBlockBytes = 1 << 20;

/// An area that is not there says nothing of what is in it.
Result<UniqueFd> open_area(const LandingArea& area) {
  auto root = open_file(area.path, O_RDONLY | O_DIRECTORY);
  if (root) return root;
  return Error{ErrorKind::kIo, root.error().message, root.error().os_code}.with_context(
      "landing area");
}

/// What is at PATH in AREA; kNotFound if nothing is.
Result<struct stat> look(const LandingArea& area, const std::string& path) {
  const auto root = open_area(area);
  if (!root) return root.error();
  return stat_beneath(root->get(), path);
}

/// Said by QuarantineFolder::take: the file that was meant is not in its place.
bool is_elsewhere(const Error& error) {
  const bool is_another = error.kind == ErrorKind::kBusy && error.os_code == 0;
  return is_another || error.kind == ErrorKind::kNotFound || error.kind == ErrorKind::kAbnormal;
}

Error no_quarantine(const LandingArea& area, const std::string& path) {
  return make_error(ErrorKind::kIo,
                    "{}: neither the file nor the quarantine {} is there: is its file system "
                    "mounted?",
                    path, QuarantineFolder::path_of(area).string());
}

/// That what HELD was on is there.
Result<void> check_file_system(const UniqueFd& root, const HeldFile& held) {
  if (!held.identity || device_above(root.get(), held.path) == held.identity->device) return {};
  return make_error(ErrorKind::kIo,
                    "{}: it was on a file system that is not there: is that mounted?", held.path);
}

/// That HELD, which is not found, is gone, and not what it was on.
Result<void> check_gone(const LandingArea& area, const HeldFile& held) {
  const auto root = open_area(area);
  if (!root) return root.error();
  const auto folder = QuarantineFolder::find(area);
  if (!folder) return folder.error();
  if (!*folder) return no_quarantine(area, held.path);
  return check_file_system(*root, held);
}

Error another_file(const std::string& path) {
  return make_error(ErrorKind::kBusy, "{}: another file has taken its place", path);
}

/// The number of a device may change while a file system is not mounted.
bool is_same_version(std::optional<FileIdentity> registered, const FileIdentity& there) {
  if (!registered) return false;
  registered->device = there.device;
  return same_but_for_ctime(*registered, there);
}

/// Opens HELD where it lies: in QUARANTINE, or still in its old place.
Result<UniqueFd> open_held(const LandingArea& area, const HeldFile& held,
                           const std::optional<QuarantineFolder>& folder) {
  if (folder) {
    auto fd = folder->open_file(held);
    if (fd || fd.error().kind != ErrorKind::kNotFound) return fd;
  }
  const auto root = open_area(area);
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
  if (in_place && path != held.path) {
    return make_error(ErrorKind::kInvalid,
                      "{}: it lies in its place still, and is released under its own name only",
                      held.path);
  }
  if (const auto problem = name_problem(path)) {
    return Error{ErrorKind::kInvalid, fmt::format("{}: {}", printable(path), *problem), EINVAL};
  }
  if (IgnoreRules(area.ignore).ignores_file(path)) {
    return Error{ErrorKind::kInvalid, fmt::format("{}: files of this name are ignored", path),
                 EINVAL};
  }
  if (in_place) return {};
  const auto taken = is_taken(area, path);
  if (!taken) return taken.error();
  if (*taken) return name_taken(path);
  return {};
}

class Aside final : public Keeper {
 public:
  Aside(Metastore& metastore, const LandingArea& area) : metastore_(metastore), area_(area) {}

  Result<bool> hold(const FileRecord& file, std::string_view reason) override;
  Result<std::vector<HeldFile>> moved() override;
  Result<void> locate(HeldFile& file) override;
  Outcome<FileRecord> release(const HeldFile& held, const std::string& path,
                              StopToken& stop) override;
  Result<void> finish_releases() override;
  Outcome<void> drop(const HeldFile& held, StopToken& stop) override;

 private:
  /// A file on its way back. Its identity changes when it is moved.
  struct Leaving {
    std::optional<QuarantineFolder> folder;  // there is one unless it is in its place
    FileRecord record;
    bool in_place = false;
  };

  Result<Leaving> prepare(const HeldFile& held, const std::string& path, const StopToken& stop);
  Result<void> mark(const HeldFile& held, Leaving& leaving);
  Result<void> put_back(const HeldFile& held, Leaving& leaving);
  Result<std::optional<std::string>> released_version(const std::string& name,
                                                      const ReleaseMark& mark) const;
  Outcome<void> remove(const HeldFile& held, const StopToken& stop);
  Outcome<void> remove_from_place(const HeldFile& held, const StopToken& stop);
  Result<bool> is_still(const FileRecord& row, const FileIdentity& there,
                        const StopToken& stop) const;
  Outcome<void> leave_replaced(const HeldFile& held) const;
  Result<void> remove_from_folder(const HeldFile& held);

  Metastore& metastore_;
  const LandingArea& area_;
};

Result<bool> Aside::hold(const FileRecord& file, std::string_view reason) {
  if (!area_.can_move_aside() || !file.identity) return false;
  // With another ctime it may have other bytes: the watcher reads it again.
  const auto there = look(area_, file.path);
  if (there && identity_of(*there) != file.identity) return false;
  HeldFile held = to_held(file);
  held.reason = reason;
  auto folder = QuarantineFolder::make(area_);
  const Result<void> taken = folder ? folder->take(held, file.identity) : folder.error();
  if (!taken && is_elsewhere(taken.error())) return false;
  if (auto stated = set_state(metastore_, file.id, FileState::kQuarantined, reason); !stated) {
    return stated.error();
  }
  if (!taken) return taken.error();
  return true;
}

Result<std::vector<HeldFile>> Aside::moved() {
  const auto folder = QuarantineFolder::find(area_);
  if (!folder) return folder.error();
  return *folder ? (*folder)->list() : std::vector<HeldFile>();
}

Result<void> Aside::locate(HeldFile& file) {
  const auto there = look(area_, file.path);
  if (!there && there.error().kind != ErrorKind::kNotFound) return there.error();
  if (!there) {
    file.out_of_sight = !check_gone(area_, file);
  } else if (!file.identity || is_same_version(file.identity, identity_of(*there))) {
    file.location = area_.path / file.path;
  } else {
    file.replaced = leave_replaced(file).has_value();
    file.out_of_sight = !file.replaced;
  }
  return {};
}

/// Everything that is to be known and noted before the file is moved.
Result<Aside::Leaving> Aside::prepare(const HeldFile& held, const std::string& path,
                                      const StopToken& stop) {
  if (held.replaced) return another_file(held.path);
  auto folder = QuarantineFolder::find(area_);
  if (!folder) return folder.error();
  const auto fd = open_held(area_, held, *folder);
  if (!fd && fd.error().kind == ErrorKind::kNotFound) {
    if (auto gone = check_gone(area_, held); !gone) return gone.error();
  }
  if (!fd) return fd.error();
  const auto status = stat_fd(fd->get(), held.location);
  if (!status) return status.error();
  if (!S_ISREG(status->st_mode)) {
    return make_error(ErrorKind::kAbnormal, "it is not a regular file and cannot be delivered");
  }
  const auto in_place = is_in_place(area_, held);
  if (!in_place) return in_place.error();
  if (*in_place && held.registered && !is_same_version(held.identity, identity_of(*status))) {
    return another_file(held.path);
  }
  if (auto named = check_name(area_, held, path, *in_place); !named) return named.error();

  std::vector<std::byte> buffer(kBlockBytes);
  const auto content = hash_content(fd->get(), held.path, buffer, stop);
  if (!content) return content.error();
  FileRecord record;
  record.path = path;
  record.landing = area_.name;
  record.checksum = content->checksum;
  record.source = metastore::FileSource::kWatch;
  record.reason = released_reason(held);
  record.identity = identity_of(*status);

  Leaving leaving{std::move(*folder), std::move(record), *in_place};
  if (auto marked = mark(held, leaving); !marked) return marked.error();
  return leaving;
}

/// What stays where it is needs none: it is let go the moment that the registry says so.
Result<void> Aside::mark(const HeldFile& held, Leaving& leaving) {
  if (leaving.in_place) return {};
  if (!leaving.folder) return no_quarantine(area_, held.path);
  const FileRecord& record = leaving.record;
  return leaving.folder->mark(*record.identity,
                              {held.id, record.path, record.checksum, record.reason});
}

Result<void> Aside::put_back(const HeldFile& held, Leaving& leaving) {
  const std::string& path = leaving.record.path;
  const FileIdentity before = *leaving.record.identity;
  if (!leaving.in_place) {
    if (auto moved = leaving.folder->put_back(held, path); !moved) {
      // Where it is not held any more, it may be there in spite of the error.
      if (leaving.folder->open_file(held)) {
        leaving.folder->remove_mark(release_mark_name(before));
      }
      return moved;
    }
  }
  const auto now_there = look(area_, path);
  if (!now_there) return now_there.error();
  leaving.record.identity = identity_of(*now_there);
  if (same_but_for_ctime(*leaving.record.identity, before)) return {};
  return another_file(path);
}

Outcome<FileRecord> Aside::release(const HeldFile& held, const std::string& path, StopToken& stop) {
  auto leaving = prepare(held, path, stop);
  if (!leaving) return fail(leaving.error());
  const std::string mark = release_mark_name(*leaving->record.identity);
  if (auto back = put_back(held, *leaving); !back) return fail(back.error());
  // Where it was never moved, it has the identity of its row.
  const bool was_moved = !held.registered || leaving->record.identity != held.identity;
  auto released = was_moved ? register_released(metastore_, std::move(leaving->record), held)
                            : let_go(metastore_, held);
  if (!released) return released;
  if (leaving->folder) {
    // By the mark the next rescan tries it again.
    if (leaving->folder->forget(held.id)) leaving->folder->remove_mark(mark);
  }
  return released;
}

/// The version of a marked file that is in its place and registered anew; nothing if it is not.
Result<std::optional<std::string>> Aside::released_version(const std::string& name,
                                                           const ReleaseMark& mark) const {
  const auto there = look(area_, mark.path);
  if (!there) return std::optional<std::string>();
  const FileIdentity identity = identity_of(*there);
  if (release_mark_name(identity) != name) return std::optional<std::string>();
  const auto latest = metastore_.latest(area_.name, std::span(&mark.path, 1));
  if (!latest) return latest.error();
  const auto& row = latest->front();
  if (!is_registered_as(row, identity) || row->id == mark.id) return std::optional<std::string>();
  return row->id;
}

Result<void> Aside::finish_releases() {
  auto folder = QuarantineFolder::find(area_);
  // What cannot be read now may be at the next rescan.
  if (!folder || !*folder) return {};
  const auto marks = (*folder)->marks();
  if (!marks) return {};
  for (const auto& [name, mark] : *marks) {
    const auto released = released_version(name, mark);
    if (!released) return released.error();
    if (!*released) continue;
    const auto rows = metastore_.find(std::span(&mark.id, 1));
    if (!rows) return rows.error();
    const auto& held = rows->front();
    if (held && held->state == FileState::kQuarantined) {
      if (auto stated = set_released(metastore_, mark.id, **released); !stated) return stated;
    }
    if ((*folder)->forget(mark.id)) (*folder)->remove_mark(name);
  }
  return {};
}

/// With another ctime it may have other bytes, which nobody has judged.
Result<bool> Aside::is_still(const FileRecord& row, const FileIdentity& there,
                             const StopToken& stop) const {
  if (!row.identity) return true;
  if (!is_same_version(row.identity, there)) return false;
  if (row.identity->ctime_ns == there.ctime_ns) return true;
  const auto root = open_area(area_);
  if (!root) return root.error();
  const auto fd = open_beneath(root->get(), row.path, O_RDONLY);
  if (!fd) return fd.error();
  std::vector<std::byte> buffer(kBlockBytes);
  const auto content = hash_content(fd->get(), row.path, buffer, stop);
  if (!content) return content.error();
  return content->checksum == row.checksum;
}

/// What has the place of HELD stays as it is, unless HELD may be on what is not there.
Outcome<void> Aside::leave_replaced(const HeldFile& held) const {
  const auto root = open_area(area_);
  if (!root) return fail(root.error());
  const auto checked = check_file_system(*root, held);
  return checked ? Outcome<void>() : fail(checked.error());
}

/// It is moved aside first: then it is known what is deleted.
Outcome<void> Aside::remove_from_place(const HeldFile& held, const StopToken& stop) {
  const auto row = row_of(metastore_, held);
  if (!row) return std::unexpected(row.error());
  const auto newer = newer_version(metastore_, *row);
  if (!newer) return std::unexpected(newer.error());
  if (*newer) return {};
  const auto there = look(area_, held.path);
  if (!there) return fail(there.error());
  const auto is_held = is_still(*row, identity_of(*there), stop);
  if (!is_held) return fail(is_held.error());
  if (!*is_held) return leave_replaced(held);
  auto folder = QuarantineFolder::make(area_);
  if (!folder) return fail(folder.error());
  if (auto taken = folder->take(held, identity_of(*there)); !taken) return fail(taken.error());
  if (auto removed = folder->remove(held); !removed) return fail(removed.error());
  return {};
}

/// What has come into sight since it was looked for goes, too.
Result<void> Aside::remove_from_folder(const HeldFile& held) {
  auto folder = QuarantineFolder::find(area_);
  if (!folder) return folder.error();
  if (!*folder) return no_quarantine(area_, held.path);
  auto removed = (*folder)->remove(held);
  if (removed || removed.error().kind != ErrorKind::kNotFound) return removed;
  if (auto gone = check_gone(area_, held); !gone) return gone;
  return (*folder)->forget(held.id);  // a crash may have left its note
}

Outcome<void> Aside::remove(const HeldFile& held, const StopToken& stop) {
  const auto in_place = is_in_place(area_, held);
  if (!in_place) return fail(in_place.error());
  if (*in_place) return remove_from_place(held, stop);
  if (held.replaced) return leave_replaced(held);
  if (auto removed = remove_from_folder(held); !removed) return fail(removed.error());
  return {};
}

Outcome<void> Aside::drop(const HeldFile& held, StopToken& stop) {
  if (auto removed = remove(held, stop); !removed) return removed;
  return held.registered ? set_dropped(metastore_, held) : Outcome<void>();
}

}  // namespace

std::unique_ptr<Keeper> keep_aside(Metastore& metastore, const LandingArea& area) {
  return std::make_unique<Aside>(metastore, area);
}

}  // namespace ferry::landing

#include "transfer/after_delivery/take_away.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <set>

#include "ferry/base/directory.h"
#include "ferry/base/path.h"
#include "ferry/base/uuid.h"
#include "transfer/after_delivery/archive.h"

namespace ferry::transfer {
namespace {

using metastore::FileRecord;

Result<Taken> absent(const Error& error) {
  if (error.kind == ErrorKind::kNotFound) return Taken::kGone;
  return error;
}

Result<Taken> compare_content(int directory, const std::string& name, const FileRecord& file) {
  const auto fd = open_beneath(directory, name, O_RDONLY);
  if (!fd) return absent(fd.error());
  const auto same = has_registered_content(fd->get(), file);
  if (!same) return same.error();
  return *same ? Taken::kAway : Taken::kNewer;
}

enum class Name { kOwn, kPrivate };

/// kAway: NAME in DIRECTORY is FILE. The rename to its private name changed its ctime.
Result<Taken> compare(int directory, const std::string& name, Name kind, const FileRecord& file) {
  const auto status = stat_at(directory, name);
  if (!status) return absent(status.error());
  if (!S_ISREG(status->st_mode)) return Taken::kNewer;
  if (!file.identity) return compare_content(directory, name, file);
  const FileIdentity found = identity_of(*status);
  const bool is_same =
      kind == Name::kOwn ? found == *file.identity : same_but_for_ctime(found, *file.identity);
  return is_same ? Taken::kAway : Taken::kNewer;
}

/// What has the private name in FROM is another file than the one that was meant.
Result<Taken> put_back(int from, const Entry& place, TakeAway& what) {
  auto back = rename_new(from, what.private_name, place.directory.get(), place.name);
  what.is_under_way = !back;
  if (back) return Taken::kNewer;
  return back.error().with_context(
      fmt::format("{}: another version, taken away by mistake, cannot be put back", place.name));
}

/// Moves the file to its private name in TO. kAway: it has it.
Result<Taken> move(const Entry& place, int to, TakeAway& what) {
  const auto earlier = compare(to, what.private_name, Name::kPrivate, what.file);
  if (!earlier || *earlier == Taken::kAway) return earlier;
  if (*earlier == Taken::kNewer) return put_back(to, place, what);
  const auto found = compare(place.directory.get(), place.name, Name::kOwn, what.file);
  if (!found || *found != Taken::kAway) return found;
  auto moved = rename_new(place.directory.get(), place.name, to, what.private_name);
  if (!moved) return absent(moved.error());
  what.is_under_way = true;
  const auto arrived = compare(to, what.private_name, Name::kPrivate, what.file);
  if (arrived && *arrived == Taken::kNewer) return put_back(to, place, what);
  return arrived;
}

Result<Taken> remove(const Entry& place, TakeAway& what) {
  auto moved = move(place, place.directory.get(), what);
  if (!moved || *moved != Taken::kAway) return moved;
  if (auto removed = remove_at(place.directory.get(), what.private_name); !removed) {
    return removed.error();
  }
  return Taken::kAway;
}

/// Over file systems: the source goes when its copy is whole.
Result<Taken> copy_in(const Archive& archive, const std::string& name, const Entry& place,
                      TakeAway& what) {
  const auto found = compare(place.directory.get(), place.name, Name::kOwn, what.file);
  if (!found || *found != Taken::kAway) return found;
  if (auto copied = archive.copy(place, what.file, name); !copied) return copied.error();
  what.is_under_way = true;
  auto removed = remove(place, what);
  if (!removed || *removed == Taken::kAway) return removed;
  if (auto forgotten = remove_at(archive.arriving(), name); !forgotten) return forgotten.error();
  return removed;
}

/// Of an earlier call that was cut short: the source may still be there, too.
Result<Taken> finish_copy(const Result<Entry>& place, TakeAway& what) {
  if (place) {
    if (auto removed = remove(*place, what); !removed) return removed;
  }
  return Taken::kAway;
}

/// Brings the file into .arriving, where NAME says what it is called. kAway: it is there.
Result<Taken> arrive(const Archive& archive, const Result<Entry>& place, TakeAway& what,
                     std::string& name) {
  const std::string copy = what.private_name + ".copy";
  name = what.private_name;
  const auto moved = compare(archive.arriving(), name, Name::kPrivate, what.file);
  if (!moved || *moved == Taken::kAway) return moved;
  if (stat_at(archive.arriving(), copy)) {
    name = copy;
    return finish_copy(place, what);
  }
  if (!place) return absent(place.error());
  if (*moved == Taken::kNewer) return put_back(archive.arriving(), *place, what);
  auto now_moved = move(*place, archive.arriving(), what);
  if (now_moved || now_moved.error().os_code != EXDEV) return now_moved;
  name = copy;
  return copy_in(archive, copy, *place, what);
}

Result<Taken> archive_file(const Result<Entry>& place, TakeAway& what) {
  const auto archive = Archive::open(what.archive);
  if (!archive) return archive.error().with_context("archive");
  // First, so that an archive that is full leaves the file where it is.
  const auto target = archive->place_for(what.file);
  if (!target) return target.error().with_context("archive " + what.archive);
  std::string name;
  auto arrived = arrive(*archive, place, what, name);
  if (!arrived || *arrived != Taken::kAway) return arrived;
  if (auto named = archive->give_name(name, *target, what.file); !named) {
    return named.error().with_context("archive " + what.archive);
  }
  return Taken::kAway;
}

Result<Taken> take(int landing_fd, TakeAway& what) {
  const auto place = open_parent(landing_fd, what.file.path);
  if (!what.deletes()) return archive_file(place, what);
  return place ? remove(*place, what) : absent(place.error());
}

Result<void> sync_parent(int root, const std::string& path) {
  const auto entry = open_parent(root, path);
  if (entry) return sync(entry->directory.get(), path);
  if (entry.error().kind == ErrorKind::kNotFound) return {};  // removed since
  return entry.error();
}

}  // namespace

std::string make_private_name() {
  return fmt::format(".{}.delivered", uuid_v7());
}

void take_away(int landing_fd, TakeAway& what) {
  what.outcome = take(landing_fd, what);
  if (what.outcome) what.is_under_way = false;
}

Result<void> sync_taken(int landing_fd, std::span<TakeAway* const> files) {
  std::set<std::string> done;
  const auto is_new = [&](const TakeAway& what, const std::string& place) {
    return done.insert(place + '\0' + std::string(directory_of(what.file.path))).second;
  };
  for (const TakeAway* what : files) {
    if (!what->outcome || *what->outcome != Taken::kAway) continue;
    if (is_new(*what, "")) {
      if (auto synced = sync_parent(landing_fd, what->file.path); !synced) return synced;
    }
    if (what->deletes() || !is_new(*what, what->archive)) continue;
    const auto archive = open_private_directory(what->archive);
    if (!archive) return archive.error();
    if (auto synced = sync_parent(archive->get(), what->file.path); !synced) return synced;
  }
  return {};
}

}  // namespace ferry::transfer

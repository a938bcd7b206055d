#include "landing/quarantine/quarantine_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "ferry/base/directory.h"
#include "ferry/base/path.h"
#include "landing/quarantine/quarantine_note.h"
#include "landing/watch/scan.h"

namespace ferry::landing {
namespace {

constexpr std::string_view kNoteSuffix = ".json";
constexpr mode_t kNoteMode = 0600;

std::string note_name(const std::string& id) {
  return id + std::string(kNoteSuffix);
}

std::string name_of(const HeldFile& file) {
  return std::string(base_name(file.path));
}

std::string_view kind_of(mode_t mode) {
  if (S_ISREG(mode)) return "file";
  if (S_ISLNK(mode)) return "symbolic link";
  if (S_ISFIFO(mode)) return "FIFO";
  if (S_ISSOCK(mode)) return "socket";
  return S_ISDIR(mode) ? "directory" : "device";
}

Error another_file(const std::string& path) {
  return make_error(ErrorKind::kBusy, "{}: another file has taken its place", path);
}

}  // namespace

fs::path QuarantineFolder::path_of(const LandingArea& area) {
  return quarantine_path(area.path, area.quarantine);
}

Result<UniqueFd> QuarantineFolder::open_folder(const LandingArea& area, int root_fd, bool make) {
  const fs::path& named = area.quarantine;
  if (!named.empty()) return make ? make_private_directory(named) : open_private_directory(named);
  const fs::path path = area.path / kDefaultQuarantine;
  return make ? make_private_directory(root_fd, kDefaultQuarantine, path)
              : open_private_directory(root_fd, kDefaultQuarantine, path);
}

Result<std::optional<QuarantineFolder>> QuarantineFolder::open(const LandingArea& area, bool make) {
  auto root = ferry::open_file(area.path, O_RDONLY | O_DIRECTORY);
  if (!root) return root.error().with_context("landing area");
  fs::path path = path_of(area);
  auto folder = open_folder(area, root->get(), make);
  if (!folder) {
    // Somebody has put something else in its place: that is another thing than its absence.
    if (folder.error().os_code == ENOTDIR) {
      return make_error(ErrorKind::kDenied, "quarantine {}: it is not a directory", path.string());
    }
    if (!make && folder.error().kind == ErrorKind::kNotFound) {
      return std::optional<QuarantineFolder>();
    }
    return folder.error().with_context(fmt::format("quarantine {}", path.string()));
  }
  const auto ours = stat_fd(root->get(), area.path);
  const auto theirs = stat_fd(folder->get(), path);
  if (!ours) return ours.error();
  if (!theirs) return theirs.error();
  if (ours->st_dev != theirs->st_dev) {
    return make_error(ErrorKind::kInvalid,
                      "quarantine {} is on another file system than the landing area {}: set "
                      "'quarantine' to a directory on the same one",
                      path.string(), area.path.string());
  }
  return QuarantineFolder(area.name, std::move(path), std::move(*root), std::move(*folder));
}

Result<QuarantineFolder> QuarantineFolder::make(const LandingArea& area) {
  auto folder = open(area, true);
  if (!folder) return folder.error();
  return std::move(**folder);
}

Result<std::optional<QuarantineFolder>> QuarantineFolder::find(const LandingArea& area) {
  return open(area, false);
}

bool QuarantineFolder::is_absent(const LandingArea& area, int root_fd) {
  const fs::path path = area.quarantine.empty() ? fs::path(kDefaultQuarantine) : area.quarantine;
  return ::faccessat(root_fd, path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

Result<UniqueFd> QuarantineFolder::open_entry(const HeldFile& file) const {
  return open_private_directory(folder_.get(), file.id, path_ / file.id);
}

Result<void> QuarantineFolder::take(const HeldFile& file,
                                    const std::optional<FileIdentity>& expected) {
  const auto place = open_parent(root_.get(), file.path);
  if (!place) return place.error();
  const auto before = stat_at(place->directory.get(), place->name);
  if (!before) return before.error();
  if (expected && !same_but_for_ctime(identity_of(*before), *expected)) {
    return another_file(file.path);
  }

  HeldFile note = file;
  note.kind = kind_of(before->st_mode);
  note.since = now();
  note.size = static_cast<std::uint64_t>(before->st_size);
  const auto entry = make_private_directory(folder_.get(), note.id, path_ / note.id);
  if (!entry) return entry.error();
  if (auto written = replace_at(folder_.get(), note_name(note.id), to_note(note), kNoteMode);
      !written) {
    return written;
  }
  if (auto moved = rename_new(place->directory.get(), place->name, entry->get(), place->name);
      !moved) {
    [[maybe_unused]] const auto forgotten = forget(note.id);
    return moved;
  }
  // Between the look and the move its place may have been taken: then that file goes back.
  const auto after = stat_at(entry->get(), place->name);
  if (!after || !same_but_for_ctime(identity_of(*before), identity_of(*after))) {
    if (rename_new(entry->get(), place->name, place->directory.get(), place->name)) {
      [[maybe_unused]] const auto forgotten = forget(note.id);
    }
    return after ? another_file(file.path) : after.error();
  }
  if (auto synced = sync(entry->get(), path_ / note.id); !synced) return synced;
  return sync(place->directory.get(), file.path);
}

Result<std::optional<std::string>> QuarantineFolder::read_text(const std::string& name) const {
  const auto fd = open_beneath(folder_.get(), name, O_RDONLY);
  if (!fd && fd.error().kind == ErrorKind::kNotFound) return std::optional<std::string>();
  if (!fd) return fd.error();
  std::string text(std::size_t{64} * 1024, '\0');
  const auto count =
      pread_full(fd->get(), std::as_writable_bytes(std::span(text.data(), text.size())), 0, name);
  if (!count) return count.error();
  text.resize(*count);
  return std::optional(std::move(text));
}

Result<std::optional<HeldFile>> QuarantineFolder::read_note(const std::string& name) const {
  using Note = std::optional<HeldFile>;
  const auto absent = [](const Error& error) -> Result<Note> {
    if (error.kind == ErrorKind::kNotFound) return Note();
    return error;
  };
  const auto text = read_text(name);
  if (!text) return text.error();
  auto note = *text ? parse_note(**text) : Note();
  if (!note || note_name(note->id) != name) return Note();
  const auto entry = open_entry(*note);
  if (!entry) return absent(entry.error());
  if (const auto there = stat_at(entry->get(), name_of(*note)); !there) {
    return absent(there.error());
  }
  note->landing = landing_;
  note->location = path_ / note->id / name_of(*note);
  return note;
}

Result<std::vector<std::string>> QuarantineFolder::names_with(std::string_view suffix) const {
  auto reader = DirectoryReader::open(folder_.get(), "");
  if (!reader) return reader.error();
  std::vector<std::string> names;
  for (;;) {
    auto entry = reader->next();
    if (!entry) return entry.error();
    if (!*entry) return names;
    if (!(*entry)->directory && (*entry)->name.ends_with(suffix)) {
      names.push_back(std::move((*entry)->name));
    }
  }
}

Result<std::vector<HeldFile>> QuarantineFolder::list() const {
  const auto names = names_with(kNoteSuffix);
  if (!names) return names.error();
  std::vector<HeldFile> files;
  for (const std::string& name : *names) {
    auto note = read_note(name);
    if (!note) return note.error();
    if (*note) files.push_back(std::move(**note));
  }
  std::ranges::stable_sort(files, {}, &HeldFile::since);
  return files;
}

Result<UniqueFd> QuarantineFolder::open_file(const HeldFile& file) const {
  const auto entry = open_entry(file);
  if (!entry) return entry.error();
  const std::string name = name_of(file);
  const auto status = stat_at(entry->get(), name);
  if (!status) return status.error();
  if (!S_ISREG(status->st_mode)) {
    return make_error(ErrorKind::kAbnormal, "it is a {}, which cannot be delivered",
                      kind_of(status->st_mode));
  }
  return open_beneath(entry->get(), name, O_RDONLY);
}

fs::path quarantine_path(const fs::path& area, const fs::path& configured) {
  return configured.empty() ? area / kDefaultQuarantine : configured;
}

Error name_taken(const std::string& path) {
  return {ErrorKind::kInvalid,
          fmt::format("{}: the landing area has another file of this name", path), EEXIST};
}

Result<void> QuarantineFolder::put_back(const HeldFile& file, const std::string& path) {
  const auto entry = open_entry(file);
  if (!entry) return entry.error();
  const auto place = make_parent(root_.get(), path);
  if (!place) return place.error();
  if (auto moved = rename_new(entry->get(), name_of(file), place->directory.get(), place->name);
      !moved) {
    if (moved.error().os_code != EEXIST) return moved;
    return name_taken(path);
  }
  return sync(place->directory.get(), path);
}

Result<void> QuarantineFolder::remove(const HeldFile& file) {
  const auto entry = open_entry(file);
  if (!entry) return entry.error();
  // Of a release that a crash cut short.
  if (const auto status = stat_at(entry->get(), name_of(file))) {
    remove_mark(release_mark_name(identity_of(*status)));
  }
  if (auto removed = remove_at(entry->get(), name_of(file));
      !removed && removed.error().kind != ErrorKind::kNotFound) {
    return removed.error().with_context((path_ / file.id).string());
  }
  return forget(file.id);
}

Result<void> QuarantineFolder::mark(const FileIdentity& identity, const ReleaseMark& mark) {
  return replace_at(folder_.get(), release_mark_name(identity), to_text(mark), kNoteMode);
}

Result<std::optional<ReleaseMark>> QuarantineFolder::find_mark(const FileIdentity& identity) const {
  const auto text = read_text(release_mark_name(identity));
  if (!text) return text.error();
  return *text ? parse_release_mark(**text) : std::nullopt;
}

Result<std::vector<std::pair<std::string, ReleaseMark>>> QuarantineFolder::marks() const {
  auto names = names_with(kReleaseMarkSuffix);
  if (!names) return names.error();
  std::vector<std::pair<std::string, ReleaseMark>> marks;
  for (std::string& name : *names) {
    const auto text = read_text(name);
    if (!text) return text.error();
    auto mark = *text ? parse_release_mark(**text) : std::nullopt;
    if (mark) marks.emplace_back(std::move(name), std::move(*mark));
  }
  return marks;
}

void QuarantineFolder::remove_mark(const std::string& name) {
  ::unlinkat(folder_.get(), name.c_str(), 0);
}

Result<void> QuarantineFolder::forget(const std::string& id) const {
  const auto remove = [this](const std::string& name, int flags) -> Result<void> {
    if (::unlinkat(folder_.get(), name.c_str(), flags) == 0 || errno == ENOENT) return {};
    return errno_error(errno, "remove " + (path_ / name).string());
  };
  if (auto removed = remove(id, AT_REMOVEDIR); !removed) return removed;
  return remove(note_name(id), 0);
}

}  // namespace ferry::landing

#include "landing/quarantine_folder.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "landing/quarantine_note.h"
#include "landing/root.h"
#include "landing/scan.h"

namespace ferry::landing {
namespace {

constexpr const char* kDefaultFolder = ".quarantine";
constexpr std::string_view kNoteSuffix = ".json";
constexpr mode_t kPrivate = 0700;

std::string note_name(const HeldFile& file) {
  return file.id + std::string(kNoteSuffix);
}

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

Result<struct stat> status_at(int directory, const std::string& name) {
  struct stat status{};
  if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno_error(errno, fmt::format("stat {}", name));
  }
  return status;
}

Result<void> sync(int fd, std::string_view what) {
  if (::fsync(fd) != 0) return errno_error(errno, fmt::format("sync {}", what));
  return {};
}

Result<void> make_directory(int directory, const std::string& name, mode_t mode) {
  if (::mkdirat(directory, name.c_str(), mode) == 0 || errno == EEXIST) return {};
  return errno_error(errno, fmt::format("make directory {}", name));
}

/// Never over another file. File systems without RENAME_NOREPLACE get a second name and lose the
/// first.
Result<void> move(int from, const std::string& name, int to, const std::string& new_name) {
  if (::renameat2(from, name.c_str(), to, new_name.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno == EINVAL && ::linkat(from, name.c_str(), to, new_name.c_str(), 0) == 0) {
    ::unlinkat(from, name.c_str(), 0);
    return {};
  }
  return errno_error(errno, fmt::format("move {}", name));
}

std::string_view kind_of(mode_t mode) {
  if (S_ISREG(mode)) return "file";
  if (S_ISLNK(mode)) return "symbolic link";
  if (S_ISFIFO(mode)) return "FIFO";
  if (S_ISSOCK(mode)) return "socket";
  return S_ISDIR(mode) ? "directory" : "device";
}

/// A rename changes the ctime.
bool is_same_but_for_ctime(const FileIdentity& one, FileIdentity other) {
  other.ctime_ns = one.ctime_ns;
  return one == other;
}

Error another_file(const std::string& path) {
  return make_error(ErrorKind::kBusy, "{}: another file has taken its place", path);
}

/// Makes the directories above PATH where they are missing.
Result<void> make_parents(int root_fd, const std::string& path) {
  for (auto slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
    const auto parent = open_parent(root_fd, path.substr(0, slash));
    if (!parent) return parent.error();
    constexpr mode_t kUsual = 0777;  // less the umask
    if (auto made = make_directory(parent->directory.get(), parent->name, kUsual); !made) {
      return made;
    }
  }
  return {};
}

}  // namespace

Result<OpenedParent> open_parent(int root_fd, const std::string& path) {
  const auto slash = path.rfind('/');
  auto directory = open_beneath(root_fd, slash == path.npos ? "." : path.substr(0, slash),
                                O_RDONLY | O_DIRECTORY);
  if (!directory) return directory.error();
  OpenedParent parent{std::move(*directory), base_name(path)};
  if (parent.name.empty() || parent.name == "." || parent.name == "..") {
    return make_error(ErrorKind::kInvalid, "'{}' is no name for a file", path);
  }
  return parent;
}

Result<UniqueFd> QuarantineFolder::open_folder(const LandingArea& area, int root_fd, bool make) {
  if (!area.quarantine.empty()) {
    if (make) {
      if (auto made = make_directories(area.quarantine); !made) return made.error();
    }
    return ferry::open_file(area.quarantine, O_RDONLY | O_DIRECTORY);
  }
  if (make) {
    if (auto made = make_directory(root_fd, kDefaultFolder, kPrivate); !made) return made.error();
  }
  return open_beneath(root_fd, kDefaultFolder, O_RDONLY | O_DIRECTORY);
}

Result<std::optional<QuarantineFolder>> QuarantineFolder::open(const LandingArea& area, bool make) {
  auto root = ferry::open_file(area.path, O_RDONLY | O_DIRECTORY);
  if (!root) return root.error().with_context("landing area");
  fs::path path = area.quarantine.empty() ? area.path / kDefaultFolder : area.quarantine;
  auto folder = open_folder(area, root->get(), make);
  if (!folder) {
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

Result<UniqueFd> QuarantineFolder::open_entry(const HeldFile& file) const {
  return open_beneath(folder_.get(), file.id, O_RDONLY | O_DIRECTORY);
}

Result<void> QuarantineFolder::write_note(const HeldFile& file) const {
  const std::string temporary = "." + note_name(file) + ".tmp";
  const auto fd = UniqueFd(::openat(folder_.get(), temporary.c_str(),
                                    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return errno_error(errno, fmt::format("write {}", (path_ / temporary).string()));
  if (auto written = write_full(fd.get(), as_bytes(to_note(file)), path_ / temporary); !written) {
    return written;
  }
  if (auto synced = sync(fd.get(), temporary); !synced) return synced;
  if (::renameat(folder_.get(), temporary.c_str(), folder_.get(), note_name(file).c_str()) != 0) {
    return errno_error(errno, fmt::format("rename {}", (path_ / temporary).string()));
  }
  return sync(folder_.get(), path_.string());
}

Result<void> QuarantineFolder::take(const HeldFile& file,
                                    const std::optional<FileIdentity>& expected) {
  const auto parent = open_parent(root_.get(), file.path);
  if (!parent) return parent.error();
  const auto before = status_at(parent->directory.get(), parent->name);
  if (!before) return before.error();
  if (expected && identity_of(*before) != *expected) return another_file(file.path);

  HeldFile note = file;
  note.kind = kind_of(before->st_mode);
  note.since = now();
  note.size = static_cast<std::uint64_t>(before->st_size);
  if (auto made = make_directory(folder_.get(), note.id, kPrivate); !made) return made;
  if (auto written = write_note(note); !written) return written;
  const auto entry = open_entry(note);
  if (!entry) return entry.error();
  if (auto moved = move(parent->directory.get(), parent->name, entry->get(), parent->name);
      !moved) {
    forget(note);
    return moved;
  }
  // Between the look and the move its place may have been taken: then that file goes back.
  const auto after = status_at(entry->get(), parent->name);
  if (!after || !is_same_but_for_ctime(identity_of(*before), identity_of(*after))) {
    if (move(entry->get(), parent->name, parent->directory.get(), parent->name)) forget(note);
    return another_file(file.path);
  }
  if (auto synced = sync(entry->get(), note.id); !synced) return synced;
  return sync(parent->directory.get(), file.path);
}

std::optional<HeldFile> QuarantineFolder::read_note(const std::string& name) const {
  const auto fd = open_beneath(folder_.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return std::nullopt;
  std::string text(std::size_t{64} * 1024, '\0');
  const auto count =
      pread_full(fd->get(), std::as_writable_bytes(std::span(text.data(), text.size())), 0, name);
  if (!count) return std::nullopt;
  auto note = parse_note(std::string_view(text).substr(0, *count));
  if (!note || note_name(*note) != name) return std::nullopt;
  const auto entry = open_entry(*note);
  if (!entry || !status_at(entry->get(), base_name(note->path))) return std::nullopt;
  note->landing = landing_;
  note->location = path_ / note->id / base_name(note->path);
  return note;
}

Result<std::vector<HeldFile>> QuarantineFolder::list() const {
  auto reader = DirectoryReader::open(folder_.get(), "");
  if (!reader) return reader.error();
  std::vector<HeldFile> files;
  while (const auto entry = reader->next()) {
    if (entry->directory || !entry->name.ends_with(kNoteSuffix)) continue;
    if (auto note = read_note(entry->name)) files.push_back(std::move(*note));
  }
  std::ranges::stable_sort(files, {}, &HeldFile::since);
  return files;
}

Result<UniqueFd> QuarantineFolder::open_file(const HeldFile& file) const {
  const auto entry = open_entry(file);
  if (!entry) return entry.error();
  const std::string name = base_name(file.path);
  const auto status = status_at(entry->get(), name);
  if (!status) return status.error();
  if (!S_ISREG(status->st_mode)) {
    return make_error(ErrorKind::kAbnormal, "it is a {}, which cannot be delivered",
                      kind_of(status->st_mode));
  }
  return open_beneath(entry->get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
}

Result<void> QuarantineFolder::put_back(const HeldFile& file, const std::string& path) {
  const auto entry = open_entry(file);
  if (!entry) return entry.error();
  if (auto made = make_parents(root_.get(), path); !made) return made;
  const auto parent = open_parent(root_.get(), path);
  if (!parent) return parent.error();
  if (auto moved = move(entry->get(), base_name(file.path), parent->directory.get(), parent->name);
      !moved) {
    if (moved.error().os_code != EEXIST) return moved;
    return make_error(ErrorKind::kInvalid,
                      "{}: the landing area has another file of this name (--as NAME gives it "
                      "another one)",
                      path);
  }
  if (auto synced = sync(parent->directory.get(), path); !synced) return synced;
  forget(file);
  return {};
}

Result<void> QuarantineFolder::remove(const HeldFile& file) {
  const auto entry = open_entry(file);
  if (!entry) return entry.error();
  if (::unlinkat(entry->get(), base_name(file.path).c_str(), 0) != 0 && errno != ENOENT) {
    return errno_error(errno, fmt::format("remove {}", file.location.string()));
  }
  forget(file);
  return {};
}

/// A note that stays behind does no harm: without its file it is not listed.
void QuarantineFolder::forget(const HeldFile& file) const {
  if (::unlinkat(folder_.get(), file.id.c_str(), AT_REMOVEDIR) == 0) {
    ::unlinkat(folder_.get(), note_name(file).c_str(), 0);
  }
}

}  // namespace ferry::landing

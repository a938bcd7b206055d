#include "transfer/take_away.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "transfer/source_opener.h"

namespace ferry::transfer {
namespace {

constexpr std::size_t kBlockBytes = 1024 * 1024;

/// A rename changes the ctime.
bool is_same_but_ctime(FileIdentity one, const FileIdentity& other) {
  one.ctime_ns = other.ctime_ns;
  return one == other;
}

/// A file's directory, and its names in it.
struct Place {
  UniqueFd directory;
  std::string name;
  std::string hidden;
};

Result<Place> place_of(int landing_fd, const metastore::FileRecord& file) {
  const auto slash = file.path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : file.path.substr(0, slash);
  auto directory = open_beneath(landing_fd, parent, O_RDONLY | O_DIRECTORY);
  if (!directory) return directory.error();
  return Place{std::move(*directory), file.path.substr(slash + 1), hidden_name(file)};
}

Result<FileIdentity> identity_at(const Place& place, const std::string& name) {
  struct stat status{};
  if (::fstatat(place.directory.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno_error(errno, name);
  }
  if (!S_ISREG(status.st_mode)) return make_error(ErrorKind::kAbnormal, "{}: no file", name);
  return identity_of(status);
}

Result<void> rename_at(int from_directory, const std::string& from, int to_directory,
                       const std::string& to) {
  if (::renameat2(from_directory, from.c_str(), to_directory, to.c_str(), RENAME_NOREPLACE) == 0) {
    return {};
  }
  return errno_error(errno, "rename " + from + " to " + to);
}

/// Whether a crash left the file under its hidden name.
bool is_hidden_already(const Place& place, const metastore::FileRecord& file) {
  const auto hidden = identity_at(place, place.hidden);
  return hidden && file.identity && is_same_but_ctime(*hidden, *file.identity);
}

/// The identity of the file in its place, where it is FILE; kAbnormal where it is another.
Result<FileIdentity> identity_of_version(int landing_fd, const Place& place,
                                         const metastore::FileRecord& file) {
  auto identity = identity_at(place, place.name);
  if (!identity || (file.identity && *identity == *file.identity)) return identity;
  if (file.identity) return make_error(ErrorKind::kAbnormal, "{}: another version", file.path);
  const auto source = open_local_source(landing_fd, file.path);
  const auto checked = source ? check_content(**source, file) : source.error();
  if (!checked) return checked.error();
  return checked->identity;
}

/// Gives the file its hidden name. kAway: it has it.
Result<Taken> hide(int landing_fd, const Place& place, const metastore::FileRecord& file) {
  if (is_hidden_already(place, file)) return Taken::kAway;
  const auto identity = identity_of_version(landing_fd, place, file);
  if (!identity) {
    if (identity.error().kind == ErrorKind::kNotFound) return Taken::kGone;
    if (identity.error().kind == ErrorKind::kAbnormal) return Taken::kNewer;
    return identity.error();
  }
  const int directory = place.directory.get();
  if (auto renamed = rename_at(directory, place.name, directory, place.hidden); !renamed) {
    return renamed.error();
  }
  const auto hidden = identity_at(place, place.hidden);
  if (hidden && is_same_but_ctime(*hidden, *identity)) return Taken::kAway;
  // It was replaced between the look and the rename: back with it.
  if (auto restored = rename_at(directory, place.hidden, directory, place.name); !restored) {
    return restored.error();
  }
  return Taken::kNewer;
}

Result<void> copy(int from, int to, const fs::path& path) {
  std::vector<std::byte> block(kBlockBytes);
  for (std::uint64_t offset = 0;;) {
    const auto count = pread_full(from, block, offset, path);
    if (!count) return count.error();
    if (auto written = write_full(to, std::span(block).first(*count), path); !written) {
      return written;
    }
    if (*count < block.size()) break;
    offset += *count;
  }
  if (::fsync(to) != 0) return errno_error(errno, "fsync " + path.string());
  return {};
}

/// To another file system: a copy beside TARGET that then gets its name, which must be free.
Result<void> copy_to(const Place& place, const fs::path& target) {
  const int raw = ::openat(place.directory.get(), place.hidden.c_str(), O_RDONLY | O_CLOEXEC);
  if (raw < 0) return errno_error(errno, "open " + place.hidden);
  const UniqueFd from(raw);
  const fs::path part = target.parent_path() / place.hidden;
  const auto to = open_file(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (!to) return to.error();
  auto outcome = copy(from.get(), to->get(), part);
  if (outcome) outcome = rename_at(AT_FDCWD, part.string(), AT_FDCWD, target.string());
  if (outcome) outcome = sync_directory(target.parent_path());
  if (!outcome) {
    ::unlink(part.c_str());
    return outcome;
  }
  if (::unlinkat(place.directory.get(), place.hidden.c_str(), 0) == 0) return {};
  return errno_error(errno, "remove " + place.hidden);
}

Result<void> move_to(const Place& place, const fs::path& target) {
  auto moved = rename_at(place.directory.get(), place.hidden, AT_FDCWD, target.string());
  if (moved || moved.error().os_code != EXDEV) return moved;
  return copy_to(place, target);
}

}  // namespace

std::string hidden_name(const metastore::FileRecord& file) {
  Hasher hasher(HashAlgorithm::kMd5);  // for a short name, not for secrecy
  hasher.update(as_bytes(file.id));
  return "." + hasher.finish().to_string().substr(4) + ".delivered";
}

/// IDs of foreign rows may have any character.
std::string archive_suffix(const metastore::FileRecord& file) {
  std::string suffix = "." + file.id;
  for (char& letter : suffix) {
    if (letter == '/' || static_cast<unsigned char>(letter) < 0x20) letter = '_';
  }
  return suffix;
}

Result<Taken> delete_source(int landing_fd, const metastore::FileRecord& file) {
  const auto place = place_of(landing_fd, file);
  if (!place) {
    if (place.error().kind == ErrorKind::kNotFound) return Taken::kGone;
    return place.error();
  }
  auto hidden = hide(landing_fd, *place, file);
  if (!hidden || *hidden != Taken::kAway) return hidden;
  if (::unlinkat(place->directory.get(), place->hidden.c_str(), 0) != 0) {
    return errno_error(errno, "remove " + file.path);
  }
  return Taken::kAway;
}

Result<Taken> archive_source(int landing_fd, const metastore::FileRecord& file,
                             const fs::path& archive) {
  const auto place = place_of(landing_fd, file);
  if (!place) {
    if (place.error().kind == ErrorKind::kNotFound) return Taken::kGone;
    return place.error();
  }
  const fs::path target = archive / file.path;
  if (auto made = make_directories(target.parent_path()); !made) return made.error();
  auto hidden = hide(landing_fd, *place, file);
  if (!hidden || *hidden != Taken::kAway) return hidden;
  auto moved = move_to(*place, target);
  if (!moved && moved.error().os_code == EEXIST) {
    moved = move_to(*place, target.string() + archive_suffix(file));
  }
  if (!moved) return moved.error();
  return Taken::kAway;
}

}  // namespace ferry::transfer

#include "ferry/base/directory.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "ferry/base/path.h"

namespace ferry {
namespace {

constexpr int kDirectory = O_RDONLY | O_DIRECTORY;
constexpr mode_t kPrivate = 0700;
constexpr mode_t kOthersMayWrite = 022;

std::string action(std::string_view verb, const std::string& name) {
  return fmt::format("{} {}", verb, name);
}

/// With O_PATH nothing is opened that could wait, and a last link is what is meant; else whoever
/// opens a FIFO or a terminal must not wait for it, and no terminal becomes ours.
int harmless(int flags) {
  return flags | ((flags & O_PATH) != 0 ? O_NOFOLLOW : O_NONBLOCK | O_NOCTTY);
}

struct Account {
  uid_t user = 0;
  gid_t group = 0;
};

/// Whom root acts for.
Account& our_account() {
  static Account account;
  return account;
}

bool is_ours(uid_t owner) {
  const uid_t self = ::geteuid();
  return owner == self || (self == 0 && owner == our_account().user);
}

/// Whether it is new.
Result<bool> make_directory_at(int parent, const std::string& name, mode_t mode) {
  if (::mkdirat(parent, name.c_str(), mode) == 0) return true;
  if (errno == EEXIST) return false;
  return errno_error(errno, action("create directory", name));
}

Result<void> make_private(int fd, const fs::path& path) {
  const auto status = stat_fd(fd, path);
  if (!status) return status.error();
  if (!is_ours(status->st_uid)) {
    return make_error(
        ErrorKind::kDenied,
        "{} belongs to another account (uid {}): remove it, or name another directory "
        "that only ferry's account may write to",
        path.string(), status->st_uid);
  }
  if ((status->st_mode & kOthersMayWrite) == 0) return {};
  if (::fchmod(fd, kPrivate) == 0) return {};
  return errno_error(errno, action("close to others", path.string()));
}

Result<UniqueFd> checked(Result<UniqueFd> fd, const fs::path& path) {
  if (!fd) return fd;
  if (auto ours = make_private(fd->get(), path); !ours) return ours.error();
  return fd;
}

/// For file systems without RENAME_NOREPLACE: link(2) refuses a name that is taken.
int link_then_unlink(int from, const std::string& name, int to, const std::string& new_name) {
  if (::linkat(from, name.c_str(), to, new_name.c_str(), 0) != 0) return errno;
  ::unlinkat(from, name.c_str(), 0);
  return 0;
}

}  // namespace

void act_for(uid_t account, gid_t group) {
  our_account() = {account, group};
}

void give_to_our_account(int fd) {
  const Account& account = our_account();
  if (::geteuid() != 0 || account.user == 0) return;
  // Where root may not give files away (NFS), they are root's.
  [[maybe_unused]] const int given = ::fchown(fd, account.user, account.group);
}

Result<UniqueFd> open_beneath(int root, const std::string& relative, int flags) {
  struct open_how how{};
  how.flags = static_cast<std::uint64_t>(harmless(flags) | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  for (int attempts_left = 16;; --attempts_left) {
    const long fd = ::syscall(SYS_openat2, root, relative.c_str(), &how, sizeof how);
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    // EAGAIN: a component was renamed while the kernel walked the path; or somebody holds a lease
    // on the file, which takes longer.
    if (errno == EINTR || (errno == EAGAIN && attempts_left > 0)) continue;
    if (errno == ELOOP || errno == EXDEV) {
      const int os_code = errno;
      auto error =
          make_error(ErrorKind::kAbnormal,
                     "open {}: the path has a symbolic link or leaves the landing area", relative);
      error.os_code = os_code;
      return error;
    }
    return errno_error(errno, action("open", relative));
  }
}

Result<struct stat> stat_beneath(int root, const std::string& relative) {
  const auto fd = open_beneath(root, relative, O_PATH);
  if (!fd) return fd.error();
  return stat_fd(fd->get(), relative);
}

std::optional<std::uint64_t> device_above(int root, std::string relative) {
  for (;;) {
    relative = parent_of(relative);
    const auto status = stat_beneath(root, relative);
    if (status) return status->st_dev;
    if (relative == "." || status.error().kind != ErrorKind::kNotFound) return std::nullopt;
  }
}

Result<struct stat> stat_at(int directory, const std::string& name) {
  struct stat status{};
  if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return status;
  return errno_error(errno, action("stat", name));
}

Result<std::optional<struct stat>> find_at(int directory, const std::string& name) {
  auto status = stat_at(directory, name);
  if (status) return std::optional(*status);
  if (status.error().kind == ErrorKind::kNotFound) return std::optional<struct stat>();
  return status.error();
}

Result<Entry> open_parent(int root, const std::string& path) {
  auto directory = open_beneath(root, parent_of(path), kDirectory);
  if (!directory) return directory.error();
  Entry entry{std::move(*directory), std::string(base_name(path))};
  if (entry.name.empty() || entry.name == "." || entry.name == "..") {
    return make_error(ErrorKind::kInvalid, "'{}' is not a name for a file", path);
  }
  return entry;
}

Result<Entry> make_parent(int root, const std::string& path, mode_t directory_mode) {
  auto there = open_parent(root, path);
  if (there || there.error().kind != ErrorKind::kNotFound) return there;
  for (auto slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
    const auto above = open_parent(root, path.substr(0, slash));
    if (!above) return above.error();
    auto made = make_directory_at(above->directory.get(), above->name, directory_mode);
    if (!made) return made.error();
  }
  return open_parent(root, path);
}

Result<UniqueFd> create_at(int directory, const std::string& name, mode_t mode) {
  for (;;) {
    const int fd =
        ::openat(directory, name.c_str(),
                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, mode);
    if (fd >= 0) return UniqueFd(fd);
    if (errno != EINTR) return errno_error(errno, action("create", name));
  }
}

Result<void> rename_new(int from, const std::string& name, int to, const std::string& new_name) {
  if (::renameat2(from, name.c_str(), to, new_name.c_str(), RENAME_NOREPLACE) == 0) return {};
  int error = errno;
  if (error == EINVAL) error = link_then_unlink(from, name, to, new_name);
  if (error == 0) return {};
  return errno_error(error, fmt::format("rename {} to {}", name, new_name));
}

Result<void> remove_at(int directory, const std::string& name) {
  if (::unlinkat(directory, name.c_str(), 0) == 0) return {};
  return errno_error(errno, action("remove", name));
}

Result<void> sync(int fd, const fs::path& what) {
  if (::fsync(fd) == 0) return {};
  return errno_error(errno, action("fsync", what.string()));
}

Result<UniqueFd> open_private_directory(int parent, const std::string& name, const fs::path& path) {
  return checked(open_beneath(parent, name, kDirectory), path);
}

Result<UniqueFd> make_private_directory(int parent, const std::string& name, const fs::path& path) {
  const auto is_new = make_directory_at(parent, name, kPrivate);
  if (!is_new) return is_new.error();
  auto fd = open_private_directory(parent, name, path);
  if (fd && *is_new) give_to_our_account(fd->get());
  return fd;
}

Result<UniqueFd> open_private_directory(const fs::path& path) {
  return checked(open_file(path, kDirectory), path);
}

Result<UniqueFd> make_private_directory(const fs::path& path) {
  if (auto made = make_directories(path.parent_path()); !made) return made.error();
  const auto is_new = make_directory_at(AT_FDCWD, path.string(), kPrivate);
  if (!is_new) return is_new.error();
  auto fd = open_private_directory(path);
  if (fd && *is_new) give_to_our_account(fd->get());
  return fd;
}

Result<void> replace_at(int directory, const std::string& name, std::string_view content,
                        mode_t mode) {
  const std::string temporary = fmt::format(".{}.tmp", name);
  // What a crash left of an earlier one.
  ::unlinkat(directory, temporary.c_str(), 0);
  const auto fd = create_at(directory, temporary, mode);
  if (!fd) return fd.error();
  give_to_our_account(fd->get());
  auto done = write_full(fd->get(), as_bytes(content), temporary);
  if (done) done = sync(fd->get(), temporary);
  if (done && ::renameat(directory, temporary.c_str(), directory, name.c_str()) != 0) {
    done = errno_error(errno, action("rename to", name));
  }
  if (done) return sync(directory, name);
  ::unlinkat(directory, temporary.c_str(), 0);
  return done;
}

}  // namespace ferry

#include "metastore/jsonl/tables/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>

#include "ferry/base/path.h"

namespace ferry::metastore {
namespace {

std::string folder_of(const std::string& name) {
  return std::string(directory_of(name));
}

std::string last_of(const std::string& name) {
  return std::string(base_name(name));
}

}  // namespace

Directory::Directory(fs::path path, UniqueFd fd, const struct stat& status)
    : path_(std::move(path)),
      fd_(std::move(fd)),
      owner_(status.st_uid),
      group_(status.st_gid),
      file_mode_((status.st_mode & 0644) | 0600) {}

Result<Directory> Directory::open(const fs::path& path) {
  auto fd = ferry::open_file(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return fd.error();
  const auto status = stat_fd(fd->get(), path);
  if (!status) return status.error();
  return Directory(path, std::move(*fd), *status);
}

Result<Directory> Directory::make(const fs::path& path) {
  if (auto made = make_directories(path); !made) return made.error();
  auto directory = open(path);
  if (directory && ::fchmod(directory->fd(), 0700) == 0) return open(path);
  return directory;
}

std::string Directory::shown(std::string_view name) const {
  return (path_ / std::string(name)).string();
}

Error Directory::failed(std::string_view verb, const std::string& name) const {
  if (errno == ELOOP || errno == EXDEV) {
    return Error{ErrorKind::kDenied,
                 fmt::format("{} {}: it is a symbolic link, or lies behind one; nothing in a "
                             "metastore may be one",
                             verb, shown(name)),
                 errno};
  }
  return errno_error(errno, std::string(verb).append(1, ' ').append(shown(name)));
}

Result<UniqueFd> Directory::open_beneath(const std::string& name, int flags, mode_t mode) const {
  struct open_how how{};
  how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC | O_NOFOLLOW;
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  for (int attempts_left = 16;; --attempts_left) {
    const long fd = ::syscall(SYS_openat2, fd_.get(), name.c_str(), &how, sizeof how);
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno == EINTR || (errno == EAGAIN && attempts_left > 0)) continue;
    return failed("open", name);
  }
}

Result<UniqueFd> Directory::open_folder(const std::string& name) const {
  return open_beneath(name.empty() ? "." : name, O_RDONLY | O_DIRECTORY, 0);
}

Result<UniqueFd> Directory::open_file(const std::string& name, int flags) const {
  auto fd = open_beneath(name, flags | O_NONBLOCK, file_mode_);
  if (!fd) return fd;
  const auto status = stat_fd(fd->get(), shown(name));
  if (!status) return status.error();
  if (!S_ISREG(status->st_mode)) {
    return make_error(ErrorKind::kDenied, "open {}: it is not a regular file", shown(name));
  }
  // What the umask took away beyond what the directory lacks.
  const bool is_new = (flags & O_CREAT) != 0 && status->st_size == 0;
  if (is_new && (status->st_mode & 0777) != file_mode_) ::fchmod(fd->get(), file_mode_);
  return fd;
}

Result<UniqueFd> Directory::open_lock(const std::string& name) const {
  auto fd = open_beneath(name, O_RDWR | O_CREAT | O_NONBLOCK, 0600);
  if (!fd) return fd;
  const auto status = stat_fd(fd->get(), shown(name));
  if (!status) return status.error();
  if ((status->st_mode & 0077) != 0) ::fchmod(fd->get(), 0600);  // by an older version
  return fd;
}

Result<std::optional<struct stat>> Directory::look(const std::string& name) const {
  struct stat status{};
  if (::fstatat(fd_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    return std::optional(status);
  }
  if (errno == ENOENT) return std::optional<struct stat>();
  return failed("look at", name);
}

Result<std::vector<std::string>> Directory::list(const std::string& folder) const {
  std::vector<std::string> names;
  auto fd = open_folder(folder);
  if (!fd && fd.error().kind == ErrorKind::kNotFound) return names;
  if (!fd) return fd.error();
  const auto close = [](DIR* stream) { ::closedir(stream); };
  const std::unique_ptr<DIR, decltype(close)> stream(::fdopendir(fd->get()), close);
  if (!stream) return failed("list", folder);
  [[maybe_unused]] const int owned_by_stream = fd->release();
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr && errno != 0) return failed("list", folder);
    if (entry == nullptr) return names;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
}

Result<std::string> Directory::read(const std::string& name) const {
  auto fd = open_file(name, O_RDONLY);
  if (!fd) return fd.error();
  const auto status = stat_fd(fd->get(), shown(name));
  if (!status) return status.error();
  std::string content(static_cast<std::size_t>(status->st_size), '\0');
  const auto count =
      pread_full(fd->get(), std::as_writable_bytes(std::span(content)), 0, shown(name));
  if (!count) return count.error();
  content.resize(*count);
  return content;
}

Result<void> Directory::make_folder(const std::string& name) const {
  if (name.empty()) return {};
  if (auto there = open_folder(name); there || there.error().kind != ErrorKind::kNotFound) {
    return there ? Result<void>() : there.error();
  }
  const std::string above = folder_of(name);
  if (auto made = make_folder(above); !made) return made;
  auto parent = open_folder(above);
  if (!parent) return parent.error();
  // Whoever may read our files may reach them.
  const mode_t mode = file_mode_ | 0100 | ((file_mode_ & 0044) >> 2);
  if (::mkdirat(parent->get(), last_of(name).c_str(), mode) != 0) {
    return errno == EEXIST ? Result<void>() : failed("create directory", name);
  }
  const auto made = open_folder(name);
  if (!made) return made.error();
  if (::fchmod(made->get(), mode) != 0) return failed("set the permissions of", name);
  return {};
}

Result<bool> Directory::remove(const std::string& name) const {
  auto folder = open_folder(folder_of(name));
  if (!folder && folder.error().kind == ErrorKind::kNotFound) return false;
  if (!folder) return folder.error();
  if (::unlinkat(folder->get(), last_of(name).c_str(), 0) == 0) return true;
  if (errno == ENOENT) return false;
  return failed("remove", name);
}

Result<bool> Directory::rename(const std::string& from, const std::string& to) const {
  auto folder = open_folder(folder_of(from));
  if (!folder) return folder.error();
  auto target = open_folder(folder_of(to));
  if (!target) return target.error();
  const int renamed =
      ::renameat(folder->get(), last_of(from).c_str(), target->get(), last_of(to).c_str());
  if (renamed == 0) return true;
  if (errno == ENOENT) return false;
  return failed(fmt::format("rename {} to", shown(from)), to);
}

Result<void> Directory::sync(const std::string& folder) const {
  auto fd = open_folder(folder);
  if (!fd) return fd.error();
  if (::fsync(fd->get()) != 0) return failed("fsync", folder);
  return {};
}

Result<void> Directory::replace(const std::string& name, std::string_view content) const {
  const std::string folder = folder_of(name);
  const std::string temporary =
      fmt::format("{}{}.{}.tmp", folder, folder.empty() ? "" : "/", last_of(name));
  // What a crash left of an earlier one.
  if (const auto removed = remove(temporary); !removed) return removed.error();
  auto fd = open_file(temporary, O_WRONLY | O_CREAT | O_EXCL);
  if (!fd) return fd.error();
  auto outcome = write_full(fd->get(), as_bytes(content), shown(temporary));
  if (outcome && ::fsync(fd->get()) != 0) outcome = failed("fsync", temporary);
  if (outcome) {
    const auto renamed = rename(temporary, name);
    if (!renamed) outcome = renamed.error();
  }
  if (!outcome) {
    [[maybe_unused]] const auto removed = remove(temporary);
    return outcome;
  }
  return sync(folder);
}

AsOwner::AsOwner(const Directory& directory) {
  if (::geteuid() != 0 || directory.owner_ == 0) return;
  is_other_ = true;
  ::setfsgid(directory.group_);
  ::setfsuid(directory.owner_);
}

AsOwner::~AsOwner() {
  if (!is_other_) return;
  ::setfsuid(::geteuid());
  ::setfsgid(::getegid());
}

}  // namespace ferry::metastore

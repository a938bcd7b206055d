#include "landing/local_place.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <set>
#include <utility>

#include "landing/inspect.h"

namespace ferry::landing {
namespace {

constexpr std::size_t kBlockBytes = 256 * 1024;
constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

/// A directory and two names in it.
struct Names {
  UniqueFd directory;
  std::string temporary;
  std::string final_name;
};

Result<Names> open_names(int root_fd, const StagedFile& file) {
  auto directory = open_beneath(root_fd, parent_of(file.path), kDirectory);
  if (!directory) return directory.error();
  return Names{std::move(*directory), name_of(file.temporary), name_of(file.path)};
}

std::optional<struct stat> look(int directory, const std::string& name) {
  struct stat status{};
  if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  return status;
}

bool has_staged(const Names& names, const std::string& name, const StagedFile& file) {
  const auto status = look(names.directory.get(), name);
  return status && same_but_for_ctime(identity_of(*status), file.identity);
}

int rename_at(const Names& names, const std::string& from, const std::string& to, unsigned flags) {
  const int fd = names.directory.get();
  return ::renameat2(fd, from.c_str(), fd, to.c_str(), flags) == 0 ? 0 : errno;
}

/// For file systems without RENAME_NOREPLACE: link(2) refuses a name that is taken.
int link_then_unlink(const Names& names) {
  const int fd = names.directory.get();
  if (::linkat(fd, names.temporary.c_str(), fd, names.final_name.c_str(), 0) != 0) return errno;
  ::unlinkat(fd, names.temporary.c_str(), 0);
  return 0;
}

int take_free_name(const Names& names) {
  const int error = rename_at(names, names.temporary, names.final_name, RENAME_NOREPLACE);
  return error == EINVAL ? link_then_unlink(names) : error;
}

Error name_taken(const std::string& path, std::string_view by) {
  return make_error(ErrorKind::kFailed, "{}: {} has this name already", path, by);
}

Result<void> publish_one(int root_fd, const StagedFile& file, bool no_clobber) {
  const auto names = open_names(root_fd, file);
  if (!names) return names.error();
  if (has_staged(*names, names->final_name, file)) return {};
  int error = take_free_name(*names);
  if (error == EEXIST && no_clobber) return name_taken(file.path, "a file");
  if (error == EEXIST) {
    const auto old = look(names->directory.get(), names->final_name);
    if (old && S_ISDIR(old->st_mode)) return name_taken(file.path, "a directory");
    error = rename_at(*names, names->temporary, names->final_name, RENAME_EXCHANGE);
    // Without exchange, or where the old file went meanwhile.
    if (error == EINVAL || error == ENOENT) {
      error = rename_at(*names, names->temporary, names->final_name, 0);
    }
  }
  if (error != 0) return errno_error(error, fmt::format("rename to {}", file.path));
  return {};
}

void take_back(int root_fd, const StagedFile& file) {
  const auto names = open_names(root_fd, file);
  if (!names || !has_staged(*names, names->final_name, file)) return;
  const bool replaced = look(names->directory.get(), names->temporary).has_value();
  rename_at(*names, names->final_name, names->temporary,
            replaced ? RENAME_EXCHANGE : RENAME_NOREPLACE);
}

/// Makes the names in all directories of FILES durable.
Result<void> sync_directories(int root_fd, std::span<const StagedFile> files) {
  std::set<std::string> directories;
  for (const StagedFile& file : files) directories.insert(parent_of(file.path));
  for (const std::string& directory : directories) {
    const auto fd = open_beneath(root_fd, directory, kDirectory);
    if (!fd) return fd.error();
    if (::fsync(fd->get()) != 0) {
      return errno_error(errno, fmt::format("fsync directory {}", directory));
    }
  }
  return {};
}

void remove_replaced(int root_fd, const StagedFile& file) {
  const auto names = open_names(root_fd, file);
  if (names && has_staged(*names, names->final_name, file)) {
    ::unlinkat(names->directory.get(), names->temporary.c_str(), 0);
  }
}

Result<void> copy(const UploadSource& source, int fd, const std::string& path) {
  std::vector<std::byte> block(kBlockBytes);
  for (;;) {
    const auto count = source(block);
    if (!count) return count.error();
    if (*count == 0) break;
    if (auto written = write_full(fd, std::span(block).first(*count), path); !written) {
      return written;
    }
  }
  if (::fsync(fd) != 0) return errno_error(errno, fmt::format("fsync {}", path));
  return {};
}

}  // namespace

Result<UniqueFd> LocalPlace::make_directory(int root_fd, const std::string& directory) {
  auto there = open_beneath(root_fd, directory, kDirectory);
  if (there || there.error().kind != ErrorKind::kNotFound) return there;
  const auto parent = make_directory(root_fd, parent_of(directory));
  if (!parent) return parent.error();
  if (::mkdirat(parent->get(), name_of(directory).c_str(), 0777) == 0) {
    made_.push_back(directory);
    if (::fsync(parent->get()) != 0) {
      return errno_error(errno, fmt::format("fsync directory {}", parent_of(directory)));
    }
  } else if (errno != EEXIST) {
    return errno_error(errno, fmt::format("create directory {}", directory));
  }
  return open_beneath(root_fd, directory, kDirectory);
}

Result<FileIdentity> LocalPlace::stage(const std::string& temporary, const UploadSource& source) {
  const auto root_fd = root_.open();
  if (!root_fd) return root_fd.error();
  const auto directory = make_directory(root_fd->get(), parent_of(temporary));
  if (!directory) return directory.error();
  const UniqueFd fd(::openat(directory->get(), name_of(temporary).c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!fd) return errno_error(errno, fmt::format("create {}", temporary));
  if (auto copied = copy(source, fd.get(), temporary); !copied) return copied.error();
  const auto status = stat_fd(fd.get(), temporary);
  if (!status) return status.error();
  return identity_of(*status);
}

Result<std::optional<std::string>> LocalPlace::judge(const StagedFile& file,
                                                     const AcceptancePolicy& policy,
                                                     const std::string& landing,
                                                     const StopToken& stop) {
  const auto root_fd = root_.open();
  if (!root_fd) return root_fd.error();
  const auto fd = open_beneath(root_fd->get(), file.temporary, O_RDONLY | O_NOFOLLOW);
  if (!fd) return fd.error();
  return ferry::judge(policy, fd->get(), file.path, file.identity.size,
                      judged_environment(landing, file.path, file.identity.size, file.sha256),
                      stop);
}

Result<void> LocalPlace::publish(std::span<const StagedFile> files, bool no_clobber) {
  const auto root_fd = root_.open();
  if (!root_fd) return root_fd.error();
  Result<void> outcome;
  std::size_t done = 0;
  for (; outcome && done < files.size(); ++done) {
    outcome = publish_one(root_fd->get(), files[done], no_clobber);
  }
  if (outcome) outcome = sync_directories(root_fd->get(), files);
  if (!outcome) {
    while (done-- > 0) take_back(root_fd->get(), files[done]);
    return outcome;
  }
  for (const StagedFile& file : files) remove_replaced(root_fd->get(), file);
  return {};
}

Result<std::vector<std::optional<FileIdentity>>> LocalPlace::identities(
    std::span<const StagedFile> files) {
  const auto root_fd = root_.open();
  if (!root_fd) return root_fd.error();
  std::vector<std::optional<FileIdentity>> identities;
  identities.reserve(files.size());
  for (const StagedFile& file : files) {
    const auto status = probe(root_fd->get(), file.path);
    auto& identity = identities.emplace_back();
    if (status && same_but_for_ctime(identity_of(*status), file.identity)) {
      identity = identity_of(*status);
    }
  }
  return identities;
}

Result<std::size_t> LocalPlace::discard(std::span<const std::string> temporaries) {
  const auto root_fd = root_.open();
  if (!root_fd) return root_fd.error();
  std::size_t removed = 0;
  for (const std::string& temporary : temporaries) {
    const auto directory = open_beneath(root_fd->get(), parent_of(temporary), kDirectory);
    if (!directory) {
      if (directory.error().kind == ErrorKind::kNotFound) continue;
      return directory.error();
    }
    if (::unlinkat(directory->get(), name_of(temporary).c_str(), 0) == 0) {
      ++removed;
    } else if (errno != ENOENT) {
      return errno_error(errno, fmt::format("remove {}", temporary));
    }
  }
  for (; !made_.empty(); made_.pop_back()) {
    const auto parent = open_beneath(root_fd->get(), parent_of(made_.back()), kDirectory);
    if (parent) ::unlinkat(parent->get(), name_of(made_.back()).c_str(), AT_REMOVEDIR);
  }
  return removed;
}

}  // namespace ferry::landing

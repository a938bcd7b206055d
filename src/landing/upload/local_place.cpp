#include "landing/upload/local_place.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <set>
#include <utility>

#include "ferry/base/directory.h"
#include "ferry/base/path.h"
#include "landing/register/inspect.h"

namespace ferry::landing {
namespace {

constexpr int kDirectory = O_RDONLY | O_DIRECTORY;

std::string name_of(const std::string& path) {
  return std::string(base_name(path));
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

/// Whether FILE has its final name.
Result<bool> is_published(const Names& names, const StagedFile& file) {
  const auto there = find_at(names.directory.get(), names.final_name);
  if (!there) return there.error();
  return *there && same_but_for_ctime(identity_of(**there), file.identity);
}

int rename_at(const Names& names, const std::string& from, const std::string& to, unsigned flags) {
  const int fd = names.directory.get();
  return ::renameat2(fd, from.c_str(), fd, to.c_str(), flags) == 0 ? 0 : errno;
}

/// Nothing is at the path, or a link has taken the place of a directory above it.
bool is_elsewhere(const Error& error) {
  return error.kind == ErrorKind::kNotFound || error.kind == ErrorKind::kAbnormal;
}

Error name_taken(const std::string& path, std::string_view by) {
  return make_error(ErrorKind::kFailed, "{}: {} has this name already", path, by);
}

bool is_same(const Result<std::optional<struct stat>>& found,
             const std::optional<FileIdentity>& identity) {
  return found && found->has_value() && identity &&
         same_but_for_ctime(identity_of(**found), *identity);
}

/// Whether what FILE would take the place of, or took it of, may be replaced.
Result<void> check_replaced(const StagedFile& file, Replace replace,
                            const Result<std::optional<struct stat>>& old) {
  if (!old) return old.error();
  if (*old && S_ISDIR((*old)->st_mode)) return name_taken(file.path, "a directory");
  const bool is_newer = replace == Replace::kWhatWasThere && *old && !is_same(old, file.replaces);
  if (is_newer) return name_taken(file.path, "a newer file");
  return {};
}

/// In the place of a file that has the name, which gets the temporary one where possible. What was
/// moved is looked at: something else may have taken the name just before.
Result<void> exchange(const Names& names, const StagedFile& file, Replace replace) {
  const int fd = names.directory.get();
  auto before = check_replaced(file, replace, find_at(fd, names.final_name));
  if (!before) return before;
  int error = rename_at(names, names.temporary, names.final_name, RENAME_EXCHANGE);
  if (error == 0) {
    const auto moved = check_replaced(file, replace, find_at(fd, names.temporary));
    if (moved) return {};
    error = rename_at(names, names.final_name, names.temporary, RENAME_EXCHANGE);
    return error == 0 ? moved : errno_error(error, fmt::format("rename {} back", file.path));
  }
  // Without exchange, or where the old file went meanwhile.
  if (error == EINVAL || error == ENOENT) {
    error = rename_at(names, names.temporary, names.final_name, 0);
  }
  if (error == 0) return {};
  return errno_error(error, fmt::format("rename to {}", file.path));
}

Result<void> publish_one(int root_fd, const StagedFile& file, Replace replace) {
  const auto names = open_names(root_fd, file);
  if (!names) return names.error();
  const auto published = is_published(*names, file);
  if (!published) return published.error();
  if (*published) return {};
  const int fd = names->directory.get();
  // Once it was published, what it replaced has the temporary name.
  const auto staged = find_at(fd, names->temporary);
  if (!staged) return staged.error();
  if (!is_same(staged, file.identity)) {
    return make_error(ErrorKind::kNotFound, "{}: it was taken away or replaced", file.path);
  }
  auto renamed = rename_new(fd, names->temporary, fd, names->final_name);
  if (renamed || renamed.error().os_code != EEXIST) return renamed;
  if (replace == Replace::kNothing) return name_taken(file.path, "a file");
  return exchange(*names, file, replace);
}

/// Only FILE: what took its place since stays, or gets it back.
Result<void> take_back(int root_fd, const StagedFile& file) {
  const auto names = open_names(root_fd, file);
  if (!names) return names.error();
  const auto published = is_published(*names, file);
  if (!published) return published.error();
  if (!*published) return {};
  const int fd = names->directory.get();
  const auto replaced = find_at(fd, names->temporary);
  if (!replaced) return replaced.error();
  const unsigned how = *replaced ? RENAME_EXCHANGE : RENAME_NOREPLACE;
  int error = rename_at(*names, names->final_name, names->temporary, how);
  if (error == 0 && is_same(find_at(fd, names->temporary), file.identity)) return {};
  if (error == 0) error = rename_at(*names, names->temporary, names->final_name, how);
  if (error == 0) return {};
  return errno_error(error, fmt::format("rename {} back", file.path));
}

/// Makes the names in all directories of FILES durable.
Result<void> sync_directories(int root_fd, std::span<const StagedFile> files) {
  std::set<std::string> directories;
  for (const StagedFile& file : files) directories.insert(parent_of(file.path));
  for (const std::string& directory : directories) {
    const auto fd = open_beneath(root_fd, directory, kDirectory);
    if (!fd) return fd.error();
    if (auto synced = sync(fd->get(), directory); !synced) return synced;
  }
  return {};
}

class LocalStaging final : public Staging {
 public:
  LocalStaging(UniqueFd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<void> write(std::span<const std::byte> data) override {
    return write_full(fd_.get(), data, path_);
  }

  Result<FileIdentity> finish() override {
    if (auto synced = sync(fd_.get(), path_); !synced) return synced.error();
    const auto status = stat_fd(fd_.get(), path_);
    if (!status) return status.error();
    fd_.reset();
    return identity_of(*status);
  }

 private:
  UniqueFd fd_;
  std::string path_;
};

}  // namespace

Result<UniqueFd> LocalPlace::open_root() const {
  auto fd = root_.open();
  if (!fd && fd.error().kind == ErrorKind::kNotFound) {
    return Error{ErrorKind::kIo, fd.error().message, fd.error().os_code};
  }
  return fd;
}

Result<UniqueFd> LocalPlace::make_directory(int root_fd, const std::string& directory) {
  auto there = open_beneath(root_fd, directory, kDirectory);
  if (there || there.error().kind != ErrorKind::kNotFound) return there;
  const auto parent = make_directory(root_fd, parent_of(directory));
  if (!parent) return parent.error();
  if (::mkdirat(parent->get(), name_of(directory).c_str(), 0777) == 0) {
    made_.push_back(directory);
    if (auto synced = sync(parent->get(), parent_of(directory)); !synced) return synced.error();
  } else if (errno != EEXIST) {
    return errno_error(errno, fmt::format("create directory {}", directory));
  }
  return open_beneath(root_fd, directory, kDirectory);
}

Result<std::unique_ptr<Staging>> LocalPlace::stage(const std::string& temporary) {
  const auto root_fd = open_root();
  if (!root_fd) return root_fd.error();
  const auto directory = make_directory(root_fd->get(), parent_of(temporary));
  if (!directory && directory.error().kind == ErrorKind::kAbnormal) {
    // The name is not fit.
    return Error{ErrorKind::kInvalid, directory.error().message, directory.error().os_code};
  }
  if (!directory) return directory.error();
  auto fd = create_at(directory->get(), name_of(temporary), 0666);
  if (!fd) return fd.error();
  return std::make_unique<LocalStaging>(std::move(*fd), temporary);
}

Result<std::optional<std::string>> LocalPlace::judge(const StagedFile& file,
                                                     const AcceptancePolicy& policy,
                                                     const std::string& landing,
                                                     const StopToken& stop) {
  const auto root_fd = open_root();
  if (!root_fd) return root_fd.error();
  const auto fd = open_beneath(root_fd->get(), file.temporary, O_RDONLY);
  if (!fd && !is_elsewhere(fd.error())) return fd.error();
  const auto status = fd ? stat_fd(fd->get(), file.temporary) : fd.error();
  if (!status || identity_of(*status) != file.identity) {
    return make_error(ErrorKind::kFailed, "{}: another process changed or removed it meanwhile",
                      file.temporary);
  }
  return ferry::judge(policy, fd->get(), file.path, file.identity.size,
                      judged_environment(landing, file.path, file.identity.size, file.sha256),
                      stop);
}

Result<void> LocalPlace::publish(std::span<const StagedFile> files, Replace replace) {
  const auto root_fd = open_root();
  if (!root_fd) return root_fd.error();
  Result<void> outcome;
  std::size_t done = 0;
  for (; outcome && done < files.size(); ++done) {
    outcome = publish_one(root_fd->get(), files[done], replace);
  }
  if (outcome) outcome = sync_directories(root_fd->get(), files);
  if (outcome) return outcome;
  while (done-- > 0) {
    const auto back = take_back(root_fd->get(), files[done]);
    if (!back) not_undone_ = back.error();
  }
  return outcome;
}

Result<std::vector<std::optional<FileIdentity>>> LocalPlace::occupants(
    std::span<const StagedFile> files) {
  const auto root_fd = open_root();
  if (!root_fd) return root_fd.error();
  std::vector<std::optional<FileIdentity>> found;
  found.reserve(files.size());
  for (const StagedFile& file : files) {
    const auto status = stat_beneath(root_fd->get(), file.path);
    if (!status && !is_elsewhere(status.error())) return status.error();
    auto& identity = found.emplace_back();
    if (status) identity = identity_of(*status);
  }
  return found;
}

Result<std::vector<std::optional<FileIdentity>>> LocalPlace::identities(
    std::span<const StagedFile> files) {
  auto found = occupants(files);
  if (!found) return found;
  for (std::size_t i = 0; i < files.size(); ++i) {
    auto& identity = found->at(i);
    if (identity && !same_but_for_ctime(*identity, files[i].identity)) identity.reset();
  }
  return found;
}

Result<std::size_t> LocalPlace::discard(std::span<const std::string> temporaries) {
  // A temporary name may be all that is left of a file that was replaced.
  if (not_undone_) return *not_undone_;
  const auto root_fd = open_root();
  if (!root_fd) return root_fd.error();
  std::size_t removed = 0;
  for (const std::string& temporary : temporaries) {
    const auto entry = open_parent(root_fd->get(), temporary);
    if (!entry && is_elsewhere(entry.error())) continue;
    if (!entry) return entry.error();
    const auto gone = remove_at(entry->directory.get(), entry->name);
    if (!gone && gone.error().kind != ErrorKind::kNotFound) return gone.error();
    removed += gone ? 1 : 0;
  }
  for (; !made_.empty(); made_.pop_back()) {
    const auto parent = open_parent(root_fd->get(), made_.back());
    if (parent) ::unlinkat(parent->directory.get(), parent->name.c_str(), AT_REMOVEDIR);
  }
  return removed;
}

}  // namespace ferry::landing

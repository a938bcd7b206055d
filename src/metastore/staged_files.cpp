#include "metastore/staged_files.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <set>
#include "ferry/base/json.h"

#include "ferry/base/uuid.h"
#include "metastore/path_rules.h"

namespace ferry::metastore {
namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;

std::string temporary_name(const std::string& name) {
  const fs::path path(name);
  const fs::path temporary = fmt::format(".{}.{}.tmp", path.filename().string(), uuid_v7());
  return (path.parent_path() / temporary).string();
}

Error damaged(const fs::path& note) {
  return make_error(ErrorKind::kCorrupt, "{} cannot be understood", note.string());
}

/// False where there is no such file any more: the name was given before.
Result<bool> give_name(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  return errno_error(errno, fmt::format("rename {} to {}", from.string(), to.string()));
}

Result<void> remove_note(const fs::path& note) {
  if (::unlink(note.c_str()) != 0 && errno != ENOENT) {
    return errno_error(errno, fmt::format("remove {}", note.string()));
  }
  return sync_directory(note.parent_path());
}

}  // namespace

Result<void> StagedFile::append(std::string_view text) {
  buffer_ += text;
  return buffer_.size() < kBufferBytes ? Result<void>() : flush();
}

Result<void> StagedFile::flush() {
  auto written = write_full(fd_.get(), as_bytes(buffer_), path_);
  buffer_.clear();
  return written;
}

Result<void> StagedFile::sync() {
  if (auto flushed = flush(); !flushed) return flushed;
  if (::fsync(fd_.get()) != 0) return errno_error(errno, "fsync " + path_.string());
  return {};
}

StagedFiles::StagedFiles(fs::path directory, fs::path note)
    : directory_(std::move(directory)), note_(std::move(note)) {}

StagedFiles::~StagedFiles() {
  if (is_committed_) return;
  for (const StagedFile& file : files_) ::unlink(file.path_.c_str());
}

Result<StagedFile*> StagedFiles::add(const std::string& name) {
  StagedFile file;
  file.name_ = name;
  file.temporary_ = temporary_name(name);
  file.path_ = directory_ / file.temporary_;
  if (auto made = make_directories(file.path_.parent_path()); !made) return made.error();
  auto fd = open_file(file.path_, O_WRONLY | O_CREAT | O_EXCL);
  if (!fd) return fd.error();
  file.fd_ = std::move(*fd);
  return &files_.emplace_back(std::move(file));
}

Result<void> StagedFiles::commit() {
  std::set<fs::path> directories;
  for (StagedFile& file : files_) {
    if (auto synced = file.sync(); !synced) return synced;
    for (fs::path parent = file.path_.parent_path();; parent = parent.parent_path()) {
      directories.insert(parent);
      if (parent == directory_ || !parent.has_parent_path()) break;
    }
  }
  for (const fs::path& directory : directories) {
    if (auto synced = sync_directory(directory); !synced) return synced;
  }
  if (auto noted = write_note(); !noted) return noted;
  is_committed_ = true;
  return finish_staged_files(directory_, note_);
}

Result<void> StagedFiles::write_note() const {
  Json names = Json::array();
  for (const StagedFile& file : files_) {
    names.push_back({{"from", file.temporary_}, {"to", file.name_}});
  }
  return replace_file(note_, to_text(Json{{"renames", std::move(names)}}) + "\n");
}

Result<void> finish_staged_files(const fs::path& directory, const fs::path& note) {
  const auto text = read_file(note);
  if (!text) return text.error().kind == ErrorKind::kNotFound ? Result<void>() : text.error();
  const auto json = Json::parse(*text, nullptr, false);
  if (!json.is_object() || !json.contains("renames") || !json["renames"].is_array()) {
    return damaged(note);
  }
  std::set<fs::path> directories;
  for (const auto& entry : json["renames"]) {
    if (!entry.is_object() || !entry.contains("from") || !entry["from"].is_string() ||
        !entry.contains("to") || !entry["to"].is_string()) {
      return damaged(note);
    }
    const auto& from = entry["from"].get_ref<const std::string&>();
    const auto& to = entry["to"].get_ref<const std::string&>();
    if (!path_problem(from).empty() || !path_problem(to).empty()) return damaged(note);
    if (auto given = give_name(directory / from, directory / to); !given) return given.error();
    directories.insert((directory / to).parent_path());
  }
  for (const fs::path& touched : directories) {
    auto synced = sync_directory(touched);
    if (!synced && synced.error().kind != ErrorKind::kNotFound) return synced;
  }
  return remove_note(note);
}

}  // namespace ferry::metastore

#include "metastore/jsonl/tables/staged_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "ferry/base/json.h"
#include "ferry/base/log.h"
#include "ferry/base/path.h"
#include "ferry/base/uuid.h"
#include "metastore/jsonl/tables/layout.h"

namespace ferry::metastore {
namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;

bool is_temporary(std::string_view name) {
  return name.starts_with('.') && name.ends_with(".tmp");
}

std::string temporary_name(const std::string& name) {
  return beside(name, fmt::format(".{}.{}.tmp", base_name(name), uuid_v7()));
}

bool is_table(std::string_view name) {
  return name == table_file(kRegistryTable) || name == table_file(kTransferTable);
}

/// archive/<month>/<table>.<…>.jsonl
bool is_archive_part(const std::string& name) {
  const std::string_view last = base_name(name);
  const bool is_of_table = last.starts_with(fmt::format("{}.", kRegistryTable)) ||
                           last.starts_with(fmt::format("{}.", kTransferTable));
  return directory_of(directory_of(name)) == kArchive && is_of_table && last.ends_with(".jsonl");
}

/// Others are none that we gave: whoever wrote them into the note may want us to lose something.
bool may_be_given(const std::string& from, const std::string& to) {
  return is_temporary(base_name(from)) && directory_of(from) == directory_of(to) &&
         (is_table(to) || is_archive_part(to));
}

Error taken_away(const std::string& file) {
  return make_error(ErrorKind::kBusy, "{} was taken away: another compaction is at work", file);
}

struct Naming {
  std::string from;
  std::string to;
};

/// Nothing: there is none.
Result<std::optional<std::vector<Naming>>> read_note(const Directory& directory,
                                                     const std::string& note) {
  using Note = std::optional<std::vector<Naming>>;
  const auto text = directory.read(note);
  if (!text) return text.error().kind == ErrorKind::kNotFound ? Result<Note>(Note()) : text.error();
  const Error damaged =
      make_error(ErrorKind::kCorrupt, "{} cannot be understood", directory.shown(note));
  const auto json = Json::parse(*text, nullptr, false);
  if (!json.is_object() || !json.contains("renames") || !json["renames"].is_array()) return damaged;
  std::vector<Naming> names;
  for (const auto& entry : json["renames"]) {
    const auto text_of = [&](const char* key) {
      const bool is_text = entry.is_object() && entry.contains(key) && entry[key].is_string();
      return is_text ? entry[key].get<std::string>() : std::string();
    };
    Naming naming{.from = text_of("from"), .to = text_of("to")};
    if (!may_be_given(naming.from, naming.to)) return damaged;
    names.push_back(std::move(naming));
  }
  return Note(std::move(names));
}

}  // namespace

Result<void> StagedFile::append(std::string_view text) {
  buffer_ += text;
  size_ += text.size();
  return buffer_.size() < kBufferBytes ? Result<void>() : flush();
}

Result<void> StagedFile::flush() {
  auto written = write_full(lock_->fd(), as_bytes(buffer_), shown_);
  buffer_.clear();
  return written;
}

Result<void> StagedFile::sync() {
  if (auto flushed = flush(); !flushed) return flushed;
  if (::fsync(lock_->fd()) != 0) return errno_error(errno, "fsync " + shown_);
  return {};
}

StagedFiles::StagedFiles(const Directory& directory, std::string note)
    : directory_(directory), note_(std::move(note)) {}

StagedFiles::~StagedFiles() {
  if (may_be_noted_) return;
  for (const StagedFile& file : files_) {
    [[maybe_unused]] const auto removed = directory_.remove(file.temporary_);
  }
}

Result<StagedFile*> StagedFiles::add(const std::string& name) {
  StagedFile file;
  file.name_ = name;
  file.temporary_ = temporary_name(name);
  file.shown_ = directory_.shown(file.temporary_);
  if (auto made = directory_.make_folder(std::string(directory_of(name))); !made)
    return made.error();
  auto fd = directory_.open_file(file.temporary_, O_RDWR | O_CREAT | O_EXCL);
  if (!fd) return fd.error();
  auto lock = FileLock::try_acquire(std::move(*fd), file.shown_);
  if (!lock) return lock.error();
  if (!*lock) return taken_away(file.shown_);
  file.lock_.emplace(std::move(**lock));
  return &files_.emplace_back(std::move(file));
}

Result<void> StagedFiles::sync() {
  std::set<std::string> folders;
  for (StagedFile& file : files_) {
    if (auto synced = file.sync(); !synced) return synced;
    for (auto folder = directory_of(file.name_); !folder.empty(); folder = directory_of(folder)) {
      folders.emplace(folder);
    }
  }
  folders.insert("");
  for (const std::string& folder : folders) {
    if (auto synced = directory_.sync(folder); !synced) return synced;
  }
  return {};
}

/// Nobody takes them away from here on: that is done under the lock, too.
Result<void> StagedFiles::check_all_there() const {
  for (const StagedFile& file : files_) {
    const auto there = directory_.open_file(file.temporary_, O_RDONLY);
    if (!there && there.error().kind == ErrorKind::kNotFound) return taken_away(file.shown_);
    if (!there) return there.error();
    const auto found = stat_fd(there->get(), file.shown_);
    const auto ours = stat_fd(file.lock_->fd(), file.shown_);
    if (!found || !ours) return found ? ours.error() : found.error();
    if (identity_of(*found) != identity_of(*ours)) return taken_away(file.shown_);
  }
  return {};
}

Result<void> StagedFiles::commit() {
  if (auto synced = sync(); !synced) return synced;
  if (auto checked = check_all_there(); !checked) return checked;
  may_be_noted_ = true;
  if (auto noted = write_note(); !noted) {
    // Whether the note is there cannot be told any more. While it may be, its files stay.
    may_be_noted_ = !take_back_note();
    return noted;
  }
  return finish_staged_files(directory_, note_);
}

Result<void> StagedFiles::write_note() const {
  Json names = Json::array();
  for (const StagedFile& file : files_) {
    names.push_back({{"from", file.temporary_}, {"to", file.name_}});
  }
  return directory_.replace(note_, to_text(Json{{"renames", std::move(names)}}) + "\n");
}

Result<void> StagedFiles::take_back_note() const {
  const auto removed = directory_.remove(note_);
  if (!removed) return removed.error();
  return directory_.sync("");
}

Result<void> check_staged_files(const Directory& directory, const std::string& note) {
  const auto names = read_note(directory, note);
  return names ? Result<void>() : names.error();
}

Result<void> finish_staged_files(const Directory& directory, const std::string& note) {
  const auto read = read_note(directory, note);
  if (!read) return read.error();
  const auto& names = *read;
  if (!names) return {};
  std::set<std::string> folders;
  for (const Naming& naming : *names) {
    // If there is no such file, the name was given before.
    if (auto given = directory.rename(naming.from, naming.to); !given) return given.error();
    folders.emplace(directory_of(naming.to));
  }
  for (const std::string& folder : folders) {
    auto synced = directory.sync(folder);
    if (!synced && synced.error().kind != ErrorKind::kNotFound) return synced;
  }
  const auto removed = directory.remove(note);
  if (!removed) return removed.error();
  return directory.sync("");
}

void remove_if_dead(const Directory& directory, const std::string& name) {
  const auto file = directory.open_file(name, O_RDONLY);
  if (!file) return;
  const auto held = FileLock::is_held(file->get(), directory.shown(name));
  if (!held || *held) return;
  [[maybe_unused]] const auto removed = directory.remove(name);
}

void remove_staged_files(const Directory& directory) {
  const auto remove_in = [&](const std::string& folder) {
    const auto names = directory.list(folder);
    if (!names) return;
    for (const std::string& name : *names) {
      if (is_temporary(name)) {
        remove_if_dead(directory, folder.empty() ? name : fmt::format("{}/{}", folder, name));
      }
    }
  };
  remove_in("");
  const auto months = directory.list(kArchive);
  if (!months) return;
  for (const std::string& month : *months) remove_in(fmt::format("{}/{}", kArchive, month));
}

}  // namespace ferry::metastore

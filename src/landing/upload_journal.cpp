#include "landing/upload_journal.h"

#include <fcntl.h>

#include <boost/filesystem/directory.hpp>
#include <cerrno>
#include "ferry/base/json.h"

#include "ferry/base/time.h"
#include "ferry/base/uuid.h"

namespace ferry::landing {
namespace {

constexpr std::string_view kSuffix = ".jsonl";
constexpr std::chrono::seconds kLockTimeout{5};
/// Between its creation and its first line a journal is empty and perhaps not yet locked.
constexpr std::chrono::minutes kCreationTime{1};

Json to_json(const StagedFile& file) {
  return {{"path", file.path},
          {"temporary", file.temporary},
          {"checksum", file.sha256.to_string()},
          {"device", file.identity.device},
          {"inode", file.identity.inode},
          {"size", file.identity.size},
          {"mtime_ns", file.identity.mtime_ns},
          {"ctime_ns", file.identity.ctime_ns}};
}

/// Throws where a member is missing or of another type.
StagedFile staged_from(const Json& row) {
  const auto checksum = Checksum::parse(row.at("checksum").get<std::string>());
  if (!checksum) throw std::invalid_argument(checksum.error().message);
  return {.path = row.at("path"),
          .temporary = row.at("temporary"),
          .identity = {.device = row.at("device"),
                       .inode = row.at("inode"),
                       .size = row.at("size"),
                       .mtime_ns = row.at("mtime_ns"),
                       .ctime_ns = row.at("ctime_ns")},
          .sha256 = *checksum};
}

void read_line(std::string_view line, UploadPlan& plan) {
  const Json row = Json::parse(line);
  if (row.contains("landing")) {
    plan.landing = row.at("landing");
    plan.place = row.at("place");
  } else if (row.contains("temporary")) {
    plan.temporaries.push_back(row.at("temporary"));
  } else {
    std::vector<StagedFile> files;
    for (const Json& file : row.at("commit")) files.push_back(staged_from(file));
    plan.no_clobber = row.at("no_clobber");
    plan.committed = std::move(files);
  }
}

bool was_just_created(const fs::path& path) {
  const auto fd = open_file(path, O_RDONLY);
  if (!fd) return false;
  const auto status = stat_fd(fd->get(), path);
  if (!status || status->st_size > 0) return false;
  const auto age = std::chrono::nanoseconds(now().time_since_epoch()) -
                   std::chrono::nanoseconds(identity_of(*status).mtime_ns);
  return age < kCreationTime;
}

Result<std::optional<UploadJournal::Orphan>> adopt(const fs::path& path) {
  auto lock = FileLock::try_acquire(path);
  if (!lock) return lock.error();
  if (!*lock || was_just_created(path)) return std::optional<UploadJournal::Orphan>();
  const auto text = read_file(path);
  if (!text) return text.error();
  return std::optional(UploadJournal::Orphan{path, std::move(**lock), parse_upload_plan(*text)});
}

}  // namespace

UploadPlan parse_upload_plan(std::string_view text) {
  UploadPlan plan;
  for (auto end = text.find('\n'); end != text.npos; end = text.find('\n')) {
    try {
      read_line(text.substr(0, end), plan);
    } catch (const std::exception&) {
      break;
    }
    text.remove_prefix(end + 1);
  }
  return plan;
}

Result<UploadJournal> UploadJournal::create(const fs::path& directory, const std::string& landing,
                                            const std::string& place) {
  if (auto made = make_directories(directory); !made) return made.error();
  fs::path path = directory / (uuid_v7() + std::string(kSuffix));
  auto lock = FileLock::acquire(path, kLockTimeout);
  if (!lock) return lock.error();
  auto fd = open_file(path, O_WRONLY | O_APPEND);
  if (!fd) return fd.error();
  UploadJournal journal(std::move(path), std::move(*lock), std::move(*fd));
  const Json header{{"landing", landing}, {"place", place}};
  if (auto written = journal.append(to_text(header)); !written) return written.error();
  if (auto synced = sync_directory(directory); !synced) return synced.error();
  return journal;
}

Result<void> UploadJournal::note_temporary(const std::string& temporary) {
  return append(to_text(Json{{"temporary", temporary}}));
}

Result<void> UploadJournal::note_commit(std::span<const StagedFile> files, bool no_clobber) {
  Json rows = Json::array();
  for (const StagedFile& file : files) rows.push_back(to_json(file));
  return append(to_text(Json{{"no_clobber", no_clobber}, {"commit", std::move(rows)}}));
}

Result<void> UploadJournal::append(const std::string& line) {
  if (auto written = write_full(fd_.get(), as_bytes(line + "\n"), path_); !written) return written;
  if (::fdatasync(fd_.get()) != 0) {
    return errno_error(errno, fmt::format("fdatasync {}", path_.string()));
  }
  return {};
}

void UploadJournal::remove() {
  ::unlink(path_.c_str());
}

Result<std::vector<UploadJournal::Orphan>> UploadJournal::find_orphans(const fs::path& directory) {
  std::vector<Orphan> orphans;
  boost::system::error_code code;
  for (fs::directory_iterator entry(directory, code), end; !code && entry != end;
       entry.increment(code)) {
    if (entry->path().extension() != fs::path(std::string(kSuffix))) continue;
    auto orphan = adopt(entry->path());
    if (!orphan) return orphan.error();
    if (*orphan) orphans.push_back(std::move(**orphan));
  }
  return orphans;
}

}  // namespace ferry::landing

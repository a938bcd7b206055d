#include "transfer/batch/batch_journal.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <cerrno>

#include "transfer/batch/batch_journal_lines.h"

namespace ferry::transfer {
namespace {

constexpr std::string_view kUnnamedSuffix = ".new";

using Place = BatchJournal::Place;
using namespace journal_lines;

std::string_view event_of(const BatchEnd& end) {
  if (end.is_skipped) return "skipped";
  return end.failure ? "failed" : "delivered";
}

}  // namespace

bool BatchJournal::Marks::has(const std::vector<Place>& places, Place place) {
  return std::ranges::binary_search(places, place);
}

Result<std::unique_ptr<BatchJournal>> BatchJournal::begin(const fs::path& directory,
                                                          const BatchInfo& info) {
  if (auto made = make_directories(directory); !made) return made.error();
  const fs::path path = directory / (info.id + std::string(kBatchJournalSuffix));
  const fs::path unnamed = path.string() + std::string(kUnnamedSuffix);
  auto fd = open_file(unnamed, O_RDWR | O_APPEND | O_CREAT | O_EXCL, 0600);
  if (!fd) return fd.error();
  auto lock = FileLock::try_acquire(std::move(*fd), unnamed);
  if (!lock) return lock.error();
  if (!*lock) return make_error(ErrorKind::kBusy, "{}: somebody else has it", unnamed.string());
  std::unique_ptr<BatchJournal> journal(new BatchJournal(path, std::move(**lock), info));
  // It gets its name when nobody can take it for a dead agent's any more.
  if (auto written = journal->append(header_line(info)); !written) {
    ::unlink(unnamed.c_str());
    return written.error();
  }
  if (::rename(unnamed.c_str(), path.c_str()) == 0) return journal;
  const int code = errno;
  ::unlink(unnamed.c_str());
  return errno_error(code, "rename " + unnamed.string());
}

Result<std::vector<fs::path>> BatchJournal::find(const fs::path& directory) {
  std::vector<fs::path> found;
  boost::system::error_code code;
  fs::directory_iterator entries(directory, code);
  if (code == boost::system::errc::no_such_file_or_directory) return found;
  for (; !code && entries != fs::directory_iterator(); entries.increment(code)) {
    if (entries->path().extension() == fs::path(std::string(kBatchJournalSuffix))) {
      found.push_back(entries->path());
    }
  }
  if (code) return errno_error(code.value(), fmt::format("look into {}", directory.string()));
  std::ranges::sort(found);
  return found;
}

bool BatchJournal::exists(const fs::path& directory, std::string_view batch_id) {
  if (batch_id.empty() || batch_id.contains('/')) return false;
  boost::system::error_code code;
  return fs::exists(directory / (std::string(batch_id) + std::string(kBatchJournalSuffix)), code);
}

Result<std::unique_ptr<BatchJournal>> BatchJournal::take_over(const fs::path& file) {
  auto fd = open_file(file, O_RDWR | O_APPEND);
  if (!fd) {
    if (fd.error().kind == ErrorKind::kNotFound) return nullptr;
    return fd.error();
  }
  auto lock = FileLock::try_acquire(std::move(*fd), file);
  if (!lock) return lock.error();
  if (!*lock) return nullptr;
  const auto status = stat_fd((*lock)->fd(), file);
  if (!status) return status.error();
  if (status->st_nlink == 0) return nullptr;  // its agent has just removed it
  std::unique_ptr<BatchJournal> journal(new BatchJournal(file, std::move(**lock), {}));
  if (auto read = journal->read(static_cast<Place>(status->st_size)); !read) return read.error();
  if (journal->end_ > 0) return journal;
  journal->remove();  // its agent died before it began anything
  return nullptr;
}

/// Cuts off a last line that was not wholly written.
Result<void> BatchJournal::read(Place size) {
  end_ = 0;
  for (Place looked = size; looked > 0 && end_ == 0;) {
    std::string block(std::min<Place>(looked, kLongestLine), '\0');
    looked -= block.size();
    const auto count =
        pread_full(lock_.fd(), std::as_writable_bytes(std::span(block)), looked, path_);
    if (!count) return count.error();
    const auto eol = block.rfind('\n');
    if (eol != block.npos) end_ = looked + eol + 1;
  }
  if (end_ < size && ::ftruncate(lock_.fd(), static_cast<off_t>(end_)) != 0) {
    return errno_error(errno, fmt::format("truncate {}", path_.string()));
  }
  return visit_lines(lock_.fd(), 0, end_, path_, [this](Place place, Row& row) -> Result<bool> {
    if (place == 0) {
      auto info = info_from(row);
      if (!info) return info.error().with_context(path_.string());
      info_ = std::move(*info);
    }
    if (row.is("control") && row.has(kControl)) info_.control_path = row.text(kControl);
    tries_ += row.is("try") ? 1 : 0;
    is_pushed_ = is_pushed_ || row.is("pushed");
    if (row.is("pushing")) {
      pushing_ = Pushing{.part_path = std::string(row.text(kPart))};
      if (row.has(kMark)) pushing_->mark_path = row.text(kMark);
      if (row.has(kChecksum)) {
        pushing_->sha256 = row.checksum(kChecksum);
        pushing_->size = row.number(kSize);
      }
    }
    if (row.is("not_pushed")) pushing_.reset();
    is_naming_ = is_naming_ || row.is("naming");
    is_rolling_back_ = is_rolling_back_ || row.is("rolling_back");
    has_voids_ = has_voids_ || row.is("void");
    are_failures_recorded_ = are_failures_recorded_ || row.is("failures_recorded");
    return true;
  });
}

Result<BatchJournal::Place> BatchJournal::append(const std::string& line) {
  const std::scoped_lock lock(mutex_);
  const Place place = end_;
  // What there is of a line that was cut short would be glued to the next.
  if (is_broken_ && ::ftruncate(lock_.fd(), static_cast<off_t>(place)) != 0) {
    return errno_error(errno, fmt::format("truncate {}", path_.string()));
  }
  auto written = write_full(lock_.fd(), as_bytes(line), path_);
  is_broken_ = !written;
  if (!written) return written.error();
  end_ += line.size();
  unsynced_ += line;
  return place;
}

/// A disk that failed may have dropped what it was given (fsync(2)).
Result<void> BatchJournal::write_unsynced_anew() {
  const auto fd = open_file(path_, O_WRONLY);  // ours appends, wherever it is told to write
  if (!fd) return fd.error();
  const std::scoped_lock lock(mutex_);
  std::string_view rest = unsynced_;
  while (!rest.empty()) {
    const auto at = static_cast<off_t>(end_ - rest.size());
    const ssize_t count = ::pwrite(fd->get(), rest.data(), rest.size(), at);
    if (count < 0 && errno != EINTR) {
      return errno_error(errno, fmt::format("write {}", path_.string()));
    }
    rest.remove_prefix(count < 0 ? 0 : static_cast<std::size_t>(count));
  }
  return {};
}

Result<void> BatchJournal::note(std::string_view event, std::optional<Place> of) {
  const auto place = append(line_of(event, [&](RowWriter& row) {
    if (of) row.integer("of", *of);
  }));
  if (!place) return place.error();
  return {};
}

Result<void> BatchJournal::mark(std::string_view event, bool& flag) {
  auto noted = note(event, {});
  const std::scoped_lock lock(mutex_);
  if (noted) flag = true;
  return noted;
}

Result<BatchJournal::Place> BatchJournal::note_begun(const BatchFile& file) {
  return append(line_of("begun", [&](RowWriter& row) { write_file(row, file); }));
}

Result<void> BatchJournal::note_part(Place begun, const std::string& part_path) {
  const auto place = append(line_of("part", [&](RowWriter& row) {
    row.text("part", part_path);
    row.integer("of", begun);
  }));
  return place ? Result<void>() : place.error();
}

Result<void> BatchJournal::note_end(Place begun, const BatchEnd& end) {
  const auto place = append(line_of(event_of(end), [&](RowWriter& row) {
    row.integer("of", begun);
    write_end(row, end);
  }));
  return place ? Result<void>() : place.error();
}

Result<void> BatchJournal::note_end(const BatchFile& file, const BatchEnd& end) {
  const auto place = append(line_of(event_of(end), [&](RowWriter& row) {
    write_file(row, file);
    write_end(row, end);
  }));
  return place ? Result<void>() : place.error();
}

Result<void> BatchJournal::note_moved(Place begun) {
  return note("moved", begun);
}
Result<void> BatchJournal::note_uploaded(Place begun) {
  return note("uploaded", begun);
}
Result<void> BatchJournal::note_existing(Place begun) {
  return note("existing", begun);
}
Result<void> BatchJournal::note_void(Place begun) {
  auto noted = note("void", begun);
  const std::scoped_lock lock(mutex_);
  has_voids_ = true;
  return noted;
}
Result<void> BatchJournal::note_failures_recorded() {
  return mark("failures_recorded", are_failures_recorded_);
}
Result<void> BatchJournal::note_control_path(const std::string& path) {
  const auto place = append(line_of("control", [&](RowWriter& row) { row.text("control", path); }));
  if (!place) return place.error();
  info_.control_path = path;
  return {};
}
Result<unsigned> BatchJournal::note_try() {
  if (auto noted = note("try", {}); !noted) return noted.error();
  const std::scoped_lock lock(mutex_);
  return tries_++;
}
Result<void> BatchJournal::note_pushing(const Pushing& pushing) {
  const auto place = append(line_of("pushing", [&](RowWriter& row) {
    row.text("part", pushing.part_path);
    if (!pushing.mark_path.empty()) row.text("mark", pushing.mark_path);
    if (!pushing.sha256) return;
    row.text("checksum", pushing.sha256->to_string());
    row.integer("size", pushing.size);
  }));
  if (!place) return place.error();
  const std::scoped_lock lock(mutex_);
  pushing_ = pushing;
  return {};
}
Result<void> BatchJournal::note_not_pushed() {
  auto noted = note("not_pushed", {});
  const std::scoped_lock lock(mutex_);
  if (noted) pushing_.reset();
  return noted;
}
Result<void> BatchJournal::note_pushed() {
  if (is_pushed()) return {};
  return mark("pushed", is_pushed_);
}
Result<void> BatchJournal::note_naming() {
  return mark("naming", is_naming_);
}
Result<void> BatchJournal::note_rolling_back() {
  return mark("rolling_back", is_rolling_back_);
}

unsigned BatchJournal::tries() const {
  const std::scoped_lock lock(mutex_);
  return tries_;
}

bool BatchJournal::is_pushed() const {
  const std::scoped_lock lock(mutex_);
  return is_pushed_;
}

std::optional<Pushing> BatchJournal::pushing() const {
  const std::scoped_lock lock(mutex_);
  return pushing_;
}

bool BatchJournal::are_failures_recorded() const {
  const std::scoped_lock lock(mutex_);
  return are_failures_recorded_;
}

bool BatchJournal::is_naming() const {
  const std::scoped_lock lock(mutex_);
  return is_naming_;
}

bool BatchJournal::is_rolling_back() const {
  const std::scoped_lock lock(mutex_);
  return is_rolling_back_;
}

Result<void> BatchJournal::sync() {
  const Place wanted = end();
  const std::scoped_lock turn(sync_mutex_);
  if (is_synced(wanted)) return {};
  if (is_doubtful_) {
    if (auto written = write_unsynced_anew(); !written) return written;
  }
  const Place reached = end();
  if (::fdatasync(lock_.fd()) != 0) {
    is_doubtful_ = true;
    return errno_error(errno, fmt::format("fdatasync {}", path_.string()));
  }
  if (synced_ == 0) {
    if (auto synced = sync_directory(path_.parent_path()); !synced) return synced;
  }
  is_doubtful_ = false;
  synced_ = reached;
  const std::scoped_lock lock(mutex_);
  unsynced_.erase(0, unsynced_.size() - (end_ - reached));
  return {};
}

void BatchJournal::remove() {
  ::unlink(path_.c_str());
}

BatchJournal::Place BatchJournal::end() const {
  const std::scoped_lock lock(mutex_);
  return end_;
}

bool BatchJournal::has_voids() const {
  const std::scoped_lock lock(mutex_);
  return has_voids_;
}

Result<void> BatchJournal::visit_ended(const EndVisitor& visitor) const {
  const auto known = has_voids() ? marks() : Marks{};
  if (!known) return known.error();
  LineReader begun(lock_.fd(), end(), path_);
  const auto begun_at = [&](Place place) -> Result<BatchFile> {
    const auto line = begun.line_at(place);
    if (!line) return line.error();
    Row row;
    if (row.read(*line) && row.is("begun")) return file_from(row);
    return unreadable("a file of the batch is not where it should be").with_context(path_.string());
  };
  return visit_lines(lock_.fd(), 0, end(), path_, [&](Place, Row& row) -> Result<bool> {
    const bool is_delivered = row.is("delivered");
    if (!is_delivered && !row.is("failed") && !row.is("skipped")) return true;
    if (is_delivered && Marks::has(known->voided, row.number(kOf))) return true;
    const auto file = row.has(kOf) ? begun_at(row.number(kOf)) : file_from(row);
    if (!file) return file.error();
    const auto end = end_from(row);
    if (!end) return end.error();
    if (auto visited = visitor(*file, *end); !visited) return visited.error();
    return true;
  });
}

Result<BatchJournal::Marks> BatchJournal::marks() const {
  Marks marks;
  const std::pair<std::string_view, std::vector<Place>*> lists[] = {
      {"delivered", &marks.delivered}, {"failed", &marks.failed}, {"moved", &marks.moved},
      {"skipped", &marks.skipped},     {"void", &marks.voided},   {"uploaded", &marks.uploaded},
      {"existing", &marks.existing}};
  auto visited = visit_lines(lock_.fd(), 0, end(), path_, [&](Place, Row& row) -> Result<bool> {
    if (!row.has(kOf)) return true;
    for (const auto& [event, places] : lists) {
      if (row.is(event)) places->push_back(row.number(kOf));
    }
    if (row.is("part")) marks.more_parts.emplace(row.number(kOf), row.text(kPart));
    if (row.good()) return true;
    return unreadable("a line cannot be read").with_context(path_.string());
  });
  if (!visited) return visited.error();
  for (const auto& [event, places] : lists) std::ranges::sort(*places);
  return marks;
}

Result<void> BatchJournal::visit_begun(Place from, const BegunVisitor& visitor) const {
  return visit_lines(lock_.fd(), from, end(), path_, [&](Place place, Row& row) -> Result<bool> {
    if (!row.is("begun")) return true;
    const auto file = file_from(row);
    if (!file) return file.error();
    return visitor(place, *file);
  });
}

}  // namespace ferry::transfer

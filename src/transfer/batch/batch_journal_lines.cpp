#include "transfer/batch/batch_journal_lines.h"

#include <algorithm>

namespace ferry::transfer::journal_lines {
namespace {

constexpr int kVersion = 1;
constexpr std::size_t kBlockBytes = 256 * 1024;

using Place = BatchJournal::Place;

constexpr std::array<std::string_view, kColumns> kNames = {"event",
                                                           "version",
                                                           "batch",
                                                           "agent",
                                                           "destination",
                                                           "directory",
                                                           "control",
                                                           "created",
                                                           "all_or_nothing",
                                                           "format",
                                                           "sidecar",
                                                           "id",
                                                           "attempt",
                                                           "path",
                                                           "size",
                                                           "checksum",
                                                           "source_checksum",
                                                           "part",
                                                           "if_exists",
                                                           "of",
                                                           "date",
                                                           "ms",
                                                           "kind",
                                                           "message",
                                                           "retryable",
                                                           "refused_here",
                                                           "mark"};

/// The value that is called so; without a word the first one.
template <typename T>
Result<T> value_of(Row& row, Column column, std::span<const std::string_view> names) {
  if (!row.has(column)) return T{};
  const auto found = std::ranges::find(names, row.text(column));
  if (found == names.end()) return unreadable("it asks for something that is not known here");
  return static_cast<T>(found - names.begin());
}

void write_info(RowWriter& row, const BatchInfo& info) {
  row.text("event", "batch");
  row.integer("version", kVersion);
  row.text("batch", info.id);
  row.text("agent", info.agent);
  row.text("destination", info.destination);
  row.text("directory", info.directory);
  row.text("control", info.control_path);
  row.text("created", format_timestamp(info.created));
  if (info.all_or_nothing) row.integer("all_or_nothing", 1);
  if (info.control != ControlFormat::kJson) {
    row.text("format", kControlFormatNames[static_cast<std::size_t>(info.control)]);
  }
  if (info.sidecar != Sidecar::kNone) {
    row.text("sidecar", kSidecarNames[static_cast<std::size_t>(info.sidecar)]);
  }
}

}  // namespace

bool Row::read(std::string_view line) {
  cells_ = {};
  good_ = true;
  return split_row(line, kNames, cells_).has_value() && has(kEvent);
}

void write_file(RowWriter& row, const BatchFile& file) {
  row.text("id", file.id);
  row.integer("attempt", file.attempt);
  row.text("path", file.remote_path);
  row.integer("size", file.size);
  row.text("checksum", file.sha256.to_string());
  if (file.source_sha256) row.text("source_checksum", file.source_sha256->to_string());
  row.text("part", file.part_path);
  if (file.if_exists != IfExists::kReplace) {
    row.text("if_exists", kIfExistsNames[static_cast<std::size_t>(file.if_exists)]);
  }
}

void write_end(RowWriter& row, const BatchEnd& end) {
  row.text("date", format_timestamp(end.date));
  row.integer("ms", end.duration.count());
  if (!end.failure) return;
  row.text("kind", end.failure->kind);
  row.text("message", end.failure->message);
  if (end.failure->retryable) row.integer("retryable", 1);
  if (end.failure->refused_here) row.integer("refused_here", 1);
}

std::string header_line(const BatchInfo& info) {
  std::string line;
  RowWriter row(line);
  write_info(row, info);
  row.finish();
  return line;
}

Error unreadable(std::string_view what) {
  return make_error(ErrorKind::kCorrupt, "{}", what);
}

Result<BatchInfo> info_from(Row& row) {
  BatchInfo info{.id = std::string(row.text(kBatch)),
                 .agent = std::string(row.text(kAgent)),
                 .destination = std::string(row.text(kDestination)),
                 .directory = std::string(row.text(kDirectory)),
                 .control_path = std::string(row.text(kControl)),
                 .created = row.time(kCreated),
                 .all_or_nothing = row.flag(kAllOrNothing)};
  const auto format = value_of<ControlFormat>(row, kFormat, kControlFormatNames);
  const auto sidecar = value_of<Sidecar>(row, kSidecar, kSidecarNames);
  if (!format) return format.error();
  if (!sidecar) return sidecar.error();
  info.control = *format;
  info.sidecar = *sidecar;
  if (row.number(kVersionColumn) != kVersion || !row.good()) {
    return unreadable("its first line is not that of a batch's journal");
  }
  return info;
}

Result<BatchFile> file_from(Row& row) {
  BatchFile file{.id = std::string(row.text(kId)),
                 .attempt = static_cast<std::int64_t>(row.number(kAttempt)),
                 .remote_path = std::string(row.text(kPath)),
                 .size = row.number(kSize),
                 .sha256 = row.checksum(kChecksum),
                 .source_sha256 = {},
                 .part_path = std::string(row.text(kPart))};
  if (row.has(kSourceChecksum)) file.source_sha256 = row.checksum(kSourceChecksum);
  const auto if_exists = value_of<IfExists>(row, kIfExists, kIfExistsNames);
  if (!if_exists) return if_exists.error();
  file.if_exists = *if_exists;
  if (!row.good()) return unreadable("a file of the batch cannot be read");
  return file;
}

Result<BatchEnd> end_from(Row& row) {
  BatchEnd end{.date = row.time(kDate),
               .duration = std::chrono::milliseconds(row.number(kMs)),
               .failure = {},
               .is_skipped = row.is("skipped")};
  if (row.is("failed")) {
    end.failure = BatchFailure{.kind = std::string(row.text(kKind)),
                               .message = std::string(row.text(kMessage)),
                               .retryable = row.flag(kRetryable),
                               .refused_here = row.flag(kRefusedHere)};
  }
  if (!row.good()) return unreadable("the end of a file cannot be read");
  return end;
}

/// Empty if not the whole of it is in the block.
std::string_view LineReader::find(Place place) const {
  if (place < start_ || place >= start_ + block_.size()) return {};
  const auto rest = std::string_view(block_).substr(place - start_);
  const auto eol = rest.find('\n');
  return eol == rest.npos ? std::string_view() : rest.substr(0, eol);
}

Result<std::string_view> LineReader::line_at(Place place) {
  if (const auto line = find(place); !line.empty()) return line;
  start_ = place - std::min<Place>(place, kLongestLine);
  const Place stop = std::min<Place>(end_, place + kLongestLine);
  block_.resize(stop > start_ ? stop - start_ : 0);
  const auto count = pread_full(fd_, std::as_writable_bytes(std::span(block_)), start_, path_);
  if (!count) return count.error();
  block_.resize(*count);
  if (const auto line = find(place); !line.empty()) return line;
  return unreadable("a file of the batch is not where it should be").with_context(path_.string());
}

Result<void> visit_lines(int fd, Place from, Place end, const fs::path& path,
                         const LineVisitor& visitor) {
  std::string buffer;
  Row row;
  for (Place at = from; at < end;) {
    buffer.resize(std::min<std::uint64_t>(kBlockBytes, end - at));
    const auto count = pread_full(fd, std::as_writable_bytes(std::span(buffer)), at, path);
    if (!count) return count.error();
    std::string_view rest(buffer.data(), *count);
    const Place begin = at;
    for (auto eol = rest.find('\n'); eol != rest.npos; eol = rest.find('\n')) {
      if (!row.read(rest.substr(0, eol))) {
        return unreadable("a line cannot be read").with_context(path.string());
      }
      const auto goes_on = visitor(at, row);
      if (!goes_on) return goes_on.error();
      if (!*goes_on) return {};
      rest.remove_prefix(eol + 1);
      at += eol + 1;
    }
    if (at == begin) return unreadable("a line has no end").with_context(path.string());
  }
  return {};
}

}  // namespace ferry::transfer::journal_lines

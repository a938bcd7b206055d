// The lines of a batch's journal: what batch_journal.h tells of them, and nothing of files.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>

#include "ferry/base/json_row.h"
#include "transfer/batch/batch_journal.h"

namespace ferry::transfer::journal_lines {

/// The columns of all kinds of lines.
enum Column : std::size_t {
  kEvent,
  kVersionColumn,
  kBatch,
  kAgent,
  kDestination,
  kDirectory,
  kControl,
  kCreated,
  kAllOrNothing,
  kFormat,
  kSidecar,
  kId,
  kAttempt,
  kPath,
  kSize,
  kChecksum,
  kSourceChecksum,
  kPart,
  kIfExists,
  kOf,
  kDate,
  kMs,
  kKind,
  kMessage,
  kRetryable,
  kRefusedHere,
  kMark,
  kColumns
};
/// One line. What is missing, or of another type, makes it unreadable.
class Row {
 public:
  /// False if LINE is not a row. It must outlive this.
  bool read(std::string_view line);

  bool has(Column column) const { return cells_[column].kind != Cell::Kind::kAbsent; }
  bool good() const { return good_; }
  bool is(std::string_view event) const { return cells_[kEvent].text == event; }

  std::string_view text(Column column) {
    if (cells_[column].kind != Cell::Kind::kString) good_ = false;
    return cells_[column].text;
  }
  std::uint64_t number(Column column) {
    if (cells_[column].kind != Cell::Kind::kInteger) good_ = false;
    return cells_[column].as_unsigned();
  }
  bool flag(Column column) const { return cells_[column].number != 0; }
  Timestamp time(Column column) {
    const auto parsed = parse_timestamp(text(column));
    if (parsed) return *parsed;
    good_ = false;
    return {};
  }
  Checksum checksum(Column column) {
    const auto parsed = Checksum::parse(text(column));
    if (parsed) return *parsed;
    good_ = false;
    return {};
  }

 private:
  std::array<Cell, kColumns> cells_;
  bool good_ = true;
};

void write_file(RowWriter& row, const BatchFile& file);
void write_end(RowWriter& row, const BatchEnd& end);

template <typename Write>
std::string line_of(std::string_view event, Write write) {
  std::string line;
  RowWriter row(line);
  row.text("event", event);
  write(row);
  row.finish();
  return line;
}

/// The first line.
std::string header_line(const BatchInfo& info);

// Errors: kCorrupt.

Error unreadable(std::string_view what);
Result<BatchInfo> info_from(Row& row);
Result<BatchFile> file_from(Row& row);
Result<BatchEnd> end_from(Row& row);

inline constexpr std::size_t kLongestLine = std::size_t{64} * 1024;

/// Single lines by their places, which mostly lie close behind one another.
class LineReader {
 public:
  LineReader(int fd, BatchJournal::Place end, const fs::path& path)
      : fd_(fd), end_(end), path_(path) {}

  /// The whole line that begins at PLACE; valid until the next call.
  Result<std::string_view> line_at(BatchJournal::Place place);

 private:
  std::string_view find(BatchJournal::Place place) const;

  const int fd_;
  const BatchJournal::Place end_;
  const fs::path& path_;
  std::string block_;  // that begins at start_
  BatchJournal::Place start_ = 0;
};

/// Returns false to end the visit.
using LineVisitor = std::function<Result<bool>(BatchJournal::Place place, Row& row)>;

/// The whole lines from FROM, where one begins, to END.
Result<void> visit_lines(int fd, BatchJournal::Place from, BatchJournal::Place end,
                         const fs::path& path, const LineVisitor& visitor);

}  // namespace ferry::transfer::journal_lines

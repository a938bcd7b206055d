// An append-only file of JSON lines: reading what is new, reading one line again, appending groups,
// mending a torn tail.
//
// Knows nothing of what the lines mean. Readers need no lock; whoever appends or mends holds the
// metastore's. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/result.h"
#include "metastore/jsonl/tables/directory.h"

namespace ferry::metastore {

/// How far a table was read, and by what it is recognised as the same table with the same lines.
struct Position {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;   // 0: there was no file
  std::uint64_t offset = 0;  // where the last line that was read ends
  std::uint64_t lines = 0;   // that were read
  std::uint64_t size = 0;    // of the file, then
  std::int64_t mtime_ns = 0;
  std::string digest;  // of the last bytes before OFFSET

  bool operator==(const Position&) const = default;
};

class Table {
 public:
  /// Longer lines are damage: nobody has to keep one in memory.
  static constexpr std::size_t kMaxLine = 1 << 20;

  /// NAME is for messages. DIRECTORY outlives the table.
  Table(const Directory& directory, std::string_view name);
  /// The same for one that has another file.
  Table(const Directory& directory, std::string_view name, std::string file);

  const std::string& name() const { return name_; }

  enum class Fit : std::uint8_t {
    kSame,   // nothing happened to it since
    kGrown,  // there may be lines after the position
    kOther,  // another file, or one with other lines before the position
  };
  /// Turns to the file that the name stands for now.
  Result<Fit> compare(const Position& position);
  /// True if the name stands for another file by now than compare() found.
  Result<bool> is_replaced() const;

  /// Gives WRITER the bytes from FROM to UNTIL (excluded), piece by piece.
  Result<void> copy(std::uint64_t from, std::uint64_t until,
                    const std::function<Result<void>(std::string_view bytes)>& writer);

  /// The same for a line, however long, with its '\n'.
  Result<void> copy_line(std::uint64_t offset,
                         const std::function<Result<void>(std::string_view bytes)>& writer);

  /// Of the file that compare() found.
  Result<std::uint64_t> size() const;

  struct Line {
    std::string_view text;     // without its '\n'; empty if it is too long
    std::uint64_t number = 0;  // counts from 1
    std::uint64_t offset = 0;  // of its first byte
    bool is_too_long = false;
  };
  using LineReader = std::function<void(const Line& line)>;
  /// Gives READER the whole lines between POSITION and UNTIL, and advances POSITION.
  Result<void> read(Position& position, const LineReader& reader,
                    std::uint64_t until = std::numeric_limits<std::uint64_t>::max());

  /// All whole lines of a file that nobody changes.
  Result<void> read_all(const LineReader& reader);

  /// The line at OFFSET; lives until the next call. kCorrupt if there is none.
  Result<std::string_view> line_at(std::uint64_t offset);

  /// After all was read: ends a last line that lacks only its '\n', as IS_WHOLE tells, and moves
  /// any other fragment into a file of its own. After it read() gives a mended line. False: there
  /// was nothing to mend.
  Result<bool> mend_tail(const Position& position,
                         const std::function<bool(std::string_view)>& is_whole);

  /// Appends whole lines, LINE_COUNT in number, in one write, and syncs; on failure nothing is
  /// appended. The tail must be mended. Advances POSITION beyond them; false: it cannot, because
  /// somebody who does not lock appended at the same time, and read() gives both.
  Result<bool> append(Position& position, std::string_view lines, std::uint64_t line_count);

 private:
  Error no_row(std::uint64_t offset) const;
  Result<FileIdentity> identity() const;
  Result<Fit> fit(const Position& position, const FileIdentity& now) const;
  Result<void> note(Position& position, const FileIdentity& now) const;
  Result<std::string> digest_before(std::uint64_t offset) const;
  Result<void> read_block(std::uint64_t offset, std::size_t size);
  Result<bool> end_line(const Position& position);
  Result<void> cut_off(const Position& position, std::uint64_t size);
  Result<void> keep_fragment(const Position& position, std::uint64_t size, const std::string& name);
  Result<void> write_group(int fd, std::string_view lines);

  const Directory* directory_;
  std::string name_;
  std::string file_name_;
  UniqueFd fd_;
  std::string block_;  // a part of the file
  std::uint64_t block_offset_ = 0;
};

}  // namespace ferry::metastore

// An append-only file of JSON lines: reading what is new, appending groups, mending a torn tail.
//
// Knows nothing of what the lines mean. Readers need no lock; whoever appends holds the
// metastore's. Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/fd.h"
#include "ferry/base/file.h"
#include "ferry/base/result.h"

namespace ferry::metastore {

class JsonlTable {
 public:
  /// NAME is for file names and messages. Fragments are kept in DAMAGED.
  JsonlTable(std::string name, fs::path path, fs::path damaged);

  const std::string& name() const { return name_; }

  /// Turns to the file that the path names now. True where that is another one than before, or one
  /// that was cut or rewritten: what was read from it is void and reading starts anew.
  Result<bool> follow();

  /// True where the path names another file by now than follow() found.
  bool is_replaced() const;

  /// Where the last line that was given or appended ends.
  std::uint64_t offset() const { return offset_; }

  /// Lines that were given or appended so far.
  std::uint64_t lines() const { return lines_; }

  /// A line without its '\n', and its number, counted from 1.
  using LineReader = std::function<void(std::string_view line, std::uint64_t number)>;
  /// Gives READER the whole lines that were not given yet.
  Result<void> read_new(const LineReader& reader);
  /// The same, of those that end at OFFSET or before.
  Result<void> read_until(std::uint64_t offset, const LineReader& reader);

  /// Forgets what was given: the next read_new starts at the first line.
  void rewind();

  /// For writers, after read_new: ends a last line that lacks only its '\n', as IS_WHOLE tells, and
  /// moves any other fragment into a file of its own. After it read_new gives a mended line.
  Result<void> mend_tail(const std::function<bool(std::string_view)>& is_whole);

  /// Appends whole lines, LINE_COUNT in number, in one write, and syncs; on failure nothing is
  /// appended. read_new does not give them. The tail must be mended.
  Result<void> append(std::string_view lines, std::uint64_t line_count);

 private:
  Result<std::uint64_t> file_size() const;
  Result<bool> is_continued(std::uint64_t size) const;
  Result<void> cut_off(std::string_view fragment);
  Result<void> write_group(int fd, std::string_view lines);

  std::string name_;
  fs::path path_;
  fs::path damaged_;
  UniqueFd fd_;  // keeps the inode, so that its number tells one file from the next
  FileIdentity file_;
  std::uint64_t offset_ = 0;  // just after the last line given
  std::uint64_t lines_ = 0;
  std::vector<char> buffer_;
};

}  // namespace ferry::metastore

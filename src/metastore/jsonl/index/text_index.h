// Finds files by what stands somewhere in their paths.
//
// The index's table `path_part` has the parts of three characters (SQLite's FTS5, trigrams) of the
// paths of all files up to a certain one. It is filled by and by, and only if somebody searches:
// whoever only registers and delivers does not pay for it. The files behind are read through.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "metastore/jsonl/index/database.h"
#include "metastore/jsonl/index/index.h"

namespace ferry::metastore {

class TextIndex {
 public:
  /// DATABASE, that of an index, outlives it.
  explicit TextIndex(Database& database) : database_(database) {}

  /// Whether so many files are missing that it is worth while to extend it.
  bool is_behind();
  /// Adds the next files, some ten thousand at most. In a writing transaction.
  void extend();
  /// The same for all files up to LAST.
  void extend_to(FileNumber last);
  FileNumber last_indexed();
  /// A file's path is another from now on. In a writing transaction.
  void replace(FileNumber number, std::string_view previous, std::string_view path);

  /// Files behind AFTER, or, newest first, before it: all those with TEXT in their path, and
  /// others.
  std::vector<FileNumber> candidates(std::string_view text, FileNumber after, bool newest_first,
                                     std::size_t limit);

 private:
  FileNumber last_file();

  Database& database_;
};

/// What asks FTS5 for the parts of TEXT; empty: it has none, being too short or not UTF-8.
std::string parts_query(std::string_view text);

}  // namespace ferry::metastore

// Finds the files that a query asks for, a page at a time, each in a snapshot of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ferry/base/subtrees.h"
#include "ferry/metastore/metastore.h"
#include "metastore/jsonl/index/snapshot.h"
#include "metastore/path_ranges.h"

namespace ferry::metastore {

class FileSearch {
 public:
  explicit FileSearch(const FileQuery& query);

  /// Whether it has to know where files stand.
  bool needs_perspective() const;
  /// Whether it may have to find files by text in their paths.
  bool needs_text_index() const;

  /// The next files, with all that there is to show of them. No files: there are no more.
  Result<Page> next(Snapshot& snapshot);
  /// The same without what a page shows.
  Result<std::vector<KnownFile>> next_files(Snapshot& snapshot);

 private:
  /// How candidates are found: by the condition that leaves the fewest.
  enum class FoundBy : std::uint8_t {
    kNames,
    kClasses,
    kQuarantined,
    kLatest,
    kText,
    kRegistered,
    kAll
  };

  static FoundBy how_to_find(const FileQuery& query);
  Result<void> take_up(Snapshot& snapshot);
  std::vector<FileNumber> candidates(Snapshot& snapshot);
  std::vector<FileNumber> named(Snapshot& snapshot);
  std::vector<FileNumber> in_classes(Snapshot& snapshot);
  std::vector<FileNumber> with_text(Snapshot& snapshot) const;
  std::vector<FileNumber> registered(Snapshot& snapshot) const;
  std::vector<FileNumber> latest_versions(Snapshot& snapshot);
  std::vector<FileNumber> merged(std::vector<std::vector<FileNumber>> lists,
                                 std::size_t limit) const;
  bool is_asked_for(const Class& one, Liveness& liveness) const;
  bool matches(const KnownFile& file, Snapshot& snapshot) const;

  // A search is copied for each page: what is asked may be long, and does not change.
  std::shared_ptr<const FileQuery> query_;
  std::shared_ptr<const Subtrees> below_;
  std::shared_ptr<const std::vector<PathRange>> ranges_;
  FoundBy found_by_;
  std::size_t left_;
  bool is_over_ = false;
  // The last one that was looked at.
  std::string last_id_;
  FileNumber last_ = 0;
  std::int64_t last_registered_ = 0;  // its KnownFile::registered
  // kLatest: goes from one range of paths to the next, for one label of the areas after the other.
  std::size_t range_ = 0;
  std::size_t label_ = 0;
  std::string last_path_;
};

}  // namespace ferry::metastore

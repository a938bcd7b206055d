// Finds the files that a query asks for, a page at a time.
//
// The database finds candidates, by the condition that leaves the fewest; the rules say which of
// them are meant.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ferry/metastore/metastore.h"
#include "metastore/path_ranges.h"
#include "metastore/postgres/routes.h"
#include "metastore/postgres/snapshot.h"

namespace ferry::metastore::postgres {

class FileSearch {
 public:
  explicit FileSearch(const FileQuery& query);

  /// Whether it has to know where files stand: ROUTE of the functions below.
  bool needs_standings() const { return found_by_ == FoundBy::kClasses; }

  /// The next files. No files: there are no more.
  Result<std::vector<KnownFile>> next(Snapshot& snapshot, const RouteState& route);

  /// The next candidates, LIMIT at most. None: there are no more.
  Result<std::vector<FileNumber>> candidates(Snapshot& snapshot, const RouteState& route,
                                             std::size_t limit);
  /// The same, without those that others have locked; they are locked from then on.
  Result<std::vector<FileNumber>> unlocked_candidates(Snapshot& snapshot, const RouteState& route,
                                                      std::size_t limit);
  /// Begins anew.
  void rewind() { last_ = 0; }
  /// Those of FILES that are meant. They may stand otherwise than the route has it.
  Result<std::vector<KnownFile>> matching(Snapshot& snapshot, std::vector<KnownFile> files) const;

 private:
  enum class FoundBy : std::uint8_t { kNames, kClasses, kQuarantined, kLatest, kAll };

  static FoundBy how_to_find(const FileQuery& query);
  Result<void> take_up(Snapshot& snapshot);
  std::string conditions(const Snapshot& snapshot, Parameters& parameters) const;
  Result<std::vector<FileNumber>> run(Snapshot& snapshot, std::string_view sql,
                                      const Parameters& parameters) const;
  Result<std::vector<FileNumber>> named(Snapshot& snapshot) const;
  Result<std::vector<FileNumber>> in_classes(Snapshot& snapshot, const RouteState& route,
                                             std::size_t limit, std::string_view locking) const;
  Result<std::vector<FileNumber>> everywhere(Snapshot& snapshot, std::string_view where,
                                             std::size_t limit) const;
  Result<std::vector<FileNumber>> latest_versions(Snapshot& snapshot, std::size_t limit);
  bool is_asked_for(const Class& one) const;
  bool matches(const KnownFile& file, const Snapshot& snapshot) const;

  FileQuery query_;
  Subtrees below_;
  FoundBy found_by_;
  std::size_t left_;
  std::size_t page_;
  bool is_taken_up_ = false;
  bool is_over_ = false;
  FileNumber last_ = 0;
  // kLatest: goes from one range of paths to the next, for one label of the areas after the other.
  std::vector<PathRange> ranges_;
  std::size_t range_ = 0;
  std::size_t label_ = 0;
  std::string last_path_;
  bool has_last_path_ = false;
};

}  // namespace ferry::metastore::postgres

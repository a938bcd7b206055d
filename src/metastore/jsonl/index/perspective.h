// Where files stand, as somebody sees it who knows certain destinations.
//
// A perspective is entered into the index when it is first asked for: every file is judged by the
// rules once. From then on only files that changed are judged anew, by the next process that has
// this perspective: one that knows other destinations, or none, only notes which files changed.
// Files that are judged alike form a class, and classes know their sums.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "metastore/jsonl/index/index.h"
#include "metastore/viewpoint.h"

namespace ferry::metastore {

/// Files that are judged alike. Views live as long as those of a KnownDelivery.
struct Class {
  std::int64_t id = 0;
  Judgement judgement;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};

class Perspective {
 public:
  /// Both outlive it.
  Perspective(Index& index, const Viewpoint& viewpoint);

  /// Whether all is judged that the index has.
  bool is_current();
  /// In a writing transaction: judges what is not judged yet.
  void bring_up_to_date();
  /// Judges a file again, which has changed in this transaction, by what there is of it now.
  void judge(FileNumber number, const KnownFile* file, std::span<const Delivery> deliveries);
  /// Notes that it has judged all changes that are noted. To be called after note_changes.
  void finish();

  /// Those that have files, as of now.
  std::vector<Class> classes();
  /// Files of a class behind the file AFTER, in order, at most LIMIT.
  std::vector<FileNumber> files_in(std::int64_t class_id, FileNumber after, std::size_t limit);
  std::vector<FileNumber> files_before(std::int64_t class_id, FileNumber before, std::size_t limit);
  /// The one of a class whose row is oldest.
  std::optional<FileNumber> oldest_in(std::int64_t class_id);
  /// True while some file is open: see Judgement.
  bool has_open_files();

 private:
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::string, bool,
                         bool, bool>;
  struct Standing {
    std::int64_t class_id = 0;
    std::int64_t updated = 0;
    std::int64_t size = 0;
    auto operator<=>(const Standing&) const = default;
  };

  std::optional<std::int64_t> find();
  void populate();
  void judge_file(const KnownFile& file, std::span<const Delivery> deliveries,
                  std::vector<Standing>& standings);
  void replace(FileNumber number, const std::vector<Standing>& before,
               const std::vector<Standing>& after);
  std::vector<Standing> standings_of(FileNumber number);
  std::int64_t class_of(const Judgement& judgement);
  void insert(FileNumber number, const Standing& standing);
  void erase(FileNumber number, const Standing& standing);
  void write_sums();

  Index& index_;
  Database& database_;
  const Viewpoint& viewpoint_;
  std::int64_t id_ = 0;
  std::int64_t judged_ = 0;
  std::map<Key, std::int64_t> class_ids_;
  std::map<std::int64_t, bool> is_ours_;                                     // by class
  std::map<std::int64_t, std::pair<std::int64_t, std::int64_t>> uncounted_;  // files, bytes
  std::vector<Judgement> judgements_;
};

/// So many changes take as long to judge as all files do.
inline constexpr std::size_t kManyChanges = 100'000;

/// Whoever has one enters it anew.
void forget_perspectives(Index& index);

/// Judges these files again, which have changed in this transaction; each once, in order.
void judge(Index& index, std::span<const FileNumber> changed,
           std::span<Perspective* const> perspectives);

/// Notes for all perspectives but those that JUDGED them that these files have changed.
void note_changes(Index& index, std::span<const FileNumber> changed,
                  std::span<Perspective* const> judged);

}  // namespace ferry::metastore

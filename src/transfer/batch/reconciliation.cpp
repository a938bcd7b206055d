#include "transfer/batch/reconciliation.h"

#include <optional>
#include <unordered_set>
#include <vector>

#include "ferry/base/log.h"
#include "transfer/deliver/journal.h"

namespace ferry::transfer {
namespace {

using Place = BatchJournal::Place;

/// Files that are asked for at once.
constexpr std::size_t kGroupSize = 4096;

struct Begun {
  std::vector<Place> places;
  std::vector<std::string> ids;
  std::vector<std::string> part_paths;
};

struct LostFile {
  std::string id;
  std::vector<std::string> part_paths;
};

class Reconciliation {
 public:
  Reconciliation(metastore::Metastore& metastore, Batch& batch, const BatchContext& context)
      : metastore_(metastore), batch_(batch), context_(context) {}

  Result<void> run() {
    // What its control file lists stays so; only what nobody else has is recorded.
    if (batch_.journal().is_pushed()) return {};
    auto marks = batch_.journal().marks();
    if (!marks) return marks.error();
    marks_ = std::move(*marks);
    for (bool is_last = false; !is_last;) {
      const auto begun = next();
      if (!begun) return begun.error();
      is_last = begun->places.size() < kGroupSize;
      if (auto settled = settle(*begun); !settled) return settled;
    }
    if (lost_ > 0) {
      log::warning("files were taken over by other agents",
                   {{"batch_id", batch_.info().id}, {"files", lost_}});
    }
    return {};
  }

 private:
  /// Some more, from the last one that was seen on.
  Result<Begun> next() {
    Begun begun;
    auto visited =
        batch_.journal().visit_begun(seen_.value_or(0), [&](Place place, const BatchFile& file) {
          if (place != seen_ && is_ours(place)) {
            begun.places.push_back(place);
            begun.ids.push_back(file.id);
            begun.part_paths.push_back(file.part_path);
          }
          seen_ = place;
          return begun.places.size() < kGroupSize;
        });
    if (!visited) return visited.error();
    return begun;
  }

  /// What failed has been recorded, or is left out if somebody else has it.
  bool is_ours(Place place) const {
    if (BatchJournal::Marks::has(marks_.moved, place)) return false;
    return marks_.is_open(place) || marks_.is_delivered(place);
  }

  Result<void> settle(const Begun& begun) {
    if (begun.ids.empty()) return {};
    const auto held =
        metastore_.still_holds(batch_.info().agent, batch_.info().destination, begun.ids);
    if (!held) return held.error();
    std::vector<LostFile> lost;
    for (std::size_t i = 0; i < begun.places.size(); ++i) {
      if ((*held)[i]) continue;
      ++lost_;
      const Place place = begun.places[i];
      if (marks_.is_delivered(place)) {
        if (auto noted = batch_.journal().note_void(place); !noted) return noted;
      } else {
        lost.push_back({begun.ids[i], {begun.part_paths[i]}});
        const auto [first, last] = marks_.more_parts.equal_range(place);
        for (auto part = first; part != last; ++part) {
          lost.back().part_paths.push_back(part->second);
        }
      }
      if (auto noted = batch_.journal().note_moved(place); !noted) return noted;
    }
    return leave_parts(lost);
  }

  /// Has the parts removed, but for one that an agent of this host may be going on with.
  Result<void> leave_parts(const std::vector<LostFile>& files) {
    const auto settled = settled_of(files);
    if (!settled) return settled.error();
    const fs::path& journals = context_.options.journals;
    const std::string& destination = batch_.info().destination;
    for (const LostFile& file : files) {
      std::string resumable = Journal::part_path_in(journals, file.id, destination);
      if (settled->contains(file.id)) {
        Journal::remove(journals, file.id, destination);
        batch_.abandon_part(std::exchange(resumable, {}));
      }
      for (const std::string& part : file.part_paths) {
        if (part != resumable) batch_.abandon_part(part);
      }
    }
    return {};
  }

  /// The ids of those that nobody delivers any more: somebody has, or they are not wanted.
  Result<std::unordered_set<std::string>> settled_of(const std::vector<LostFile>& files) {
    std::unordered_set<std::string> settled;
    if (files.empty()) return settled;
    metastore::FileQuery query;
    for (const LostFile& file : files) query.names.push_back(file.id);
    auto visited = metastore_.visit(query, [&](const metastore::FileRecord& file,
                                               std::span<const metastore::Delivery> deliveries) {
      const auto* delivery = metastore::find_delivery(deliveries, batch_.info().destination);
      const bool is_delivered =
          delivery != nullptr && delivery->status == metastore::TransferStatus::kSuccessful;
      if (is_delivered || file.state != metastore::FileState::kReady) settled.insert(file.id);
    });
    if (!visited) return visited.error();
    return settled;
  }

  metastore::Metastore& metastore_;
  Batch& batch_;
  const BatchContext& context_;
  BatchJournal::Marks marks_;
  std::optional<Place> seen_;
  std::uint64_t lost_ = 0;
};

}  // namespace

Result<void> let_go_of_what_is_lost(metastore::Metastore& metastore, Batch& batch,
                                    const BatchContext& context) {
  return Reconciliation(metastore, batch, context).run();
}

}  // namespace ferry::transfer

#include "transfer/reconciliation.h"

#include <optional>
#include <vector>

#include "ferry/base/log.h"

namespace ferry::transfer {
namespace {

using Place = BatchJournal::Place;

/// Files that are asked for at once.
constexpr std::size_t kGroupSize = 4096;

struct Begun {
  std::vector<Place> places;
  std::vector<std::string> ids;
};

class Reconciliation {
 public:
  Reconciliation(metastore::Metastore& metastore, Batch& batch)
      : metastore_(metastore), batch_(batch) {}

  Result<void> run() {
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
    for (std::size_t i = 0; i < begun.places.size(); ++i) {
      if ((*held)[i]) continue;
      ++lost_;
      const Place place = begun.places[i];
      if (marks_.is_delivered(place)) {
        if (auto noted = batch_.journal().note_void(place); !noted) return noted;
      }
      if (auto noted = batch_.journal().note_moved(place); !noted) return noted;
    }
    return {};
  }

  metastore::Metastore& metastore_;
  Batch& batch_;
  BatchJournal::Marks marks_;
  std::optional<Place> seen_;
  std::uint64_t lost_ = 0;
};

}  // namespace

Result<void> let_go_of_what_is_lost(metastore::Metastore& metastore, Batch& batch) {
  return Reconciliation(metastore, batch).run();
}

}  // namespace ferry::transfer

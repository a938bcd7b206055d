#include "transfer/deliver/journal_lanes.h"

#include <algorithm>
#include <optional>

namespace ferry::transfer {
namespace {

using sftp::Task;

constexpr std::size_t kLanes = 128;
/// Read and kept at a time.
constexpr std::size_t kGroupSize = 4096;

struct Group {
  std::vector<BegunFile> files;
  std::size_t next = 0;
  std::optional<Error> error;
};

Task<void> lane(Group& group, const std::function<Task<Result<void>>(BegunFile)>& work) {
  while (group.next < group.files.size() && !group.error) {
    const auto done = co_await work(std::move(group.files[group.next++]));
    if (!done && !group.error) group.error = done.error();
  }
}

}  // namespace

Task<Result<void>> for_each_begun(Session& session, const BatchJournal& journal,
                                  const std::function<bool(BatchJournal::Place place)>& is_wanted,
                                  const std::function<Task<Result<void>>(BegunFile begun)>& work) {
  std::optional<BatchJournal::Place> seen;
  for (bool is_last = false; !is_last;) {
    Group group;
    const auto visited = journal.visit_begun(seen.value_or(0),
                                             [&](BatchJournal::Place place, const BatchFile& file) {
                                               if (place != seen && is_wanted(place))
                                                 group.files.push_back({place, file});
                                               seen = place;
                                               return group.files.size() < kGroupSize;
                                             });
    if (!visited) co_return visited.error();
    is_last = group.files.size() < kGroupSize;
    sftp::TaskGroup lanes(*session.loop);
    for (std::size_t i = 0; i < std::min(kLanes, group.files.size()); ++i) {
      lanes.spawn(lane(group, work));
    }
    co_await lanes;
    if (group.error) co_return *group.error;
  }
  co_return Result<void>();
}

}  // namespace ferry::transfer

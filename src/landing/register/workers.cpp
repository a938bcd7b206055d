#include "landing/register/workers.h"

#include <system_error>
#include <utility>

#include "ferry/base/log.h"
#include "landing/quarantine/quarantine_folder.h"
#include "landing/register/metastore_trouble.h"
#include "landing/register/registered.h"

namespace ferry::landing {
namespace {

using Outcome = Inspection::Outcome;

/// A quarantine that cannot be used has no marks of ours; what may pass is an error.
Result<std::optional<ReleaseMark>> released_from(const LandingArea& area, int root_fd,
                                                 const FileIdentity& identity) {
  using Found = std::optional<ReleaseMark>;
  if (QuarantineFolder::is_absent(area, root_fd)) return Found();
  const auto folder = QuarantineFolder::find(area);
  Result<Found> found = folder ? Found() : Result<Found>(folder.error());
  if (folder && *folder) found = (*folder)->find_mark(identity);
  if (!found && !is_retryable(found.error().kind)) return Found();
  return found;
}

bool is_for_the_registrar(Outcome outcome) {
  switch (outcome) {
    case Outcome::kHashed:
    case Outcome::kRefused:
    case Outcome::kUnread:
    case Outcome::kGone:
    case Outcome::kAbnormal:
      return true;
    default:
      return false;
  }
}

}  // namespace

Workers::Workers(std::size_t threads, const std::vector<LandingArea>& areas,
                 metastore::Metastore& metastore, bool retry, Registrar& registrar,
                 Mailbox& mailbox, Pulses& pulses)
    : metastore_(metastore),
      retry_(retry),
      registrar_(registrar),
      mailbox_(mailbox),
      tasks_(threads) {
  for (const LandingArea& area : areas) rules_.push_back(rules_of(area));
  for (std::size_t i = 0; i < threads; ++i) {
    Pulse& pulse = pulses.add(fmt::format("inspector {}", i + 1));
    try {
      threads_.emplace_back([this, &pulse] { run(pulse); });
    } catch (const std::system_error& error) {
      if (threads_.empty()) throw;
      log::warning("fewer threads", {{"threads", i}, {"wanted", threads}, {"error", error.what()}});
      return;
    }
  }
}

InspectionRules Workers::rules_of(const LandingArea& area) {
  return {.landing = area.name,
          .settle = area.settle,
          .acceptance = area.acceptance,
          .is_accepted =
              [this, landing = area.name](const std::string& path, const Checksum& checksum) {
                return noted(is_accepted(metastore_, landing, path, checksum));
              },
          .released =
              [area](int root_fd, const FileIdentity& identity) {
                return released_from(area, root_fd, identity);
              }};
}

/// An outage is told of once, whatever number of files waits for its end.
template <typename T>
Result<T> Workers::noted(Result<T> answer) {
  const std::scoped_lock lock(outage_mutex_);
  if (answer) {
    is_outage_ = false;
  } else if (!is_outage_ || !is_retryable(answer.error().kind)) {
    is_outage_ = unanswered_for_now(answer.error(), retry_, mailbox_);
  }
  return answer;
}

void Workers::stop() {
  cancelled_.request_stop();
  tasks_.close();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Workers::run(Pulse& pulse) {
  Inspector inspector(cancelled_, pulse);
  const auto next = [&] {
    const Rest rest(pulse);
    return tasks_.pop();
  };
  for (auto tasks = next(); !tasks.empty(); tasks = next()) perform(std::move(tasks), inspector);
  pulse.rest();
}

/// All are beneath one root: it is opened, and the registry asked, once for all of them.
void Workers::perform(std::vector<InspectionTask> tasks, Inspector& inspector) {
  std::vector<std::string> paths;
  for (const InspectionTask& task : tasks) paths.push_back(task.candidate.path);
  const auto latest = noted(metastore_.latest(rules_[tasks.front().area].landing, paths));
  const auto area_root = tasks.front().root;
  const OpenRoot root(*area_root);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    perform(std::move(tasks[i]), inspector, root,
            latest ? registered_identity(latest->at(i)) : Known(latest.error()));
  }
}

void Workers::perform(InspectionTask task, Inspector& inspector, const OpenRoot& root,
                      const Known& known) {
  const bool is_first = task.progress == nullptr;
  Finished finished{.area = task.area,
                    .path = task.candidate.path,
                    .inspection = inspector.inspect(root, task.candidate, known, rules_[task.area],
                                                    task.progress)};
  const Outcome outcome = finished.inspection.outcome;
  if (outcome == Outcome::kLarge) {
    if (is_first) mailbox_.post(std::move(finished));
    const std::uint64_t left = task.progress->identity.size - task.progress->offset;
    tasks_.push_large(left, std::move(task));
  } else if (is_for_the_registrar(outcome)) {
    registrar_.record(std::move(finished));
  } else {
    mailbox_.post(std::move(finished));
  }
}

}  // namespace ferry::landing

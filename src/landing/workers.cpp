#include "landing/workers.h"

#include <utility>

#include "landing/registered.h"

namespace ferry::landing {
namespace {

using Outcome = Inspection::Outcome;

InspectionRules rules_of(const LandingArea& area, metastore::Metastore& metastore) {
  return {
      .landing = area.name,
      .settle = area.settle,
      .acceptance = area.acceptance,
      .is_registered =
          [&metastore, landing = area.name](const std::string& path, const FileIdentity& identity) {
            return is_registered(metastore, landing, path, identity);
          },
      .is_accepted =
          [&metastore, landing = area.name](const std::string& path, const Checksum& checksum) {
            return is_accepted(metastore, landing, path, checksum);
          }};
}

bool is_for_the_registrar(Outcome outcome) {
  return outcome == Outcome::kHashed || outcome == Outcome::kRefused || outcome == Outcome::kGone ||
         outcome == Outcome::kAbnormal;
}

}  // namespace

Workers::Workers(std::size_t threads, const std::vector<LandingArea>& areas,
                 metastore::Metastore& metastore, Registrar& registrar, Mailbox& mailbox)
    : registrar_(registrar), mailbox_(mailbox) {
  for (const LandingArea& area : areas) rules_.push_back(rules_of(area, metastore));
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

void Workers::stop() {
  cancelled_.request_stop();
  tasks_.discard();
  tasks_.close();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Workers::run() {
  Inspector inspector(cancelled_);
  for (;;) {
    std::vector<InspectionTask> tasks = tasks_.pop(1);
    if (tasks.empty()) return;
    InspectionTask& task = tasks.front();
    Finished finished{
        .area = task.area,
        .path = {},
        .inspection = inspector.inspect(*task.root, task.candidate, rules_[task.area])};
    finished.path = std::move(task.candidate.path);
    if (is_for_the_registrar(finished.inspection.outcome)) {
      registrar_.record(std::move(finished));
    } else {
      mailbox_.post(std::move(finished));
    }
  }
}

}  // namespace ferry::landing

#include "landing/workers.h"

#include <utility>

namespace ferry::landing {

Workers::Workers(std::size_t threads, std::vector<Area> areas, metastore::Metastore& metastore,
                 Registrar& registrar, Mailbox& mailbox)
    : areas_(std::move(areas)), metastore_(metastore), registrar_(registrar), mailbox_(mailbox) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

void Workers::stop() {
  cancelled_ = true;
  tasks_.discard();
  tasks_.close();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Workers::run() {
  using Outcome = Inspection::Outcome;
  Inspector inspector(cancelled_);
  for (;;) {
    std::vector<InspectionTask> tasks = tasks_.pop(1);
    if (tasks.empty()) return;
    InspectionTask& task = tasks.front();
    const Area& area = areas_[task.area];
    const auto is_registered = [&](const std::string& path, const FileIdentity& identity) {
      return metastore_.is_registered(area.landing, path, identity);
    };
    Finished finished{
        .area = task.area,
        .path = {},
        .inspection = inspector.inspect(*task.root, task.candidate, area.settle, is_registered)};
    finished.path = std::move(task.candidate.path);
    const Outcome outcome = finished.inspection.outcome;
    if (outcome == Outcome::kHashed || outcome == Outcome::kGone) {
      registrar_.record(std::move(finished));
    } else {
      mailbox_.post(std::move(finished));
    }
  }
}

}  // namespace ferry::landing

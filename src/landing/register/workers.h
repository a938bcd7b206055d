// Threads that inspect and hash.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ferry/base/stop.h"
#include "ferry/landing/watch.h"
#include "ferry/metastore/metastore.h"
#include "landing/register/inspection_queue.h"
#include "landing/register/registrar.h"
#include "landing/watch/mailbox.h"
#include "landing/watch/root.h"

namespace ferry::landing {

class Workers {
 public:
  /// Results go to REGISTRAR where something is to be recorded, else straight to MAILBOX. RETRY is
  /// the registrar's.
  Workers(std::size_t threads, const std::vector<LandingArea>& areas,
          metastore::Metastore& metastore, bool retry, Registrar& registrar, Mailbox& mailbox,
          Pulses& pulses);
  ~Workers() { stop(); }

  void submit(InspectionTask task) { tasks_.push(std::move(task)); }

  /// Drops what has not begun, breaks off what has, and ends. Does nothing the second time.
  void stop();

 private:
  InspectionRules rules_of(const LandingArea& area);
  template <typename T>
  Result<T> noted(Result<T> answer);
  void run(Pulse& pulse);
  void perform(std::vector<InspectionTask> tasks, Inspector& inspector);
  void perform(InspectionTask task, Inspector& inspector, const OpenRoot& root, const Known& known);

  std::vector<InspectionRules> rules_;  // of each area
  metastore::Metastore& metastore_;
  const bool retry_;
  std::mutex outage_mutex_;
  bool is_outage_ = false;  // the metastore's
  Registrar& registrar_;
  Mailbox& mailbox_;
  InspectionQueue tasks_;
  StopToken cancelled_;
  std::vector<std::thread> threads_;
};

}  // namespace ferry::landing

// Threads that inspect and hash.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ferry/base/stop.h"
#include "ferry/landing/watch.h"
#include "ferry/metastore/metastore.h"
#include "landing/blocking_queue.h"
#include "landing/inspect.h"
#include "landing/mailbox.h"
#include "landing/registrar.h"
#include "landing/root.h"

namespace ferry::landing {

struct InspectionTask {
  std::size_t area = 0;
  std::shared_ptr<const Root> root;
  DuePath candidate;
};

class Workers {
 public:
  /// Results go to REGISTRAR where something is to be recorded, else straight to MAILBOX.
  Workers(std::size_t threads, const std::vector<LandingArea>& areas,
          metastore::Metastore& metastore, Registrar& registrar, Mailbox& mailbox);
  ~Workers() { stop(); }

  void submit(InspectionTask task) { tasks_.push(std::move(task)); }

  /// Drops what has not begun, breaks off what has, and ends. Does nothing the second time.
  void stop();

 private:
  void run();

  std::vector<InspectionRules> rules_;  // of each area
  Registrar& registrar_;
  Mailbox& mailbox_;
  BlockingQueue<InspectionTask> tasks_;
  StopToken cancelled_;
  std::vector<std::thread> threads_;
};

}  // namespace ferry::landing

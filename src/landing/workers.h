// Threads that inspect and hash.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

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
  struct Area {
    std::string landing;
    Duration settle;
  };

  /// Results go to REGISTRAR where something is to be recorded, else straight to MAILBOX.
  Workers(std::size_t threads, std::vector<Area> areas, metastore::Metastore& metastore,
          Registrar& registrar, Mailbox& mailbox);
  ~Workers() { stop(); }

  void submit(InspectionTask task) { tasks_.push(std::move(task)); }

  /// Drops what has not begun, breaks off what has, and ends. Does nothing the second time.
  void stop();

 private:
  void run();

  std::vector<Area> areas_;
  metastore::Metastore& metastore_;
  Registrar& registrar_;
  Mailbox& mailbox_;
  BlockingQueue<InspectionTask> tasks_;
  std::atomic<bool> cancelled_{false};
  std::vector<std::thread> threads_;
};

}  // namespace ferry::landing

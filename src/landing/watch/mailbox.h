// What the other threads have to say to the event loop.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ferry/base/fd.h"
#include "ferry/base/outcome.h"
#include "landing/register/inspect.h"

namespace ferry::landing {

/// A path that was taken from an area is done with.
struct Finished {
  std::size_t area = 0;
  std::string path;
  Inspection inspection;
  std::string id = {};  // that the registry has given it
};

struct Mail {
  std::vector<Finished> finished;
  std::vector<std::size_t> swept;  // areas
  std::optional<Failure> failure;  // nothing can be registered any more
};

/// Thread-safe.
class Mailbox {
 public:
  Mailbox();

  void post(Finished finished);
  void post_all(std::vector<Finished> finished);
  void post_swept(std::size_t area);
  void post_failure(Failure failure);

  /// Readable (poll(2)) while there is mail.
  int fd() const { return wake_.get(); }
  Mail take();

 private:
  void wake();

  UniqueFd wake_;  // an eventfd(2)
  std::mutex mutex_;
  Mail mail_;
};

}  // namespace ferry::landing

#include "metastore/jsonl/tables/change_watch.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include "ferry/base/inotify.h"
#include "ferry/base/log.h"
#include "metastore/jsonl/tables/layout.h"

namespace ferry::metastore {
namespace {

/// The files are watched by their inodes, and the directory for others that take their names.
class TableWatch : public ChangeNotice {
 public:
  TableWatch(std::shared_ptr<const Directory> directory, Inotify events)
      : directory_(std::move(directory)), events_(std::move(events)) {}

  Result<void> begin() {
    const auto watched = events_.watch_names(path_of("."));
    if (!watched) return watched.error();
    watch_files();
    return {};
  }

  int fd() const override { return events_.fd(); }

  void clear() override {
    // What cannot be read is looked at as if it had told of something.
    [[maybe_unused]] const auto events = events_.read_events();
    watch_files();
  }

 private:
  std::string path_of(const std::string& name) const {
    return fmt::format("/proc/self/fd/{}/{}", directory_->fd(), name);
  }

  /// One that is not there yet is told of by the directory.
  void watch_files() {
    for (const std::string_view table : {kRegistryTable, kTransferTable}) {
      [[maybe_unused]] const auto watched = events_.watch_writes(path_of(table_file(table)));
    }
  }

  std::shared_ptr<const Directory> directory_;
  Inotify events_;
};

class Ticking : public ChangeNotice {
 public:
  Ticking() : timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
    const struct timespec half_a_second{.tv_sec = 0, .tv_nsec = 500'000'000};
    const struct itimerspec times{.it_interval = half_a_second, .it_value = half_a_second};
    ::timerfd_settime(timer_.get(), 0, &times, nullptr);
  }

  int fd() const override { return timer_.get(); }
  void clear() override {
    std::uint64_t ticks = 0;
    [[maybe_unused]] const ssize_t count = ::read(timer_.get(), &ticks, sizeof ticks);
  }

 private:
  UniqueFd timer_;
};

}  // namespace

std::unique_ptr<ChangeNotice> watch_tables(std::shared_ptr<const Directory> directory) {
  auto events = Inotify::create();
  Result<void> outcome;
  if (events) {
    auto watch = std::make_unique<TableWatch>(std::move(directory), std::move(*events));
    outcome = watch->begin();
    if (outcome) return watch;
  } else {
    outcome = events.error();
  }
  log::warning("metastore not watched",
               {{"reason", outcome.error().message}, {"next", "it is looked at twice a second"}});
  return std::make_unique<Ticking>();
}

}  // namespace ferry::metastore

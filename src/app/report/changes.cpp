#include "app/report/changes.h"

#include <poll.h>

#include <array>

#include "app/output.h"

namespace ferry::app {

Result<void> show_changes(metastore::Metastore& metastore, const StopToken& stop,
                          const std::function<Result<void>()>& show) {
  const auto changes = metastore.watch_changes();
  if (!changes) return changes.error();
  for (;;) {
    (*changes)->clear();
    if (const auto shown = show(); !shown) return shown;
    if (!flush_output()) return {};  // whoever ends the program says so
    std::array<pollfd, 2> fds{{{(*changes)->fd(), POLLIN, 0}, {stop.fd(), POLLIN, 0}}};
    ::poll(fds.data(), fds.size(), -1);
    if (stop.stop_requested()) return {};
  }
}

}  // namespace ferry::app

#include "metastore/postgres/change_notice.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "ferry/base/event_fd.h"
#include "ferry/base/fd.h"
#include "ferry/base/log.h"
#include "metastore/postgres/connection.h"

namespace ferry::metastore::postgres {
namespace {

using std::chrono::milliseconds;

/// A server that says nothing for so long is asked whether it is there.
constexpr milliseconds kQuiet{30'000};
constexpr milliseconds kPause{1'000};

/// A thread listens, connects anew when it has to, and sets an event: a descriptor that stays the
/// same, and nobody waits for a connection.
class Listener : public ChangeNotice {
 public:
  Listener(std::string location, std::string channel, std::unique_ptr<Connection> connection)
      : location_(std::move(location)),
        channel_(std::move(channel)),
        connection_(std::move(connection)),
        told_(make_event_fd()),
        stop_(make_event_fd()),
        ear_([this] { listen(); }) {}
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() override {
    signal(stop_);
    ear_.join();
  }

  int fd() const override { return told_.get(); }
  void clear() override {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t size = ::read(told_.get(), &count, sizeof count);
  }

 private:
  static void signal(const UniqueFd& event) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(event.get(), &one, sizeof one);
  }

  void listen() {
    while (!is_stopped(connection_ ? milliseconds(0) : kPause)) {
      if (connection_) {
        hear();
        continue;
      }
      if (!connect()) continue;
      log::info("listening to the database again", {});
      signal(told_);  // of what was missed
    }
  }

  bool connect() {
    Remedy remedy = Remedy::kNone;
    auto opened = Connection::open(location_, milliseconds(10'000), remedy);
    if (!opened) return false;
    if (!(*opened)->command("LISTEN " + channel_)) return false;
    connection_ = std::move(*opened);
    return true;
  }

  bool is_stopped(milliseconds patience) {
    pollfd wait{stop_.get(), POLLIN, 0};
    return ::poll(&wait, 1, static_cast<int>(patience.count())) > 0;
  }

  void hear() {
    // What came with an answer is not in the socket any more.
    if (connection_->take_notices()) signal(told_);
    std::array<pollfd, 2> waits{pollfd{stop_.get(), POLLIN, 0},
                                pollfd{connection_->socket(), POLLIN, 0}};
    const int ready = ::poll(waits.data(), waits.size(), static_cast<int>(kQuiet.count()));
    // One that has not answered for so long is given up.
    const bool is_there =
        ready == 0 ? !connection_->is_waiting() && connection_->ask() : connection_->consume();
    if (!is_there) connection_.reset();
  }

  const std::string location_;
  const std::string channel_;
  std::unique_ptr<Connection> connection_;  // of the thread
  UniqueFd told_;
  UniqueFd stop_;
  std::thread ear_;
};

}  // namespace

Result<std::unique_ptr<ChangeNotice>> listen(const std::string& location,
                                             const std::string& channel, milliseconds patience) {
  Remedy remedy = Remedy::kNone;
  auto connection = Connection::open(location, patience, remedy);
  if (!connection) return connection.error();
  if (auto begun = (*connection)->command("LISTEN " + channel); !begun) return begun.error();
  return std::make_unique<Listener>(location, channel, std::move(*connection));
}

}  // namespace ferry::metastore::postgres

#include <poll.h>

#include <algorithm>
#include <array>
#include <atomic>

#include "ferry/base/log.h"
#include "http/api/api.h"

namespace ferry::http {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kLeastPause{1'000};  // between two events
constexpr milliseconds kSilence{15'000};    // after which a sign of life is sent
/// Then the client has to come again, and show its token again.
constexpr std::chrono::minutes kLongest{1};

/// A part of the connections only: the others are for answers.
class Place {
 public:
  static std::shared_ptr<Place> take(std::size_t most) {
    if (taken().fetch_add(1) < most) return std::shared_ptr<Place>(new Place);
    taken().fetch_sub(1);
    return nullptr;
  }
  ~Place() { taken().fetch_sub(1); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  Place() = default;
  static std::atomic<std::size_t>& taken() {
    static std::atomic<std::size_t> count{0};
    return count;
  }
};

/// What everybody may see of the state; what only tells the time is left out, for it is not a
/// change.
Answer<std::string> state_now(const Context& context, const Grant& grant) {
  auto status = status_json(context, grant);
  if (!status) return std::unexpected(status.error());
  status->erase("time");
  return to_text(*status);
}

std::string id_of(std::string_view text) {
  constexpr std::size_t kDigits = 16;
  return sha256_of(text).to_hex().substr(0, kDigits);
}

void wait_for_change(const metastore::ChangeNotice& changes, const StopToken& stop,
                     milliseconds most) {
  std::array<pollfd, 2> polled{{{changes.fd(), POLLIN, 0}, {stop.fd(), POLLIN, 0}}};
  ::poll(polled.data(), polled.size(), static_cast<int>(most.count()));
}

void send_events(const Context& context, const Grant& grant,
                 const std::function<Answer<void>()>& is_still_granted, std::string last,
                 const Send& send) {
  const auto changes = context.store.watch_changes();
  if (!changes) return log::warning("events end", {{"error", changes.error().message}});
  const auto end = Clock::now() + kLongest;
  auto spoken = Clock::now();
  while (!context.stop.stop_requested() && !context.is_replaced && Clock::now() < end &&
         is_still_granted()) {
    (*changes)->clear();
    const auto state = state_now(context, grant);
    if (!state) return log::warning("events end", {{"error", state.error().detail}});
    const std::string id = id_of(*state);
    const bool is_news = id != last;
    if (is_news || Clock::now() - spoken >= kSilence) {
      const std::string text =
          is_news ? fmt::format("id: {}\nevent: status\ndata: {}\n\n", id, *state) : ":\n\n";
      if (!send(text)) return;
      last = id;
      spoken = Clock::now();
    }
    wait_for_change(**changes, context.stop, kLeastPause);
    if (!sleep_unless_stopped(kLeastPause, context.stop) || !send("")) return;
  }
}

}  // namespace

Answer<Response> get_events(const Context& context, Call& call) {
  auto place = Place::take(std::max<std::size_t>(context.options.max_connections / 4, 1));
  if (!place) {
    return refuse(503, "busy", "too many clients wait for events", {{"Retry-After", "5"}});
  }
  Response response{200, {{"Content-Type", "text/event-stream"}}};
  std::string last = call.exchange.request().field("last-event-id").value_or("");
  response.stream = [&context, place, grant = call.grant, is_still_granted = call.is_still_granted,
                     last](const Send& send) {
    send_events(context, grant, is_still_granted, last, send);
  };
  return response;
}

}  // namespace ferry::http

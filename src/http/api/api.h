// What the service answers: one function for each thing that can be asked.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ferry/http/service.h"
#include "ferry/http/tokens.h"
#include "http/api/activity.h"
#include "http/api/paced.h"
#include "http/api/upload_places.h"
#include "http/protocol/message.h"
#include "http/protocol/target.h"

namespace ferry::http {

/// Device and inode.
using DirectoryId = std::pair<std::uint64_t, std::uint64_t>;
/// Nothing: there is no directory at PATH.
std::optional<DirectoryId> directory_id(const fs::path& path);

/// What requests have in common: a configuration, and what is remembered of its metastore.
/// Thread-safe.
struct Context {
  Context(Configuration made, const ServiceOptions& service_options, TokenBook& token_book,
          StopToken& stop_token)
      : configuration(std::move(made)),
        store(*configuration.store),
        options(service_options),
        tokens(token_book),
        stop(stop_token),
        state(directory_id(configuration.state)),
        places(configuration.resumable, options.resume_within) {}

  const Configuration configuration;
  metastore::Metastore& store;
  const ServiceOptions& options;
  TokenBook& tokens;
  StopToken& stop;
  /// What configuration.state was when this began.
  const std::optional<DirectoryId> state;
  mutable Activity activity{};
  mutable Paced late{};
  mutable Paced today{};
  mutable UploadPlaces places;
  /// Another one is in effect: answers that go on and on end.
  std::atomic<bool> is_replaced{false};
};

struct Call {
  Exchange& exchange;
  const Target& target;
  Grant grant;
  /// Asks once more who it is, and whether it may do the same as before: a body, or an answer, may
  /// take hours.
  std::function<Answer<void>()> is_still_granted;
  /// What the pattern of the route leaves open, in its order.
  std::vector<std::string> arguments{};
};

/// For those who receive a body: asks again, but not for each block of it.
class GrantCheck {
 public:
  explicit GrantCheck(const Call& call) : is_still_granted_(call.is_still_granted) {}

  Answer<void> ask_at_times() {
    const auto now = Clock::now();
    if (now < next_) return {};
    next_ = now + kPause;
    return is_still_granted_();
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kPause{1};

  const std::function<Answer<void>()>& is_still_granted_;
  Clock::time_point next_ = Clock::now() + kPause;
};

using Endpoint = Answer<Response> (*)(const Context&, Call&);

// uploads.cpp
Answer<Response> put_file(const Context& context, Call& call);
/// The landing area NAME, if GRANT reaches PATH there, and PATH is fit.
Answer<const UploadArea*> find_area(const Context& context, const Grant& grant,
                                    const std::string& name, const std::string& path);
/// Trouble with the landing area itself is not the client's.
std::unexpected<Problem> refuse_upload(const Error& error, bool no_clobber = false);

// resumable_uploads.cpp
Answer<Response> describe_resumption(const Context& context, Call& call);
Answer<Response> create_resumable(const Context& context, Call& call);
Answer<Response> get_offset(const Context& context, Call& call);
Answer<Response> append_to_resumable(const Context& context, Call& call);
Answer<Response> drop_resumable(const Context& context, Call& call);
// complete_uploads.cpp
/// Puts in its place what was complete when the service ended, as far as its token is still good
/// for that, it has not expired, and nothing newer came. What fails is logged, and left.
void finish_resumables(const Context& context);

// files.cpp
Answer<Response> list_files(const Context& context, Call& call);
Answer<Response> get_file(const Context& context, Call& call);
Answer<Response> get_history(const Context& context, Call& call);
Answer<Response> retry_file(const Context& context, Call& call);
Answer<Response> resend_file(const Context& context, Call& call);

// quarantine.cpp
Answer<Response> list_quarantine(const Context& context, Call& call);
Answer<Response> release_held(const Context& context, Call& call);
Answer<Response> drop_held(const Context& context, Call& call);

// batches.cpp
Answer<Response> list_batches(const Context& context, Call& call);
/// Its control file.
Answer<Response> get_batch(const Context& context, Call& call);

// agents.cpp
Answer<Response> list_agents(const Context& context, Call& call);

// events.cpp
Answer<Response> get_events(const Context& context, Call& call);

// activity.cpp
Answer<Response> get_activity(const Context& context, Call& call);

// expectations.cpp
Answer<Response> get_expectations(const Context& context, Call& call);

// overview.cpp
Answer<Json> status_json(const Context& context, const Grant& grant);
Answer<Response> get_status(const Context& context, Call& call);
Answer<Response> get_metrics(const Context& context, Call& call);
Answer<Response> get_health(const Context& context, Call& call);
Answer<Response> get_readiness(const Context& context, Call& call);

/// A row of the tables, as it stands there.
Json row_to_json(const auto& row) {
  return Json::parse(to_line(row), nullptr, false);
}

/// The parameter `limit`: from 1 to LARGEST, or USUAL if it is not there.
Answer<std::size_t> parse_limit(const Target& target, std::size_t usual, std::size_t largest);

/// kInvalid as a problem unless DESTINATION is empty, configured, or in the logs.
Answer<void> check_destination(const Context& context, const std::string& destination);

}  // namespace ferry::http

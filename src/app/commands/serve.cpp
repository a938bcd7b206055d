#include <poll.h>

#include <algorithm>
#include <array>
#include <list>
#include <thread>

#include "app/commands/command.h"
#include "app/commands/serving.h"
#include "app/commands/whole.h"
#include "app/config/landing_areas.h"
#include "app/config/open_store.h"
#include "app/config/routing.h"
#include "app/config/setup.h"
#include "app/config/state_directory.h"
#include "app/report/expectations.h"
#include "app/report/metrics.h"
#include "app/service_manager.h"
#include "ferry/base/log.h"
#include "ferry/base/path.h"
#include "ferry/http/service.h"

namespace ferry::app {
namespace {

/// An area that has no name of its own is called as its directory is.
Result<std::vector<http::UploadArea>> upload_areas(const Settings& settings) {
  std::vector<http::UploadArea> areas;
  for (const LandingSettings& landing : settings.landings) {
    auto area = landing_area(landing, settings);
    if (!area) return area.error();
    const std::string name(base_name(landing.name));
    const bool is_taken = std::ranges::find(areas, name, &http::UploadArea::name) != areas.end();
    if (name.empty() || is_taken) {
      return make_error(ErrorKind::kInvalid,
                        "landing area {}: '{}' cannot be its name in URLs: give it one, with "
                        "[landing.NAME] in a configuration file",
                        landing.name, name);
    }
    areas.push_back({name, std::move(*area)});
  }
  return areas;
}

void add_expectations(http::Configuration& configuration, const Settings& settings) {
  configuration.late = [settings](metastore::Metastore& store) -> Result<Json> {
    const auto late = late_now(store, settings, now());
    if (!late) return late.error();
    return to_json(*late);
  };
  configuration.expectations = [settings](metastore::Metastore& store,
                                          std::string_view date) -> Result<Json> {
    const auto day = parse_day(date.empty() ? "today" : date);
    if (!day) return day.error();
    const auto expected = expected_on(store, settings, *day, now());
    if (!expected) return expected.error();
    return Json{{"expectations", to_json(*expected)}};
  };
}

/// What may change while the service runs.
Outcome<http::Configuration> make_configuration(const Settings& settings) {
  if (const auto checked = check_landings(settings); !checked) return fail(checked.error());
  auto areas = upload_areas(settings);
  if (!areas) return fail(areas.error());
  auto store = open_store_to_work(settings, Access::kCreate);
  if (!store) return std::unexpected(store.error());
  const StateDirectory state = state_directory(settings);
  http::Configuration configuration{.store = std::move(*store),
                                    .areas = std::move(*areas),
                                    .state = state.path(),
                                    .journals = state.uploads(),
                                    .resumable = state.resumable(),
                                    .batches = state.batches(),
                                    .agents = state.agents(),
                                    .demand = make_demand(settings)};
  configuration.metrics = [settings](metastore::Metastore& metastore) -> Result<std::string> {
    const auto overview = look_at_all(metastore, settings);
    if (!overview) return overview.error();
    return to_prometheus(*overview, settings, now());
  };
  add_expectations(configuration, settings);
  return configuration;
}

void reload_with(http::ServiceOptions& options, const Invocation& invocation) {
  options.reload = [&invocation]() -> Result<http::Configuration> {
    service_manager::tell_reloading();
    const auto settings = effective_settings(invocation.arguments);
    if (!settings) return settings.error();
    auto configuration = make_configuration(*settings);
    if (!configuration) return configuration.error().error;
    return std::move(*configuration);
  };
  options.on_reloaded = [](const Result<void>& reloaded) {
    if (reloaded) {
      log::info("configuration reloaded", {{"by", "serve"}});
    } else {
      log::error("configuration not reloaded", {{"error", reloaded.error().message},
                                                {"next", "the previous one stays in effect"}});
    }
    service_manager::tell_ready();
  };
}

Result<http::ServiceOptions> service_options(const Settings& settings) {
  http::ServiceOptions options;
  options.listen.clear();
  for (const std::string& text : settings.serve.listen) {
    auto address = http::Address::parse(text);
    if (!address) return address.error().with_context("listen");
    options.listen.push_back(std::move(*address));
  }
  options.listening = service_manager::take_sockets();
  const bool by_tls = !settings.serve.tls_certificate.empty();
  if (by_tls == settings.serve.tls_key.empty()) {
    return make_error(ErrorKind::kInvalid, "TLS needs both: tls_certificate and tls_key");
  }
  if (by_tls) options.tls = {settings.serve.tls_certificate, settings.serve.tls_key};
  options.resume_within = settings.serve.resume_within;
  options.tokens = tokens_file(settings);
  options.max_upload = settings.serve.max_upload.value;
  options.max_requests = static_cast<std::uint64_t>(settings.serve.max_requests.value);
  options.max_connections = static_cast<std::size_t>(settings.serve.max_connections.value);
  options.on_ready = [](std::span<const std::string> urls) {
    for (const std::string& url : urls) log::info("ready", {{"url", url}});
    service_manager::tell_ready();
  };
  return options;
}

/// What else this process does; whichever ends first ends all.
struct Part {
  std::string_view flag;
  Outcome<ExitStatus> (*run)(const Invocation&);
};
constexpr std::array kParts{Part{"watch", &run_watch}, Part{"transfer", &run_following}};

class Company {
 public:
  explicit Company(const Invocation& invocation) : invocation_(invocation) {
    for (const Part& part : kParts) {
      if (!invocation.arguments.has(part.flag)) continue;
      Member& member = members_.emplace_back();
      member.thread = std::thread([this, &member, run = part.run] {
        member.end =
            run({invocation_.command, invocation_.arguments, invocation_.stop, &member.hangup});
        invocation_.stop.request_stop();
      });
    }
    relay_ = std::thread([this] { relay_hangups(); });
  }
  ~Company() { [[maybe_unused]] const auto ended = join(); }
  Company(const Company&) = delete;
  Company& operator=(const Company&) = delete;

  /// Of the service itself.
  ReloadRequest& hangup() { return own_; }

  /// How it ended: as the first that failed did. After the stop.
  Outcome<ExitStatus> join() {
    if (relay_.joinable()) relay_.join();
    Outcome<ExitStatus> worst = ExitStatus::kDone;
    for (Member& member : members_) {
      if (member.thread.joinable()) member.thread.join();
      if (!member.end && worst) worst = std::unexpected(member.end.error());
    }
    return worst;
  }

 private:
  struct Member {
    ReloadRequest hangup{};
    Outcome<ExitStatus> end = ExitStatus::kDone;
    std::thread thread{};
  };

  /// All take a new configuration up, or none does: some would go on without an area.
  bool is_configuration_sound() const {
    const auto settings = effective_settings(invocation_.arguments);
    return settings && check_landings(*settings);
  }

  void relay_hangups() {
    ReloadRequest& hangup = reload_on_hangup();
    while (!invocation_.stop.stop_requested()) {
      std::array<pollfd, 2> polled{{{invocation_.stop.fd(), POLLIN, 0}, {hangup.fd(), POLLIN, 0}}};
      ::poll(polled.data(), polled.size(), -1);
      if (!hangup.take()) continue;
      own_.request();  // tells what is wrong
      if (!is_configuration_sound()) continue;
      for (Member& member : members_) member.hangup.request();
    }
  }

  const Invocation& invocation_;
  ReloadRequest own_{};
  std::list<Member> members_{};
  std::thread relay_{};
};

Outcome<ExitStatus> run_serve(const Invocation& invocation) {
  const auto settings = effective_settings(invocation.arguments);
  if (!settings) return fail(settings.error());
  auto options = service_options(*settings);
  if (!options) return fail(options.error());
  auto configuration = make_configuration(*settings);
  if (!configuration) return std::unexpected(configuration.error());
  Company company(invocation);
  options->hangup = &company.hangup();
  reload_with(*options, invocation);
  const auto served = http::serve(std::move(*configuration), std::move(*options), invocation.stop);
  service_manager::tell_stopping();
  invocation.stop.request_stop();
  const auto ended = company.join();
  if (!served) return fail(served.error());
  return ended;
}

}  // namespace

fs::path tokens_file(const Settings& settings) {
  return settings.serve.tokens.empty() ? state_directory(settings).tokens() : settings.serve.tokens;
}

Command serve_command() {
  return {
      .name = "serve",
      .bit = kServeBit,
      .summary = "take uploads, answer questions and show a page, over HTTP",
      .positional = "",
      .description =
          "Services upload files with PUT /v1/files/AREA/PATH, and ask and manage what ferry\n"
          "does; people look at the page at /. Listens on 127.0.0.1:8022. As long as there are\n"
          "no tokens whoever is on this host may do everything; see 'ferry token'. Runs until\n"
          "SIGTERM or SIGINT, which end it cleanly: uploads that are not complete then are\n"
          "refused, and nothing stays of them. SIGHUP reads the configuration again, but for what\n"
          "[serve] says, and the TLS certificate.",
      .flags = {{"watch", "", "also register files that land otherwise, as 'ferry watch' does"},
                {"transfer", "", "also deliver, as 'ferry transfer --follow' does"}},
      .exits = {{ExitStatus::kDone, "stopped"},
                {ExitStatus::kSomeFailed, "it cannot listen"},
                {ExitStatus::kUsage},
                {ExitStatus::kMetastore}},
      .run = &run_serve};
}

}  // namespace ferry::app

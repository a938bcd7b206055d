#include "ferry/http/service.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <mutex>
#include <thread>

#include "ferry/base/log.h"
#include "ferry/landing/upload.h"
#include "http/api/api.h"
#include "http/assets.h"
#include "http/protocol/request_rate.h"
#include "http/protocol/server.h"

namespace ferry::http {
namespace {

enum class Need : std::uint8_t {
  kNothing,
  kUpload,  // checked where the path is known
  kRead,
  kManage,
};

/// One thing that can be asked. In PATTERN "*" stands for one segment, and "**" for all others.
struct Route {
  std::string_view method;
  std::vector<std::string_view> pattern;
  std::vector<std::string_view> parameters;
  Need need;
  Endpoint endpoint;
};

const std::vector<Route>& routes() {
  static const std::vector<Route> table = {
      {"PUT", {"v1", "files", "*", "**"}, {}, Need::kUpload, &put_file},
      {"OPTIONS", {"v1", "uploads", "*"}, {}, Need::kNothing, &describe_resumption},
      {"POST", {"v1", "uploads", "*"}, {}, Need::kUpload, &create_resumable},
      {"HEAD", {"v1", "uploads", "*", "*"}, {}, Need::kUpload, &get_offset},
      {"PATCH", {"v1", "uploads", "*", "*"}, {}, Need::kUpload, &append_to_resumable},
      {"DELETE", {"v1", "uploads", "*", "*"}, {}, Need::kUpload, &drop_resumable},
      {"GET",
       {"v1", "files"},
       {"status", "destination", "q", "since", "limit", "cursor"},
       Need::kRead,
       &list_files},
      {"GET", {"v1", "files", "*"}, {}, Need::kRead, &get_file},
      {"GET", {"v1", "files", "*", "history"}, {}, Need::kRead, &get_history},
      {"POST", {"v1", "files", "*", "retry"}, {"destination"}, Need::kManage, &retry_file},
      {"POST", {"v1", "files", "*", "resend"}, {"destination"}, Need::kManage, &resend_file},
      {"GET", {"v1", "quarantine"}, {}, Need::kRead, &list_quarantine},
      {"POST", {"v1", "quarantine", "*", "release"}, {"as"}, Need::kManage, &release_held},
      {"DELETE", {"v1", "quarantine", "*"}, {}, Need::kManage, &drop_held},
      {"GET", {"v1", "batches"}, {"limit", "cursor"}, Need::kRead, &list_batches},
      {"GET", {"v1", "batches", "*"}, {}, Need::kRead, &get_batch},
      {"GET", {"v1", "agents"}, {}, Need::kRead, &list_agents},
      {"GET", {"v1", "activity"}, {}, Need::kRead, &get_activity},
      {"GET", {"v1", "expectations"}, {"date"}, Need::kRead, &get_expectations},
      {"GET", {"v1", "events"}, {}, Need::kRead, &get_events},
      {"GET", {"v1", "status"}, {}, Need::kRead, &get_status},
      {"GET", {"metrics"}, {}, Need::kRead, &get_metrics},
      {"GET", {"healthz"}, {}, Need::kNothing, &get_health},
      {"GET", {"readyz"}, {}, Need::kNothing, &get_readiness},
  };
  return table;
}

std::optional<std::vector<std::string>> match(const Route& route,
                                              const std::vector<std::string>& segments) {
  std::vector<std::string> arguments;
  std::size_t i = 0;
  for (const std::string_view part : route.pattern) {
    if (part == "**") {
      if (i == segments.size()) return std::nullopt;
      arguments.insert(arguments.end(), segments.begin() + static_cast<std::ptrdiff_t>(i),
                       segments.end());
      return arguments;
    }
    if (i == segments.size()) return std::nullopt;
    if (part == "*") {
      arguments.push_back(segments[i]);
    } else if (part != segments[i]) {
      return std::nullopt;
    }
    ++i;
  }
  if (i != segments.size()) return std::nullopt;
  return arguments;
}

/// Not any name that begins with 127.
bool is_loopback(const std::string& name) {
  const auto address = Address::parse(name + ":0");
  return !name.empty() && address && address->is_local();
}

/// tus lets clients that can send no other methods name them in a POST.
std::string method_of(const Request& request, const Target& target) {
  const auto& segments = target.segments;
  const bool is_of_tus = segments.size() == 4 && segments[0] == "v1" && segments[1] == "uploads";
  if (!is_of_tus || request.method != "POST") return request.method;
  return request.field("x-http-method-override").value_or(request.method);
}

bool is_reading(std::string_view method) {
  return method == "GET" || method == "HEAD";
}

class Service {
 public:
  Service(Configuration configuration, const ServiceOptions& options, StopToken& stop)
      : options_(options),
        stop_(stop),
        tokens_(options.tokens),
        rate_(options.max_requests),
        context_(make_context(std::move(configuration))) {}

  Result<bool> asks_for_tokens() { return tokens_.is_required(); }

  /// Settles what uploads left that ended without their ends.
  Result<void> recover() { return recover(*current()); }

  void finish_what_was_complete() { finish_resumables(*current()); }

  /// From now on requests are answered by CONFIGURATION.
  Result<void> change(Configuration configuration) {
    auto next = make_context(std::move(configuration));
    if (auto recovered = recover(*next); !recovered) return recovered;
    {
      const std::lock_guard lock(mutex_);
      context_.swap(next);
    }
    next->is_replaced = true;
    return {};
  }

  Response handle(Exchange& exchange) {
    std::string by;
    auto answer = answer_to(exchange, by);
    Response response = answer ? std::move(*answer) : to_response(answer.error());
    const Request& request = exchange.request();
    if (!is_reading(request.method)) {
      log::info("request", {{"method", request.method},
                            {"target", path_of(request.target)},
                            {"status", response.status},
                            {"by", by}});
    }
    for (const auto& [name, value] : kAlways) response.fields.emplace_back(name, value);
    return response;
  }

 private:
  static constexpr std::array<std::pair<const char*, const char*>, 4> kAlways{
      {{"X-Content-Type-Options", "nosniff"},
       {"Referrer-Policy", "no-referrer"},
       {"Cache-Control", "no-store"},
       {"Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}}};

  using SharedContext = std::shared_ptr<Context>;

  SharedContext make_context(Configuration configuration) {
    return std::make_shared<Context>(std::move(configuration), options_, tokens_, stop_);
  }

  SharedContext current() const {
    const std::lock_guard lock(mutex_);
    return context_;
  }

  static Result<void> recover(const Context& context) {
    std::vector<landing::LandingArea> areas;
    for (const UploadArea& area : context.configuration.areas) areas.push_back(area.area);
    const auto recovered = landing::recover_uploads(context.store, areas,
                                                    context.configuration.journals, context.stop);
    return recovered ? Result<void>() : recovered.error();
  }

  Answer<Response> answer_to(Exchange& exchange, std::string& by) {
    const Request& request = exchange.request();
    const auto target = parse_target(request.target);
    if (!target) return std::unexpected(target.error());
    if (is_reading(request.method)) {
      if (auto asset = find_asset(*target)) return *asset;
    }
    std::vector<std::string> arguments;
    const auto route = find_route(method_of(request, *target), *target, arguments);
    if (!route) return std::unexpected(route.error());
    Call call{exchange, *target, {}, [] { return Answer<void>(); }, std::move(arguments)};
    if ((*route)->need != Need::kNothing) {
      auto grant = authenticate(request);
      if (!grant) return std::unexpected(grant.error());
      call.grant = std::move(*grant);
      // While an answer is streamed, its request is there, but not this call.
      call.is_still_granted = [this, &request, before = call.grant]() -> Answer<void> {
        const auto now = authenticate(request);
        if (!now) return std::unexpected(now.error());
        if (*now == before) return {};
        return refuse(403, "denied", "what this token is good for has changed: ask again");
      };
      by = call.grant.name;
      if (!rate_.take(by, std::chrono::steady_clock::now())) {
        return refuse(429, "busy",
                      "more requests a second than this service answers (max_requests)",
                      {{"Retry-After", "1"}});
      }
      if (auto allowed = authorize((*route)->need, call.grant); !allowed) {
        return std::unexpected(allowed.error());
      }
    }
    for (const auto& [name, value] : target->query) {
      if (std::ranges::find((*route)->parameters, name) != (*route)->parameters.end()) continue;
      return refuse(400, "invalid", fmt::format("there is no parameter '{}' here", name));
    }
    const SharedContext context = current();
    auto answer = (*route)->endpoint(*context, call);
    if (answer && answer->stream) {
      answer->stream = [context, stream = std::move(answer->stream)](const Send& send) {
        stream(send);
      };
    }
    return answer;
  }

  static std::optional<Response> find_asset(const Target& target) {
    std::string path;
    for (const std::string& segment : target.segments) path += "/" + segment;
    const auto found = std::ranges::find(assets(), path, &Asset::path);
    if (found == assets().end()) return std::nullopt;
    return Response{200, {{"Content-Type", std::string(found->type)}}, std::string(found->content)};
  }

  static Answer<const Route*> find_route(std::string_view method, const Target& target,
                                         std::vector<std::string>& arguments) {
    std::string others;
    for (const Route& route : routes()) {
      auto matched = match(route, target.segments);
      if (!matched) continue;
      if (route.method == method || (route.method == "GET" && method == "HEAD")) {
        arguments = std::move(*matched);
        return &route;
      }
      others += (others.empty() ? "" : ", ") + std::string(route.method);
    }
    if (others.empty()) return refuse(404, "not_found", "there is nothing at this URL");
    return refuse(405, "invalid", "this URL takes other methods only", {{"Allow", others}});
  }

  Answer<Grant> authenticate(const Request& request) {
    const auto required = tokens_.is_required();
    if (!required) return tokens_unreadable(required.error());
    if (!*required) return authenticate_by_host(request);
    constexpr std::string_view kScheme = "bearer ";
    const auto value = request.field("authorization");
    std::string scheme = value.value_or("").substr(0, kScheme.size());
    std::ranges::transform(scheme, scheme.begin(), [](unsigned char c) { return std::tolower(c); });
    if (!value || scheme != kScheme) {
      return refuse(401, "denied", "a token is wanted: Authorization: Bearer TOKEN",
                    {{"WWW-Authenticate", "Bearer realm=\"ferry\""}});
    }
    auto grant = tokens_.find(std::string_view(*value).substr(kScheme.size()));
    if (!grant) return tokens_unreadable(grant.error());
    if (!*grant) {
      return refuse(401, "denied", "this token is not known, or has expired",
                    {{"WWW-Authenticate", "Bearer realm=\"ferry\", error=\"invalid_token\""}});
    }
    return std::move(**grant);
  }

  static std::unexpected<Problem> tokens_unreadable(const Error& error) {
    log::error("tokens cannot be read", {{"error", error.message}});
    return refuse(503, to_string(error.kind), "the tokens cannot be read: see the service's log");
  }

  /// Without tokens whoever is on this host may do all; but not the web pages that somebody here
  /// looks at, which could come by a name of their own for 127.0.0.1, or post a form.
  static Answer<Grant> authenticate_by_host(const Request& request) {
    const std::string host = request.field("host").value_or("127.0.0.1");
    const bool is_bracketed = host.starts_with('[');
    const std::string name = host.substr(0, is_bracketed ? host.find(']') + 1 : host.find(':'));
    if (name != "localhost" && !is_loopback(name)) {
      return refuse(421, "denied", "without tokens the service answers to localhost only");
    }
    const auto origin = request.field("origin");
    if (!is_reading(request.method) && origin && *origin != "http://" + host &&
        *origin != "https://" + host) {
      return refuse(403, "denied", "a page from elsewhere may change nothing here");
    }
    return Grant{.name = "localhost", .upload = {"*"}, .read = true, .manage = true};
  }

  static Answer<void> authorize(Need need, const Grant& grant) {
    const bool may = need == Need::kRead     ? grant.read || grant.manage
                     : need == Need::kManage ? grant.manage
                                             : true;
    if (may) return {};
    return refuse(403, "denied",
                  fmt::format("this token may not {}", need == Need::kRead ? "read" : "manage"),
                  {{"WWW-Authenticate", "Bearer realm=\"ferry\", error=\"insufficient_scope\""}});
  }

  const ServiceOptions& options_;
  StopToken& stop_;
  TokenBook tokens_;
  RequestRate rate_;
  mutable std::mutex mutex_;
  SharedContext context_;
};

/// Until STOP.
void do_whenever(ReloadRequest& request, const StopToken& stop, const std::function<void()>& work) {
  while (!stop.stop_requested()) {
    std::array<pollfd, 2> polled{{{stop.fd(), POLLIN, 0}, {request.fd(), POLLIN, 0}}};
    ::poll(polled.data(), polled.size(), -1);
    if (request.take()) work();
  }
}

void reload(Service& service, const ServiceOptions& options) {
  auto configuration = options.reload();
  options.on_reloaded(configuration ? service.change(std::move(*configuration))
                                    : Result<void>(configuration.error()));
}

Result<void> check_exposure(const Address& address, bool asks_for_tokens) {
  if (address.is_local() || asks_for_tokens) return {};
  return make_error(ErrorKind::kInvalid,
                    "others can connect to {}, and there are no tokens: make some with 'ferry "
                    "token new', or listen on 127.0.0.1",
                    address.to_string());
}

Result<std::vector<Listener>> listen(ServiceOptions& options, bool asks_for_tokens) {
  std::vector<Listener> listeners;
  for (UniqueFd& fd : options.listening) {
    auto listener = take_listening(std::move(fd));
    if (!listener) return listener.error();
    if (auto fit = check_exposure(listener->address, asks_for_tokens); !fit) return fit.error();
    listeners.push_back(std::move(*listener));
  }
  if (!listeners.empty()) return listeners;
  for (const Address& address : options.listen) {
    if (auto fit = check_exposure(address, asks_for_tokens); !fit) return fit.error();
    auto listener = listen_at(address);
    if (!listener) return listener.error();
    listeners.push_back(std::move(*listener));
  }
  return listeners;
}

std::vector<std::string> urls_of(std::span<const Listener> listeners, bool by_tls) {
  std::vector<std::string> urls;
  for (const Listener& listener : listeners) {
    const std::string where = listener.address.to_string();
    urls.push_back(listener.is_unix ? where : (by_tls ? "https://" : "http://") + where + "/");
  }
  return urls;
}

}  // namespace

Result<void> serve(Configuration configuration, ServiceOptions options, StopToken& stop) {
  Service service(std::move(configuration), options, stop);
  const auto asks_for_tokens = service.asks_for_tokens();
  if (!asks_for_tokens) return asks_for_tokens.error();
  std::unique_ptr<Tls> tls;
  if (options.tls) {
    auto loaded = Tls::load(*options.tls);
    if (!loaded) return loaded.error();
    tls = std::move(*loaded);
  }
  const auto listeners = listen(options, *asks_for_tokens);
  if (!listeners) return listeners.error();
  if (auto recovered = service.recover(); !recovered) return recovered;

  // Large ones take their time.
  ReloadRequest unfinished;
  unfinished.request();
  const std::jthread finisher(
      [&] { do_whenever(unfinished, stop, [&] { service.finish_what_was_complete(); }); });
  ReloadRequest certificate;
  std::jthread reloader;
  if (options.hangup != nullptr) {
    reloader = std::jthread([&] {
      do_whenever(*options.hangup, stop, [&] {
        certificate.request();
        reload(service, options);
        unfinished.request();
      });
    });
  }
  if (options.on_ready) options.on_ready(urls_of(*listeners, tls != nullptr));
  serve_listeners(
      *listeners,
      {.max_connections = options.max_connections,
       .limits = {.body_bytes = options.max_upload},
       .tls = tls.get(),
       .hangup = &certificate},
      [&](Exchange& exchange) { return service.handle(exchange); }, stop);
  return {};
}

}  // namespace ferry::http

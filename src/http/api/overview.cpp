#include <fcntl.h>

#include "ferry/base/outages.h"
#include "ferry/base/state_directory.h"
#include "ferry/base/untaken.h"
#include "http/api/api.h"

namespace ferry::http {
namespace {

using metastore::Standing;
using metastore::Totals;

Json to_json(const Totals& totals) {
  Json files;
  Json bytes;
  for (std::size_t i = 0; i < metastore::kStandings; ++i) {
    const auto standing = static_cast<Standing>(i);
    files[std::string(to_string(standing))] = totals[standing].files;
    bytes[std::string(to_string(standing))] = totals[standing].bytes;
  }
  Json json{{"destination", totals.destination.empty() ? Json() : Json(totals.destination)},
            {"files", std::move(files)},
            {"bytes", std::move(bytes)},
            {"given_up", totals.given_up.files},
            {"oldest_pending", nullptr},
            {"last_success", nullptr}};
  if (const auto& oldest = totals.oldest_pending) {
    json["oldest_pending"] = {{"path", oldest->path}, {"since", format_timestamp(oldest->since)}};
  }
  if (totals.last_success) json["last_success"] = format_timestamp(*totals.last_success);
  return json;
}

/// Who may not look there does not know.
std::vector<Outage> outages_of(const Context& context) {
  const auto outages = Outages(StateDirectory(context.configuration.state).outages()).all();
  return outages ? *outages : std::vector<Outage>();
}

}  // namespace

std::optional<DirectoryId> directory_id(const fs::path& path) {
  const auto fd = open_file(path, O_PATH | O_DIRECTORY);
  const auto status = fd ? stat_fd(fd->get(), path) : fd.error();
  if (!status) return std::nullopt;
  return DirectoryId{status->st_dev, status->st_ino};
}

Answer<Json> status_json(const Context& context, const Grant& grant) {
  const auto totals = context.store.totals();
  if (!totals) return refuse(totals.error());
  const auto damaged = context.store.upkeep().damaged_rows();
  if (!damaged) return refuse(damaged.error());
  const auto orphans = context.store.upkeep().orphans();
  if (!orphans) return refuse(orphans.error());
  auto late = context.late.ask([&] { return context.configuration.late(context.store); });
  if (!late) return refuse(late.error());
  Json destinations = Json::array();
  for (const Totals& one : *totals) destinations.push_back(to_json(one));
  Json unreachable = Json::array();
  for (const Outage& outage : outages_of(context)) unreachable.push_back(to_json(outage));
  const auto untaken = read_untaken(StateDirectory(context.configuration.state).untaken());
  Json landings = Json::array();
  for (const UploadArea& area : context.configuration.areas) landings.push_back(area.name);
  return Json{{"time", format_timestamp(now())},
              {"version", FERRY_VERSION},
              {"destinations", std::move(destinations)},
              {"unreachable", std::move(unreachable)},
              {"late", std::move(*late)},
              {"landings", std::move(landings)},
              {"damaged_rows", *damaged},
              {"orphaned_rows", orphans->rows},
              {"untaken", untaken ? to_json(*untaken) : Json()},
              {"may_manage", grant.manage}};
}

Answer<Response> get_status(const Context& context, Call& call) {
  const auto status = status_json(context, call.grant);
  if (!status) return std::unexpected(status.error());
  return json_response(200, *status);
}

Answer<Response> get_metrics(const Context& context, Call&) {
  auto page = context.configuration.metrics(context.store);
  if (!page) return refuse(page.error());
  return Response{
      200, {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, std::move(*page)};
}

Answer<Response> get_health(const Context&, Call&) {
  return Response{200, {{"Content-Type", "text/plain; charset=utf-8"}}, "ok\n"};
}

/// The metastore answers, what is at its path is what was opened, and the landing areas of this
/// host are there.
Answer<Response> get_readiness(const Context& context, Call&) {
  const auto pending = context.store.is_pending();
  if (!pending)
    return refuse(503, to_string(pending.error().kind), "the metastore does not answer");
  if (context.state && directory_id(context.configuration.state) != context.state) {
    return refuse(503, "not_found", "the metastore's directory is gone, or is another one");
  }
  for (const UploadArea& area : context.configuration.areas) {
    if (area.area.is_remote()) continue;
    if (open_file(area.area.path, O_PATH | O_DIRECTORY)) continue;
    return refuse(503, "not_found", "a landing area is not there");
  }
  return Response{200, {{"Content-Type", "text/plain; charset=utf-8"}}, "ready\n"};
}

}  // namespace ferry::http

#include "ferry/landing/quarantine.h"

#include <algorithm>

#include "http/api/api.h"

namespace ferry::http {
namespace {

using landing::HeldFile;

/// Where things lie on this host is nobody's business elsewhere.
Json json_of(const HeldFile& file) {
  Json json = landing::to_json(file);
  json["is_there"] = !file.location.empty();
  return json;
}

std::vector<landing::LandingArea> areas_of(const Context& context) {
  std::vector<landing::LandingArea> areas;
  for (const UploadArea& area : context.configuration.areas) areas.push_back(area.area);
  return areas;
}

struct Held {
  landing::LandingArea area;
  HeldFile file;
};

Answer<Held> find_held(const Context& context, const std::string& id) {
  const auto areas = areas_of(context);
  const auto held = landing::held_files(context.store, areas);
  if (!held) return refuse(held.error().error);
  const auto file = std::ranges::find(*held, id, &HeldFile::id);
  if (file == held->end()) {
    return refuse(404, "not_found", fmt::format("nothing in quarantine has the id '{}'", id));
  }
  const auto area = std::ranges::find(areas, file->landing, &landing::LandingArea::name);
  if (area == areas.end()) {
    return refuse(409, "failed", fmt::format("landing area {} is not configured", file->landing));
  }
  return Held{*area, *file};
}

std::unexpected<Problem> refuse_release(Error error) {
  if (landing::wants_another_name(error)) {
    error.message = fmt::format("{}; give it another one: as=NAME", error.message);
  }
  auto refused = refuse(error);
  if (landing::is_name_taken(error)) refused.error().status = 409;
  return refused;
}

}  // namespace

Answer<Response> list_quarantine(const Context& context, Call&) {
  const auto areas = areas_of(context);
  const auto held = landing::held_files(context.store, areas);
  if (!held) return refuse(held.error().error);
  Json files = Json::array();
  for (const HeldFile& file : *held) files.push_back(json_of(file));
  return json_response(200, {{"files", std::move(files)}});
}

Answer<Response> release_held(const Context& context, Call& call) {
  const auto held = find_held(context, call.arguments.front());
  if (!held) return std::unexpected(held.error());
  const std::string path = call.target.parameter("as").value_or(held->file.path);
  const auto record = landing::release(context.store, held->area, held->file, path, context.stop);
  if (!record) return refuse_release(record.error().error);
  return json_response(200, row_to_json(*record));
}

Answer<Response> drop_held(const Context& context, Call& call) {
  const auto held = find_held(context, call.arguments.front());
  if (!held) return std::unexpected(held.error());
  const auto dropped = landing::drop(context.store, held->area, held->file, context.stop);
  if (!dropped) return refuse(dropped.error().error);
  return json_response(200, json_of(held->file));
}

}  // namespace ferry::http

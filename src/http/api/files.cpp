#include <algorithm>
#include <charconv>

#include "http/api/api.h"

namespace ferry::http {
namespace {

using metastore::Delivery;
using metastore::FileQuery;
using metastore::FileRecord;
using metastore::Standing;

constexpr std::size_t kUsualLimit = 100;
constexpr std::size_t kLargestLimit = 1000;

Json to_json(const FileRecord& file, const metastore::Judgement& judgement,
             const Delivery* delivery, std::int64_t max_attempts) {
  const bool is_alive = delivery != nullptr && delivery->claim_alive;
  const Standing standing = metastore::standing_now(judgement, is_alive);
  Json json{{"destination", text_or_null(judgement.destination)},
            {"status", to_string(standing)},
            {"transfer_date", nullptr},
            {"attempt", 0},
            {"given_up", standing == Standing::kFailed &&
                             !metastore::is_deliverable(file, delivery, max_attempts)},
            {"bytes", nullptr},
            {"duration_ms", nullptr},
            {"batch_id", nullptr},
            {"agent", nullptr},
            {"error", nullptr}};
  if (delivery == nullptr) return json;
  json["transfer_date"] = format_timestamp(delivery->date);
  json["attempt"] = delivery->attempt;
  if (standing == Standing::kSuccessful) {
    json["bytes"] = delivery->bytes;
    json["duration_ms"] = delivery->duration_ms;
  }
  json["batch_id"] = text_or_null(delivery->batch_id);
  json["agent"] = text_or_null(delivery->agent);
  if (standing == Standing::kFailed) {
    json["error"] = {{"kind", delivery->error_kind}, {"message", delivery->error_message}};
  }
  return json;
}

/// The file's row, and where it stands with each destination.
Json to_json(const FileRecord& file, std::span<const Delivery> deliveries,
             const metastore::Demand& demand) {
  Json json = row_to_json(file);
  json["deliveries"] = Json::array();
  std::vector<metastore::Judgement> judgements;
  metastore::judge(file, deliveries, demand, judgements);
  for (const metastore::Judgement& judgement : judgements) {
    if (judgement.is_due_to_go) continue;
    const Delivery* delivery = metastore::find_delivery(deliveries, judgement.destination);
    json["deliveries"].push_back(to_json(file, judgement, delivery, demand.max_attempts));
  }
  return json;
}

Answer<FileQuery> parse_query(const Context& context, const Target& target) {
  FileQuery query{.newest_first = true};
  if (const auto status = target.parameter("status"); status && !status->empty()) {
    const auto standing = metastore::parse_standing(*status);
    if (!standing) return refuse(400, "invalid", fmt::format("'{}' is not a status", *status));
    query.standings = {*standing};
  }
  query.destination = target.parameter("destination").value_or("");
  if (auto known = check_destination(context, query.destination); !known) {
    return std::unexpected(known.error());
  }
  query.text = target.parameter("q").value_or("");
  if (const auto since = target.parameter("since"); since && !since->empty()) {
    const auto time = parse_timestamp(*since);
    if (!time) return refuse(400, "invalid", "since: " + time.error().message);
    query.updated.since = *time;
  }
  query.after = target.parameter("cursor").value_or("");
  const auto limit = parse_limit(target, kUsualLimit, kLargestLimit);
  if (!limit) return std::unexpected(limit.error());
  query.limit = *limit;
  return query;
}

std::unexpected<Problem> no_such_file(const std::string& id) {
  return refuse(404, "not_found", fmt::format("the registry has no file with the id '{}'", id));
}

Answer<FileRecord> find_file(const Context& context, const std::string& id) {
  const auto found = context.store.find(std::span(&id, 1));
  if (!found) return refuse(found.error());
  if (!found->front()) return no_such_file(id);
  return *found->front();
}

Answer<std::string> wanted_destination(const Context& context, const Call& call) {
  std::string destination = call.target.parameter("destination").value_or("");
  if (auto known = check_destination(context, destination); !known) {
    return std::unexpected(known.error());
  }
  return destination;
}

Answer<Response> released(const FileRecord& file, const std::vector<metastore::Release>& releases,
                          std::string_view otherwise) {
  if (releases.empty()) return refuse(409, "failed", std::string(otherwise));
  Json destinations = Json::array();
  for (const metastore::Release& release : releases) destinations.push_back(release.destination);
  return json_response(200, {{"id", file.id},
                             {"path", file.path},
                             {"status", "pending"},
                             {"destinations", std::move(destinations)}});
}

}  // namespace

Answer<std::size_t> parse_limit(const Target& target, std::size_t usual, std::size_t largest) {
  const auto text = target.parameter("limit");
  if (!text) return usual;
  std::size_t limit = 0;
  const char* end = text->data() + text->size();
  const auto [rest, error] = std::from_chars(text->data(), end, limit);
  if (error == std::errc{} && rest == end && limit > 0 && limit <= largest) return limit;
  return refuse(400, "invalid", fmt::format("limit is a number from 1 to {}", largest));
}

Answer<void> check_destination(const Context& context, const std::string& destination) {
  const auto& configured = context.configuration.demand.destinations;
  if (destination.empty() || std::ranges::find(configured, destination) != configured.end()) {
    return {};
  }
  const auto logged = context.store.logged_destinations();
  if (!logged) return refuse(logged.error());
  if (std::ranges::find(*logged, destination) != logged->end()) return {};
  return refuse(400, "invalid", fmt::format("there is no destination '{}'", destination));
}

Answer<Response> list_files(const Context& context, Call& call) {
  auto query = parse_query(context, call.target);
  if (!query) return std::unexpected(query.error());
  const std::size_t limit = query->limit;
  query->limit = limit + 1;  // one more tells whether there are more
  Json files = Json::array();
  const auto visited = context.store.visit(*query, [&](const FileRecord& file, auto deliveries) {
    files.push_back(to_json(file, deliveries, context.configuration.demand));
  });
  if (!visited && visited.error().kind == ErrorKind::kNotFound && !query->after.empty()) {
    return refuse(400, "invalid", "the cursor belongs to no file that is still registered");
  }
  if (!visited) return refuse(visited.error());
  Json next;
  if (files.size() > limit) {
    files.erase(limit);
    next = files.back()["id"];
  }
  return json_response(200, {{"files", std::move(files)}, {"next", std::move(next)}});
}

Answer<Response> get_file(const Context& context, Call& call) {
  const std::string& id = call.arguments.front();
  Json json;
  const auto visited =
      context.store.visit({.names = {id}}, [&](const FileRecord& file, auto deliveries) {
        if (file.id == id) json = to_json(file, deliveries, context.configuration.demand);
      });
  if (!visited) return refuse(visited.error());
  if (json.is_null()) return no_such_file(id);
  return json_response(200, json);
}

Answer<Response> get_history(const Context& context, Call& call) {
  const std::string& id = call.arguments.front();
  auto versions = context.store.history(id);
  if (!versions) return refuse(versions.error());
  for (metastore::History& history : *versions) {
    if (history.file.empty() || history.file.back().id != id) continue;
    const std::string path = history.file.back().path;
    std::ranges::stable_sort(history.file, {}, &FileRecord::updated_date);
    std::ranges::stable_sort(history.transfers, {}, &metastore::TransferRecord::date);
    Json json{{"id", id}, {"path", path}, {"file", Json::array()}, {"transfers", Json::array()}};
    for (const auto& row : history.file) json["file"].push_back(row_to_json(row));
    for (const auto& row : history.transfers) json["transfers"].push_back(row_to_json(row));
    return json_response(200, json);
  }
  return no_such_file(id);
}

Answer<Response> retry_file(const Context& context, Call& call) {
  const auto destination = wanted_destination(context, call);
  if (!destination) return std::unexpected(destination.error());
  const auto file = find_file(context, call.arguments.front());
  if (!file) return std::unexpected(file.error());
  const auto releases = context.store.release(std::span(&file->id, 1), *destination);
  if (!releases) return refuse(releases.error());
  return released(*file, *releases, "no delivery of this file has failed");
}

Answer<Response> resend_file(const Context& context, Call& call) {
  const auto destination = wanted_destination(context, call);
  if (!destination) return std::unexpected(destination.error());
  const std::string& id = call.arguments.front();
  std::optional<FileRecord> file;
  bool is_wanted = true;
  const auto visited =
      context.store.visit({.names = {id}}, [&](const FileRecord& found, auto deliveries) {
        if (found.id != id) return;
        file = found;
        is_wanted = metastore::is_still_wanted(found, deliveries, context.configuration.demand,
                                               *destination);
      });
  if (!visited) return refuse(visited.error());
  if (!file) return no_such_file(id);
  if (!is_wanted) return refuse(409, "failed", "no route leads this file there any more");
  const auto releases = context.store.resend(std::span(&file->id, 1), *destination);
  if (!releases) return refuse(releases.error());
  return released(*file, *releases,
                  "this version of the file has not been delivered, a newer one took its place, or "
                  "its source is gone");
}

}  // namespace ferry::http

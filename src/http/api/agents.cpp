#include "ferry/base/agent_progress.h"
#include "http/api/api.h"

namespace ferry::http {
namespace {

constexpr std::size_t kShownFiles = 5;

Json to_json(const AgentProgress& agent, Json files) {
  const auto left = agent.time_left();
  return {{"process", agent.process},
          {"destination", agent.destination},
          {"started", format_timestamp(agent.started)},
          {"updated", format_timestamp(agent.updated)},
          {"idle", agent.is_idle()},
          {"files", agent.files},
          {"files_done", agent.files_done},
          {"files_failed", agent.files_failed},
          {"bytes", agent.bytes},
          {"bytes_done", agent.bytes_done},
          {"bytes_a_second", agent.rate},
          {"seconds_left", left ? Json(left->count()) : Json()},
          {"last_file", agent.last_file.empty() ? Json() : Json(agent.last_file)},
          {"last_error", agent.last_error.empty() ? Json() : Json(agent.last_error)},
          {"in_progress", std::move(files)}};
}

/// What some agent has in hand for DESTINATION, the oldest first.
Result<Json> files_in_progress(const Context& context, const std::string& destination) {
  Json files = Json::array();
  const auto visited = context.store.visit(
      {.standings = {metastore::Standing::kInProgress},
       .destination = destination,
       .limit = kShownFiles},
      [&](const metastore::FileRecord& file, auto) {
        files.push_back({{"id", file.id},
                         {"path", file.path},
                         {"size", file.identity ? Json(file.identity->size) : Json()}});
      });
  if (!visited) return visited.error();
  return files;
}

}  // namespace

Answer<Response> list_agents(const Context& context, Call&) {
  const auto agents = read_agent_progress(context.configuration.agents);
  if (!agents) return refuse(agents.error());
  Json all = Json::array();
  for (const AgentProgress& agent : *agents) {
    auto files = agent.is_idle() ? Result<Json>(Json::array())
                                 : files_in_progress(context, agent.destination);
    if (!files) return refuse(files.error());
    all.push_back(to_json(agent, std::move(*files)));
  }
  return json_response(200, {{"agents", std::move(all)}});
}

}  // namespace ferry::http

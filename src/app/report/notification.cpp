#include "app/report/notification.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <span>

#include "app/config/option_values.h"
#include "ferry/base/text.h"
#include "ferry/base/units.h"

namespace ferry::app {
namespace {

constexpr std::size_t kMostExamples = 5;

std::string word_of(EventKind kind) {
  return std::get<std::string>(Codec<EventKind>::write(kind));
}

Json to_json(std::span<const Situation::Example> examples) {
  Json list = Json::array();
  for (const auto& example : examples) {
    list.push_back(
        {{"path", escape_controls(example.path)}, {"reason", escape_controls(example.reason)}});
  }
  return list;
}

std::string text_of(std::span<const Situation::Example> examples) {
  std::string text;
  for (const auto& example : examples) {
    text +=
        fmt::format("\n  {}: {}", escape_controls(example.path), escape_controls(example.reason));
  }
  return text;
}

class News {
 public:
  News(const Situation& now, const Told& told) : now_(now), told_(told) {}

  std::vector<Event> take() {
    for (const auto& [destination, trouble] : now_.destinations) {
      add_failed(destination, trouble);
      add_given_up(destination, trouble);
    }
    add_quarantined();
    for (const auto& [name, late] : now_.late) add_late(name, late);
    add_recovered();
    for (const auto& [id, batch] : now_.batches) add_batch(id, batch);
    return std::move(events_);
  }

 private:
  void add(EventKind kind, Json data, std::string text) {
    data["event"] = word_of(kind);
    events_.push_back({kind, std::move(data), std::move(text)});
  }

  void add_failed(const std::string& destination, const Situation::Trouble& trouble) {
    const auto known = told_.failed.find(destination);
    std::uint64_t files = 0;
    bool is_new = false;
    std::vector<std::string> kinds;
    for (const auto& [kind, count] : trouble.failed) {
      files += count;
      kinds.push_back(fmt::format("{} {}", count, kind));
      is_new = is_new || known == told_.failed.end() || !known->second.contains(kind);
    }
    if (!is_new) return;
    add(EventKind::kFailed,
        {{"destination", destination},
         {"files", files},
         {"error_kinds", trouble.failed},
         {"examples", to_json(trouble.examples)}},
        fmt::format("{}: {} files fail ({}){}", escape_controls(destination), files,
                    fmt::join(kinds, ", "), text_of(trouble.examples)));
  }

  void add_given_up(const std::string& destination, const Situation::Trouble& trouble) {
    const auto known = told_.given_up.find(destination);
    const std::uint64_t before = known == told_.given_up.end() ? 0 : known->second;
    if (trouble.given_up <= before) return;
    add(EventKind::kGivenUp,
        {{"destination", destination},
         {"files", trouble.given_up},
         {"more", trouble.given_up - before},
         {"examples", to_json(trouble.examples)}},
        fmt::format("{}: {} files are given up, {} more than before: 'ferry retry' releases them{}",
                    escape_controls(destination), trouble.given_up, trouble.given_up - before,
                    text_of(trouble.examples)));
  }

  void add_quarantined() {
    std::vector<Situation::Example> examples;
    std::uint64_t files = 0;
    for (const auto& [id, example] : now_.quarantined) {
      if (told_.quarantined.contains(id)) continue;
      ++files;
      if (examples.size() < kMostExamples) examples.push_back(example);
    }
    if (files == 0) return;
    add(EventKind::kQuarantined, {{"files", files}, {"examples", to_json(examples)}},
        fmt::format("{} more files are in quarantine{}", files, text_of(examples)));
  }

  void add_late(const std::string& name, const Situation::Late& late) {
    const auto known = told_.late.find(name);
    if (known != told_.late.end() && known->second == late.deadline) return;
    add(EventKind::kLate,
        {{"expectation", name},
         {"deadline", late.deadline},
         {"count", late.count},
         {"landed", late.landed},
         {"arrived", late.arrived}},
        fmt::format("{} is late: {} of {} files landed by {}, {} are at their destinations",
                    escape_controls(name), late.landed, late.count, late.deadline, late.arrived));
  }

  void add_recovered() {
    std::set<std::string> troubled;
    for (const auto& [destination, kinds] : told_.failed) troubled.insert(destination);
    for (const auto& [destination, files] : told_.given_up) troubled.insert(destination);
    for (const std::string& destination : troubled) {
      if (now_.destinations.contains(destination)) continue;
      add(EventKind::kRecovered, {{"destination", destination}},
          fmt::format("{}: nothing fails any more", escape_controls(destination)));
    }
    for (const auto& [name, deadline] : told_.late) {
      if (now_.late.contains(name)) continue;
      add(EventKind::kRecovered, {{"expectation", name}},
          fmt::format("{} has come", escape_controls(name)));
    }
  }

  void add_batch(const std::string& id, const Situation::Batch& batch) {
    if (told_.batches.contains(id)) return;
    add(EventKind::kBatch,
        {{"batch_id", id},
         {"destination", batch.destination},
         {"files", batch.files},
         {"bytes", batch.bytes}},
        fmt::format("{}: {} files delivered, {} (batch {})", escape_controls(batch.destination),
                    batch.files, human_size(static_cast<double>(batch.bytes)), id));
  }

  const Situation& now_;
  const Told& told_;
  std::vector<Event> events_;
};

}  // namespace

Json to_json(const Told& told) {
  return {{"failed", told.failed},           {"given_up", told.given_up},
          {"quarantined", told.quarantined}, {"late", told.late},
          {"batches", told.batches},         {"time", format_timestamp(told.time)}};
}

Result<Told> told_from(const Json& json) try {
  Told told;
  json.at("failed").get_to(told.failed);
  json.at("given_up").get_to(told.given_up);
  json.at("quarantined").get_to(told.quarantined);
  json.at("late").get_to(told.late);
  json.at("batches").get_to(told.batches);
  const auto time = parse_timestamp(json.at("time").get<std::string>());
  if (!time) return time.error();
  told.time = *time;
  return told;
} catch (const Json::exception&) {
  return make_error(ErrorKind::kCorrupt, "it is not a note of what was told");
}

std::vector<Event> news(const Situation& now, const Told& told, std::span<const EventKind> kinds) {
  std::vector<Event> events = News(now, told).take();
  std::erase_if(events, [&](const Event& event) {
    return std::ranges::find(kinds, event.kind) == kinds.end();
  });
  return events;
}

Told told_of(const Situation& now, Timestamp time) {
  Told told;
  told.time = time;
  for (const auto& [destination, trouble] : now.destinations) {
    for (const auto& [kind, count] : trouble.failed) told.failed[destination].insert(kind);
    if (trouble.given_up > 0) told.given_up[destination] = trouble.given_up;
  }
  for (const auto& [id, example] : now.quarantined) told.quarantined.insert(id);
  for (const auto& [name, late] : now.late) told.late[name] = late.deadline;
  for (const auto& [id, batch] : now.batches) told.batches.insert(id);
  return told;
}

}  // namespace ferry::app

#include "app/report/situation.h"

#include "app/config/landing_areas.h"
#include "app/config/state_directory.h"
#include "app/report/expectations.h"
#include "app/report/unreachable.h"
#include "ferry/base/kept_batches.h"

namespace ferry::app {
namespace {

constexpr std::size_t kExamples = 5;

Result<std::vector<Situation::Example>> examples_of(metastore::Metastore& metastore,
                                                    const std::string& destination) {
  std::vector<Situation::Example> examples;
  auto visited = metastore.visit(
      {.standings = {metastore::Standing::kFailed},
       .destination = destination,
       .newest_first = true,
       .limit = kExamples},
      [&](const metastore::FileRecord& file, std::span<const metastore::Delivery> deliveries) {
        const auto* delivery = metastore::find_delivery(deliveries, destination);
        examples.push_back(
            {file.path, delivery == nullptr ? "" : std::string(delivery->error_message)});
      });
  if (!visited) return visited.error();
  return examples;
}

Result<void> look_at_destinations(metastore::Metastore& metastore, Situation& situation) {
  const auto totals = metastore.totals();
  if (!totals) return totals.error();
  for (const metastore::Totals& one : *totals) {
    if (one[metastore::Standing::kFailed].files == 0) continue;
    auto examples = examples_of(metastore, one.destination);
    if (!examples) return examples.error();
    Situation::Trouble trouble{
        .failed = {}, .given_up = one.given_up.files, .examples = std::move(*examples)};
    for (const auto& [kind, files] : one.failed_by_kind) trouble.failed.emplace(kind, files);
    situation.destinations.emplace(one.destination, std::move(trouble));
  }
  return {};
}

/// What waits for a destination that this host cannot reach has not failed, but does not arrive.
Result<void> look_at_outages(metastore::Metastore& metastore, const Settings& settings,
                             Timestamp time, Situation& situation) {
  const auto outages = unreachable_destinations(settings, time);
  if (!outages) return outages.error();
  const auto totals = metastore.totals();
  if (!totals) return totals.error();
  for (const Outage& outage : *outages) {
    const metastore::Totals* waiting = waiting_for(*totals, outage.destination);
    if (waiting == nullptr) continue;
    const bool is_lost = outage.kind == to_string(ErrorKind::kConnectionLost);
    const std::string kind(is_lost ? to_string(ErrorKind::kUnreachable) : outage.kind);
    Situation::Trouble& trouble = situation.destinations[outage.destination];
    trouble.failed[kind] += (*waiting)[metastore::Standing::kPending].files;
    trouble.examples.insert(trouble.examples.begin(),
                            {waiting->oldest_pending->path, outage.message});
  }
  return {};
}

Result<void> look_at_quarantine(metastore::Metastore& metastore, const Settings& settings,
                                Situation& situation) {
  if (const auto held = held_unregistered(metastore, settings)) {
    for (const landing::HeldFile& file : *held) {
      situation.quarantined[file.id] = {file.path, file.reason};
    }
  }
  return metastore.visit(
      {.states = {metastore::FileState::kQuarantined}},
      [&](const metastore::FileRecord& file, std::span<const metastore::Delivery>) {
        situation.quarantined[file.id] = {file.path, file.reason};
      });
}

Result<void> look_at_expectations(metastore::Metastore& metastore, const Settings& settings,
                                  Timestamp time, Situation& situation) {
  const auto late = late_now(metastore, settings, time);
  if (!late) return late.error();
  for (const ExpectedDay& day : *late) {
    situation.late[day.expectation->name] = {.deadline = day.clocks.format(day.deadline),
                                             .landed = day.landed,
                                             .arrived = day.arrived,
                                             .count = day.expectation->count.value};
  }
  return {};
}

Result<void> look_at_batches(const KeptBatches& batches, Situation& situation) {
  const auto ids = batches.ids();
  if (!ids) return ids.error();
  for (const std::string& id : *ids) {
    const auto head = batches.is_complete(id) ? batches.head(id) : Json::object();
    if (!head || !head->contains("count")) continue;
    situation.batches.emplace(
        id, Situation::Batch{.destination = head->value("destination", ""),
                             .files = head->value("count", std::uint64_t{0}),
                             .bytes = head->value("total_bytes", std::uint64_t{0})});
  }
  return {};
}

}  // namespace

std::optional<std::vector<landing::HeldFile>> held_unregistered(metastore::Metastore& metastore,
                                                                const Settings& settings) {
  std::vector<landing::LandingArea> areas;
  for (const LandingSettings& landing : local_landings(settings)) {
    auto area = landing_area(landing, settings);
    if (area) areas.push_back(std::move(*area));
  }
  if (areas.empty()) return std::nullopt;
  auto held = landing::held_files(metastore, areas);
  if (!held) return std::nullopt;
  std::erase_if(*held, [](const landing::HeldFile& file) { return file.registered; });
  return std::move(*held);
}

Result<Situation> look_at_situation(metastore::Metastore& metastore, const Settings& settings,
                                    Timestamp time) {
  Situation situation;
  if (auto done = look_at_destinations(metastore, situation); !done) return done.error();
  if (auto done = look_at_outages(metastore, settings, time, situation); !done) {
    return done.error();
  }
  if (auto done = look_at_quarantine(metastore, settings, situation); !done) return done.error();
  if (auto done = look_at_expectations(metastore, settings, time, situation); !done) {
    return done.error();
  }
  if (auto done = look_at_batches(KeptBatches(state_directory(settings).batches()), situation);
      !done) {
    return done.error();
  }
  return situation;
}

}  // namespace ferry::app

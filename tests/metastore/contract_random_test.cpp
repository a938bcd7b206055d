// Random rows: every answer of a store is what the rules make of its rows, folded one by one.
#include <algorithm>
#include <random>
#include <set>

#include "store_fixture.h"

namespace ferry::metastore {
namespace {

using testing::found;
using testing::kLandingArea;
using testing::must;
using testing::Vocabulary;
using enum TransferStatus;

const std::vector<std::string> kDestinations{"", "warehouse", "lake"};

/// What the last row of a pair says, and when its attempt began.
struct Folded {
  TransferRecord last;
  Timestamp claimed;
  std::optional<Timestamp> file_updated_date;
};

struct Version {
  FileRecord file;
  std::map<std::string, Folded> by_destination;
};

/// All rows of a store, folded in the plainest way.
class Model {
 public:
  Model(Metastore& store, const std::set<std::string>& living) {
    std::vector<std::string> ids;
    must(store.visit({}, [&](const FileRecord& file, auto) { ids.push_back(file.id); }));
    for (const std::string& id : ids) {
      Version version;
      const auto histories = must(store.history(id));
      REQUIRE(histories.size() == 1);
      version.file = histories[0].file.back();
      for (const TransferRecord& row : histories[0].transfers) add(version, row);
      versions_.push_back(std::move(version));
    }
    for (const Version& version : versions_) deliveries_.push_back(deliveries_of(version, living));
  }

  const std::vector<Version>& versions() const { return versions_; }
  std::span<const Delivery> deliveries(std::size_t i) const { return deliveries_[i]; }

  /// Ids of those for which HOLDS does, in order.
  template <typename Predicate>
  std::vector<std::string> ids(Predicate holds) const {
    std::vector<std::string> found;
    for (std::size_t i = 0; i < versions_.size(); ++i) {
      if (holds(versions_[i].file, deliveries(i))) found.push_back(versions_[i].file.id);
    }
    return found;
  }

  bool is_latest(const FileRecord& file) const {
    const FileRecord* latest = nullptr;
    for (const Version& version : versions_) {
      const bool is_of_path =
          version.file.path == file.path && version.file.landing == file.landing;
      if (is_of_path) latest = &version.file;
    }
    return latest != nullptr && latest->id == file.id;
  }

 private:
  static void add(Version& version, const TransferRecord& row) {
    const auto [known, is_new] = version.by_destination.try_emplace(row.destination);
    Folded& folded = known->second;
    const bool ends = !is_new && folded.last.status == kInProgress && row.status != kInProgress &&
                      folded.last.attempt == row.attempt;
    if (!ends) {
      folded.claimed = row.date;
      folded.file_updated_date.reset();
    }
    if (row.file_updated_date) folded.file_updated_date = row.file_updated_date;
    folded.last = row;
  }

  static std::vector<Delivery> deliveries_of(const Version& version,
                                             const std::set<std::string>& living) {
    std::vector<Delivery> deliveries;
    for (const auto& [destination, folded] : version.by_destination) {
      const TransferRecord& row = folded.last;
      Delivery& delivery = deliveries.emplace_back();
      delivery.destination = destination;
      delivery.status = row.status;
      delivery.claim_alive = row.status == kInProgress && living.contains(row.agent);
      delivery.date = row.date;
      delivery.claimed = folded.claimed;
      delivery.file_updated_date = folded.file_updated_date;
      delivery.attempt = row.attempt;
      delivery.bytes = row.bytes;
      delivery.agent = row.agent;
      delivery.batch_id = row.batch_id;
      if (row.status == kFailed && row.error) delivery.error_kind = row.error->kind;
    }
    return deliveries;
  }

  std::vector<Version> versions_;
  std::vector<std::vector<Delivery>> deliveries_;
};

std::vector<std::string> ids_of(Metastore& store, const FileQuery& query) {
  std::vector<std::string> ids;
  for (const FileRecord& file : Vocabulary::files(store, query)) ids.push_back(file.id);
  return ids;
}

/// One destination that the demand may or may not name.
void check_destination(Metastore& store, const Model& model, const Demand& demand,
                       const std::string& destination) {
  CAPTURE(destination);
  const auto judgement_for = [&](const FileRecord& file, std::span<const Delivery> deliveries)
      -> std::optional<std::pair<Standing, const Delivery*>> {
    std::vector<Judgement> judgements;
    judge(file, deliveries, demand, judgements);
    for (const Judgement& one : judgements) {
      if (one.destination != destination || one.is_due_to_go) continue;
      const Delivery* delivery = find_delivery(deliveries, destination);
      return std::pair(standing_now(one, delivery != nullptr && delivery->claim_alive), delivery);
    }
    return std::nullopt;
  };
  const Totals totals = must(store.totals(destination));
  for (std::size_t i = 0; i < kStandings; ++i) {
    const auto standing = static_cast<Standing>(i);
    CAPTURE(to_string(standing));
    const auto expected = model.ids([&](const FileRecord& file, auto deliveries) {
      const auto judged = judgement_for(file, deliveries);
      return judged && judged->first == standing;
    });
    CHECK(totals[standing].files == expected.size());
    CHECK(ids_of(store, {.standings = {standing}, .destination = destination}) == expected);
  }
  CHECK(ids_of(store, {.destination = destination, .deliverable = true}) ==
        model.ids([&](const FileRecord& file, auto deliveries) {
          const auto judged = judgement_for(file, deliveries);
          return judged && is_deliverable(file, judged->second, demand.max_attempts);
        }));
  CHECK(ids_of(store, {.destination = destination, .leaves_stale_part = true}) ==
        model.ids([&](const FileRecord& file, auto deliveries) {
          const auto judged = judgement_for(file, deliveries);
          return judged && judged->second != nullptr && leaves_stale_part(file, *judged->second);
        }));
}

void check_everything(Metastore& store, const Demand& demand, const std::set<std::string>& living) {
  const Model model(store, living);
  for (const Version& version : model.versions()) {
    const auto found = must(store.find(std::span(&version.file.id, 1))).at(0);
    REQUIRE(found);
    CHECK(to_line(*found) == to_line(version.file));
  }
  CHECK(must(store.is_pending()) == !model
                                         .ids([&](const FileRecord& file, auto deliveries) {
                                           std::vector<Judgement> judgements;
                                           judge(file, deliveries, demand, judgements);
                                           return std::ranges::any_of(judgements,
                                                                      &Judgement::is_open);
                                         })
                                         .empty());
  CHECK(ids_of(store, {.due_to_go = true}) ==
        model.ids([&](const FileRecord& file, auto deliveries) {
          std::vector<Judgement> judgements;
          judge(file, deliveries, demand, judgements);
          return std::ranges::any_of(judgements, &Judgement::is_due_to_go);
        }));
  auto latest = ids_of(store, {.landings = {kLandingArea}, .latest_versions = true});
  auto expected = model.ids([&](const FileRecord& file, auto) { return model.is_latest(file); });
  std::ranges::sort(latest);
  std::ranges::sort(expected);
  CHECK(latest == expected);
  for (const std::string& destination : kDestinations) {
    if (destination.empty()) continue;
    const bool is_known =
        std::ranges::find(demand.destinations, destination) != demand.destinations.end();
    Demand seen = demand;
    if (!is_known) {
      seen = Demand{};
      seen.destinations = {destination};
      seen.max_attempts = demand.max_attempts;
    }
    check_destination(store, model, seen, destination);
  }
  for (const std::string& difference : must(store.upkeep().verify())) FAIL_CHECK(difference);
}

/// Does anything that a watcher, an agent or a stranger may do.
class Chance : public Vocabulary {
 public:
  explicit Chance(unsigned seed) : random_(seed) {}

  void act(Metastore& store) {
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
        return register_some(store);
      case 3:
      case 4:
      case 5:
        return append_any(store);
      case 6: {
        const std::vector<std::string> paths{path()};
        must(store.mark_missing(kLandingArea, paths, "gone"));
        return;
      }
      case 7: {
        const StateChange change{any_id(), static_cast<FileState>(below(4)), "changed"};
        must(store.change_states(std::span(&change, 1)));
        return;
      }
      case 8:
        return claim_some(store);
      case 9:
        if (!agents_.empty())
          agents_.erase(agents_.begin() + static_cast<long>(below(agents_.size())));
        return;
      case 10: {
        const std::vector<std::string> ids{any_id(), any_id()};
        must(store.release(ids, destination()));
        return;
      }
      default:
        if (below(4) == 0) must(store.upkeep().compact(now() - std::chrono::hours(24 * 365)));
    }
  }

  std::set<std::string> living() const {
    std::set<std::string> names;
    for (const auto& agent : agents_) names.insert(agent->name());
    return names;
  }

 private:
  std::size_t below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
  }
  std::string path() { return fmt::format("{}.csv", below(6)); }
  std::string destination() { return kDestinations[below(kDestinations.size())]; }
  std::string any_id() {
    return ids_.empty() || below(20) == 0 ? fmt::format("early-{}", below(3))
                                          : ids_[below(ids_.size())];
  }

  void register_some(Metastore& store) {
    std::vector<FileRecord> files;
    for (std::size_t i = 0; i <= below(3); ++i) {
      FileRecord file = found(path(), std::string(below(4), 'x'), below(3));
      if (below(10) == 0) file.state = FileState::kQuarantined;
      files.push_back(std::move(file));
    }
    if (below(8) == 0) {
      FileRecord foreign = found(path(), "foreign");
      foreign.id = fmt::format("early-{}", below(3));
      if (must(store.import_files({foreign})) == 1) ids_.push_back(foreign.id);
    }
    for (const Registration& one : must(store.register_files(files))) ids_.push_back(one.id);
  }

  void append_any(Metastore& store) {
    std::vector<TransferRecord> rows;
    for (std::size_t i = 0; i <= below(3); ++i) {
      TransferRecord any =
          row(any_id(), static_cast<TransferStatus>(below(3)), static_cast<std::int64_t>(below(5)));
      any.destination = destination();
      any.date = now() + std::chrono::hours(below(5)) - std::chrono::hours(2);
      any.bytes = static_cast<std::int64_t>(below(100));
      any.batch_id = fmt::format("batch-{}", below(4));
      static constexpr std::array kKinds{"io", "abnormal", "abandoned", "odd"};
      if (any.error) any.error->kind = kKinds[below(kKinds.size())];
      if (below(4) == 0) any.agent.clear();
      rows.push_back(std::move(any));
    }
    if (below(3) == 0) {
      must(store.append_unless_held(rows));
    } else {
      must(store.append_transfers(rows));
    }
  }

  void claim_some(Metastore& store) {
    if (agents_.size() < 3) agents_.push_back(must(store.join()));
    ClaimRequest some = request(*agents_[below(agents_.size())]);
    some.destination = kDestinations[1 + below(kDestinations.size() - 1)];
    if (below(2) == 0) some.ids = {any_id(), any_id()};
    some.query.limit = 1 + below(3);
    some.ignore_max_attempts = below(4) == 0;
    must(store.claim(some));
  }

  std::mt19937 random_;
  std::vector<std::string> ids_;
  std::vector<std::unique_ptr<AgentPresence>> agents_;
};

Demand routed() {
  Demand demand;
  demand.destinations = {"warehouse", "lake"};
  demand.max_attempts = 3;
  demand.routing = "even ones to the lake, the others to the warehouse, and 5 nowhere";
  demand.wanted_by = [](std::string_view, const std::string& path) {
    if (path == "5.csv") return std::vector<std::string_view>{};
    return std::vector<std::string_view>{(path[0] - '0') % 2 == 0 ? "lake" : "warehouse"};
  };
  demand.is_taken_away = [](std::string_view, const std::string& path) { return path < "3"; };
  return demand;
}

CONTRACT("whatever happens, each answer is what the rules make of the rows") {
  Demand one;
  one.destinations = {"warehouse"};
  one.max_attempts = 3;
  const std::vector<Demand> demands{Demand{}, one, routed()};
  for (unsigned seed = 0; seed < 6; ++seed) {
    CAPTURE(seed);
    const auto place = testing::backends().at(kind_name)();
    Chance chance(seed);
    std::vector<std::unique_ptr<Metastore>> stores;
    for (const Demand& demand : demands) {
      Options options;
      options.demand = demand;
      stores.push_back(must(place->open(options)));
    }
    for (int step = 0; step < 120; ++step) {
      CAPTURE(step);
      const std::size_t i = static_cast<std::size_t>(step) % stores.size();
      chance.act(*stores[i]);
      if (step % 12 != 0) continue;
      const std::size_t looked_at = static_cast<std::size_t>(step / 12) % stores.size();
      check_everything(*stores[looked_at], demands[looked_at], chance.living());
      if (step % 60 == 0) {
        Options options;
        options.demand = demands[i];
        stores[i] = must(place->open(options));
      }
    }
  }
}

}  // namespace
}  // namespace ferry::metastore

#include "transfer/run/feed.h"

#include <algorithm>

#include "ferry/base/log.h"
#include "transfer/batch/batch_journal.h"

namespace ferry::transfer {
namespace {

/// Files that are looked at in one go without being claimed.
constexpr std::size_t kLookSize = 256;
/// Files of which it is not known whether they can be had, and that are asked after together.
constexpr std::size_t kMostDoubts = 1024;

bool is_named(const metastore::FileRecord& file, const std::string& name) {
  return name == file.id || name == file.path;
}

std::chrono::milliseconds rest_after(std::int64_t attempts, std::chrono::milliseconds first) {
  std::chrono::milliseconds rest = std::min(first, kLongestRest);
  for (std::int64_t i = 1; i < attempts && rest < kLongestRest; ++i) {
    rest = std::min(rest * 2, kLongestRest);
  }
  return rest;
}

/// Until when a failed delivery is left alone; nothing: it may be tried again.
std::optional<Timestamp> rests_until(const metastore::Delivery* delivery,
                                     const TransferOptions& options, Timestamp time) {
  if (delivery == nullptr || delivery->status != metastore::TransferStatus::kFailed) return {};
  const auto rest = rest_after(delivery->attempt, options.rest_after_failure);
  // After the clock was set back, a failure may lie in the future.
  const bool rests = delivery->date <= time && time < delivery->date + rest;
  return rests ? std::optional(delivery->date + rest) : std::nullopt;
}

/// Files that are put in order together: memory is bounded, and what waits behind them is younger.
constexpr std::size_t kOrderedTogether = 10'000;

bool wants_order(const Routes* routes) {
  return routes != nullptr && !std::ranges::all_of(routes->all(), &Route::is_in_usual_order);
}

/// A file's place among others: that of its route, then what the route goes by.
struct Rank {
  std::int64_t by_priority = 0;
  std::size_t by_route = 0;
  std::int64_t by_number = 0;
  std::string by_name = {};

  auto operator<=>(const Rank&) const = default;
};

Rank rank_of(const metastore::FileRecord& file, const Route& route, const Routes& routes) {
  Rank rank{.by_priority = -route.priority};
  // Routes without an order of their own share the last place, by the age of their files.
  rank.by_route = route.order == Order::kAge
                      ? routes.all().size()
                      : static_cast<std::size_t>(&route - routes.all().data());
  switch (route.order) {
    case Order::kAge:
      break;
    case Order::kNewest:
      rank.by_number = -file.updated_date.time_since_epoch().count();
      break;
    case Order::kSize:
      rank.by_number = file.identity ? static_cast<std::int64_t>(file.identity->size) : 0;
      break;
    case Order::kName:
      rank.by_name = file.path;
      break;
  }
  return rank;
}

/// Of a file that an agent held when it died.
std::string_view dead_batch_of(const metastore::Delivery* delivery) {
  const bool is_held = delivery != nullptr &&
                       delivery->status == metastore::TransferStatus::kInProgress &&
                       !delivery->claim_alive;
  return is_held ? delivery->batch_id : std::string_view();
}

}  // namespace

bool is_selected(const metastore::FileRecord& file, const metastore::Delivery* delivery,
                 const TransferOptions& options, Timestamp time) {
  const Selection& selection = options.selection;
  if (!selection.updated.contains(file.updated_date)) return false;
  if (selection.names.empty()) {
    return metastore::is_deliverable(file, delivery, options.max_attempts) &&
           !rests_until(delivery, options, time);
  }
  return std::ranges::any_of(selection.names,
                             [&](const std::string& name) { return is_named(file, name); }) &&
         metastore::is_deliverable(file, delivery, metastore::kAskedFor);
}

/// Of one call of claim.
struct Feed::Claiming {
  const std::string& batch_id;
  const std::string& agent;
  const Room& room;
  Claimed claimed{};
  std::uint64_t bytes = 0;

  bool has_room() const { return !claimed.is_full && claimed.claims.size() < room.files; }

  /// Whether a file of SIZE bytes still goes in.
  bool fits(std::uint64_t size) {
    const bool is_first = room.is_empty && bytes == 0 && claimed.claims.empty();
    if (!is_first && bytes + size > room.bytes) {
      claimed.is_full = true;
      return false;
    }
    bytes += size;
    return true;
  }
};

Feed::Feed(metastore::Metastore& metastore, const Destination& destination,
           const TransferOptions& options)
    : metastore_(metastore),
      destination_(destination),
      options_(options),
      is_named_(!options.selection.names.empty()),
      is_ordered_(!is_named_ && wants_order(options.routes)) {}

void Feed::begin(const LandingRoots& roots) {
  roots_ = &roots;
  saw_dead_batches_ = false;
  rewind({});
}

void Feed::rewind(std::set<std::string> readable) {
  readable_ = std::move(readable);
  known_.clear();
  next_known_ = 0;
  after_.clear();
  is_searched_ = false;
  doubtful_.clear();
  next_due_.reset();
  time_ = now();
  unrouted_ = waiting_ = 0;
  elsewhere_.clear();
}

metastore::FileQuery Feed::query() const {
  metastore::FileQuery query;
  query.names = options_.selection.names;
  query.destination = destination_.name;
  // What is asked for by name is taken whatever its attempts.
  query.deliverable = !is_named_;
  query.updated = options_.selection.updated;
  query.after = after_;
  return query;
}

/// Each name has to be some file's.
Outcome<void> Feed::check_names() {
  if (std::exchange(names_checked_, true) || !is_named_) return {};
  std::set<std::string, std::less<>> unmatched(options_.selection.names.begin(),
                                               options_.selection.names.end());
  metastore::FileQuery query;
  query.names = options_.selection.names;
  auto visited = metastore_.visit(query, [&](const metastore::FileRecord& file, auto) {
    unmatched.erase(file.id);
    unmatched.erase(file.path);
  });
  if (!visited) return fail(visited.error(), Origin::kMetastore);
  if (unmatched.empty()) return {};
  return fail(make_error(ErrorKind::kInvalid,
                         "{}: no registered file has this path or id ('ferry list' shows them)",
                         *unmatched.begin()));
}

/// Whether its route lets it go now.
bool Feed::may_go(const metastore::FileRecord& file) {
  if (options_.routes == nullptr) return true;
  const Route* route = options_.routes->find(file.landing, file.path, destination_.name);
  if (route == nullptr) {
    ++unrouted_;
    return false;
  }
  const auto wait = remaining_wait(*route, file, time_);
  if (wait == wait.zero()) return true;
  ++waiting_;
  next_due_ = std::min(next_due_.value_or(Timestamp::max()), time_ + wait);
  return false;
}

/// Whose agent has died: what it delivered may only have to be listed. Registered on another file
/// system than its area is on: it may be that this is not mounted.
bool Feed::is_doubtful(const metastore::FileRecord& file,
                       const metastore::Delivery* delivery) const {
  if (!dead_batch_of(delivery).empty() && !settled_batches_.contains(dead_batch_of(delivery))) {
    return true;
  }
  const LandingRoot* root = roots_->find(file.landing);
  return root != nullptr && root->is_elsewhere(file);
}

bool Feed::is_of_dead_batch(std::string_view batch_id) {
  if (batch_id.empty() || settled_batches_.contains(batch_id)) return false;
  if (BatchJournal::exists(options_.control_files, batch_id)) {
    saw_dead_batches_ = true;
    return true;
  }
  settled_batches_.emplace(batch_id);
  return false;
}

Feed::Verdict Feed::judge(const metastore::FileRecord& file, const metastore::Delivery* delivery) {
  if (!is_selected(file, delivery, options_, time_)) {
    if (const auto until = rests_until(delivery, options_, time_)) {
      next_due_ = std::min(next_due_.value_or(Timestamp::max()), *until);
    }
    return Verdict::kLeave;
  }
  if (!may_go(file)) return Verdict::kLeave;
  if (!readable_.contains(file.landing)) {
    if (!options_.landings.contains(file.landing)) ++elsewhere_[file.landing];
    return Verdict::kLeave;
  }
  return is_doubtful(file, delivery) ? Verdict::kDoubtful : Verdict::kTake;
}

Outcome<Feed::Found> Feed::look_in(const std::string& landing) {
  if (auto checked = check_names(); !checked) return std::unexpected(checked.error());
  readable_ = {landing};
  metastore::FileQuery page = query();
  page.landings = {landing};
  page.limit = kLookSize;
  Found found;
  for (std::size_t seen = page.limit; !found.any && seen == page.limit;) {
    seen = 0;
    std::string last;
    const auto look_at = [&](const metastore::FileRecord& file,
                             std::span<const metastore::Delivery> deliveries) {
      ++seen;
      last = file.id;
      if (found.any) return;
      const auto* delivery = metastore::find_delivery(deliveries, destination_.name);
      switch (judge(file, delivery)) {
        case Verdict::kTake:
          found.any = true;
          break;
        case Verdict::kDoubtful:
          if (is_of_dead_batch(dead_batch_of(delivery))) break;
          if (roots_->find(landing)->is_unmounted(file)) {
            ++found.unmounted;
          } else {
            found.any = true;
          }
          break;
        case Verdict::kLeave:
          break;
      }
    };
    if (auto visited = metastore_.visit(page, look_at); !visited) {
      return fail(visited.error(), Origin::kMetastore);
    }
    page.after = std::move(last);
  }
  return found;
}

Outcome<void> Feed::visit(std::set<std::string> readable,
                          const std::function<void(const metastore::FileRecord& file)>& take) {
  if (auto checked = check_names(); !checked) return checked;
  rewind(std::move(readable));
  const auto visited = metastore_.visit(
      query(),
      [&](const metastore::FileRecord& file, std::span<const metastore::Delivery> deliveries) {
        const auto* delivery = metastore::find_delivery(deliveries, destination_.name);
        const Verdict verdict = judge(file, delivery);
        const bool is_there =
            verdict != Verdict::kDoubtful || !roots_->find(file.landing)->is_unmounted(file);
        if (verdict != Verdict::kLeave && is_there) take(file);
      });
  if (!visited) return fail(visited.error(), Origin::kMetastore);
  return {};
}

Result<Feed::Claimed> Feed::claim(const std::string& batch_id, const std::string& agent,
                                  const Room& room) {
  Claiming claiming{.batch_id = batch_id, .agent = agent, .room = room};
  if (is_named_ && !is_searched_) {
    if (auto found = find_named(); !found) return found.error();
  }
  while (claiming.has_room() && !is_exhausted()) {
    const bool has_known = next_known_ < known_.size();
    const bool looks_ahead = is_ordered_ && !has_known;
    auto done = looks_ahead ? find_ordered()
                : has_known ? claim_known(claiming)
                            : claim_found(claiming);
    if (!done) return done.error();
    settle_doubts();
  }
  return std::move(claiming.claimed);
}

/// What was asked for is claimed by its id.
Result<void> Feed::find_named() {
  if (auto checked = check_names(); !checked) return checked.error().error;
  is_searched_ = true;
  return metastore_.visit(query(), [&](const metastore::FileRecord& file,
                                       std::span<const metastore::Delivery> deliveries) {
    const auto* delivery = metastore::find_delivery(deliveries, destination_.name);
    if (is_of_dead_batch(dead_batch_of(delivery))) return;
    const LandingRoot* root = roots_->find(file.landing);
    if (root == nullptr || !root->is_unmounted(file)) known_.push_back(file.id);
  });
}

/// The next files, in the order of their routes; what can be had of them is claimed by its id.
Result<void> Feed::find_ordered() {
  known_.clear();
  next_known_ = 0;
  metastore::FileQuery page = query();
  page.limit = kOrderedTogether;
  std::size_t seen = 0;
  std::vector<std::pair<Rank, std::string>> found;
  auto visited = metastore_.visit(page, [&](const metastore::FileRecord& file,
                                            std::span<const metastore::Delivery> deliveries) {
    ++seen;
    after_ = file.id;
    const Route* route = options_.routes->find(file.landing, file.path, destination_.name);
    const auto* delivery = metastore::find_delivery(deliveries, destination_.name);
    if (judge(file, delivery) == Verdict::kLeave || is_of_dead_batch(dead_batch_of(delivery))) {
      return;
    }
    const LandingRoot* root = roots_->find(file.landing);
    if (root != nullptr && root->is_unmounted(file)) return;
    found.emplace_back(rank_of(file, *route, *options_.routes), file.id);
  });
  if (!visited) return visited;
  is_searched_ = seen < page.limit;
  // Files of one rank stay in the order in which they were registered.
  std::ranges::stable_sort(found, {}, &std::pair<Rank, std::string>::first);
  for (auto& [rank, id] : found) known_.push_back(std::move(id));
  return {};
}

Result<void> Feed::claim_known(Claiming& claiming) {
  const std::size_t end =
      std::min(known_.size(), next_known_ + (claiming.room.files - claiming.claimed.claims.size()));
  const std::vector<std::string> ids(known_.begin() + static_cast<std::ptrdiff_t>(next_known_),
                                     known_.begin() + static_cast<std::ptrdiff_t>(end));
  std::size_t next = end;
  metastore::ClaimRequest request{.destination = destination_.name,
                                  .batch_id = claiming.batch_id,
                                  .agent = claiming.agent,
                                  .ids = ids,
                                  .ignore_max_attempts = is_named_};
  request.accept = [&](const metastore::FileRecord& file, const metastore::Delivery* delivery) {
    const std::string_view dead = dead_batch_of(delivery);
    const bool is_new = !dead.empty() && !settled_batches_.contains(dead);
    if (is_new || judge(file, delivery) == Verdict::kLeave) return Answer::kLeave;
    if (claiming.fits(file.identity ? file.identity->size : 0)) return Answer::kTake;
    next = next_known_ + static_cast<std::size_t>(std::ranges::find(ids, file.id) - ids.begin());
    return Answer::kEnough;
  };
  auto claims = metastore_.claim(request);
  if (!claims) return claims.error();
  std::ranges::move(*claims, std::back_inserter(claiming.claimed.claims));
  next_known_ = next;
  return {};
}

Result<void> Feed::claim_found(Claiming& claiming) {
  metastore::ClaimRequest request{.destination = destination_.name,
                                  .batch_id = claiming.batch_id,
                                  .agent = claiming.agent,
                                  .query = query()};
  request.query.limit = claiming.room.files - claiming.claimed.claims.size();
  bool was_enough = false;
  const auto enough = [&] {
    was_enough = true;
    return Answer::kEnough;
  };
  request.accept = [&](const metastore::FileRecord& file, const metastore::Delivery* delivery) {
    const Verdict verdict = judge(file, delivery);
    if (verdict == Verdict::kDoubtful && doubtful_.size() == kMostDoubts) return enough();
    if (verdict == Verdict::kTake && !claiming.fits(file.identity ? file.identity->size : 0)) {
      return enough();
    }
    after_ = file.id;
    if (verdict == Verdict::kDoubtful) {
      doubtful_.push_back({file, std::string(dead_batch_of(delivery))});
    }
    return verdict == Verdict::kTake ? Answer::kTake : Answer::kLeave;
  };
  auto claims = metastore_.claim(request);
  if (!claims) return claims.error();
  is_searched_ = !was_enough && claims->size() < request.query.limit;
  std::ranges::move(*claims, std::back_inserter(claiming.claimed.claims));
  return {};
}

/// Not while others wait for the metastore.
void Feed::settle_doubts() {
  std::uint64_t unmounted = 0;
  for (Doubt& doubt : doubtful_) {
    if (is_of_dead_batch(doubt.batch_id)) continue;
    if (roots_->find(doubt.file.landing)->is_unmounted(doubt.file)) {
      ++unmounted;
    } else {
      known_.push_back(std::move(doubt.file.id));
    }
  }
  doubtful_.clear();
  if (unmounted == 0) return;
  log::warning("landing area left out",
               {{"files", unmounted},
                {"reason", "they are not found, and were on a file system that is not there"}});
}

void Feed::tell_of_left_out() const {
  if (unrouted_ > 0 && is_named_) {
    log::warning("no route leads files that were asked for to this destination",
                 {{"destination", destination_.name}, {"files", unrouted_}});
  }
  if (waiting_ > 0 && is_named_) {
    log::warning("files that were asked for have to wait: min_age or delay of their route",
                 {{"destination", destination_.name}, {"files", waiting_}});
  }
  for (const auto& [landing, files] : elsewhere_) {
    log::warning("files of another landing area left out",
                 {{"landing", landing}, {"files", files}});
  }
}

Outcome<std::vector<metastore::FileRecord>> select(metastore::Metastore& metastore,
                                                   std::string_view destination,
                                                   const TransferOptions& options) {
  Destination to;
  to.name = destination;
  const LandingRoots roots = LandingRoots::open(options.landings);
  const auto names = options.landings | std::views::keys;
  Feed feed(metastore, to, options);
  feed.begin(roots);
  std::vector<metastore::FileRecord> selected;
  const auto visited =
      feed.visit({names.begin(), names.end()},
                 [&](const metastore::FileRecord& file) { selected.push_back(file); });
  if (!visited) return std::unexpected(visited.error());
  feed.tell_of_left_out();
  return selected;
}

}  // namespace ferry::transfer

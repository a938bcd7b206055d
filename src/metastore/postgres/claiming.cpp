// How PostgresMetastore gives files to agents.
//
// A claim holds locks on the files that it looks at, and on all other versions of their paths, and
// reads what it decides on after it has got them. Those that somebody else has locked are passed
// over, as long as there are others.
#include <algorithm>
#include <set>

#include "metastore/postgres/postgres_metastore.h"
#include "metastore/query_rules.h"

namespace ferry::metastore::postgres {
namespace {

constexpr std::size_t kLargestPage = 10'000;

/// Claims files, page by page.
class Claiming {
 public:
  Claiming(Snapshot& snapshot, Changes& changes, const ClaimRequest& request)
      : snapshot_(snapshot), changes_(changes), request_(request) {}

  /// Of the files that have these numbers, in this order.
  Result<void> claim(const std::vector<FileNumber>& numbers) {
    const auto locked = snapshot_.lock(numbers, Wait::kYes);
    if (!locked) return locked.error();
    const std::set<FileNumber> is_locked(locked->begin(), locked->end());
    std::vector<FileNumber> there;
    for (const FileNumber number : numbers) {
      if (is_locked.contains(number)) there.push_back(number);
    }
    return claim_locked(there, Wait::kYes, nullptr);
  }

  /// Of those that SEARCH means.
  Result<void> claim_locked(std::vector<FileNumber> fresh, Wait wait, const FileSearch* search) {
    std::erase_if(fresh, [&](FileNumber number) { return decided_.contains(number); });
    auto files = snapshot_.load(fresh);
    if (!files) return files.error();
    // Who joined before it claimed what we have read is known from here on.
    if (auto looked = snapshot_.look_who_lives(); !looked) return looked;
    if (search != nullptr) files = search->matching(snapshot_, std::move(*files));
    if (!files) return files.error();
    if (auto others = load_others(*files, wait); !others) return others;
    if (auto looked = snapshot_.look_who_lives(); !looked) return looked;
    std::vector<KnownFile*> added;
    for (KnownFile& file : *files) added.push_back(changes_.add(std::move(file)));
    for (KnownFile* file : added) {
      if (is_done()) break;
      decided_.insert(file->file.number);
      if (auto decided = decide(*file); !decided) return decided;
    }
    return {};
  }

  std::vector<Claim>& claims() { return claims_; }
  bool is_done() const { return has_enough_ || claims_.size() == request_.query.limit; }

 private:
  using Answer = ClaimRequest::Answer;
  struct Path {
    std::vector<Version> versions;
    bool is_locked = true;
  };

  PathKey key_of(const KnownFile& file) const {
    const FileRecord record = snapshot_.record(file);
    return {record.landing, record.path};
  }

  /// The other versions of the files' paths, locked.
  Result<void> load_others(const std::vector<KnownFile>& files, Wait wait) {
    std::vector<PathKey> keys;
    std::set<FileNumber> known;
    for (const KnownFile& file : files) {
      keys.push_back(key_of(file));
      known.insert(file.file.number);
    }
    const auto versions = snapshot_.versions(files);
    if (!versions) return versions.error();
    std::vector<FileNumber> others;
    for (const auto& all : *versions) {
      for (const Version& one : all) {
        if (known.insert(one.number).second) others.push_back(one.number);
      }
    }
    const auto locked = snapshot_.lock(others, wait);
    if (!locked) return locked.error();
    auto loaded = snapshot_.load(*locked);
    if (!loaded) return loaded.error();
    for (KnownFile& one : *loaded) changes_.add(std::move(one));
    std::set<FileNumber> missing(others.begin(), others.end());
    for (const FileNumber number : *locked) missing.erase(number);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      Path path{.versions = (*versions)[i]};
      path.is_locked = std::ranges::none_of(
          path.versions, [&](const Version& one) { return missing.contains(one.number); });
      paths_.insert_or_assign(keys[i], std::move(path));
    }
    return {};
  }

  Result<void> decide(KnownFile& file) {
    const Path& path = paths_.at(key_of(file));
    if (!path.is_locked) {
      decided_.erase(file.file.number);
      return {};
    }
    const FileRecord record = snapshot_.record(file);
    const auto deliveries = snapshot_.deliveries(file);
    const std::int64_t max_attempts =
        request_.ignore_max_attempts ? kAskedFor : snapshot_.demand().max_attempts;
    std::optional<FileRecord> latest;
    if (!path.versions.empty() && path.versions.back().number != file.file.number) {
      const KnownFile* newer = changes_.find(path.versions.back().number);
      if (newer == nullptr) return {};
      latest = snapshot_.record(*newer);
    }
    switch (decide_claim(record, deliveries, request_.destination, max_attempts,
                         latest ? &*latest : nullptr, holds_other(path, file))) {
      case ClaimVerdict::kLeave:
        return {};
      case ClaimVerdict::kSupersede:
        return changes_.enter(file, as_superseded(record, now(), latest->id));
      case ClaimVerdict::kClaim:
        break;
    }
    const Delivery* delivery = find_delivery(deliveries, request_.destination);
    const auto answer = request_.accept ? request_.accept(record, delivery) : Answer::kTake;
    has_enough_ = answer == Answer::kEnough;
    if (answer != Answer::kTake) return {};
    Claim claim{.file = record, .attempt = next_attempt(delivery)};
    changes_.enter(&file, in_progress_row(request_, claim, now()));
    claims_.push_back(std::move(claim));
    return {};
  }

  bool holds_other(const Path& path, const KnownFile& file) {
    return std::ranges::any_of(path.versions, [&](const Version& one) {
      if (one.number == file.file.number) return false;
      const KnownFile* other = changes_.find(one.number);
      if (other == nullptr) return true;
      const auto deliveries = snapshot_.deliveries(*other);
      const Delivery* delivery = find_delivery(deliveries, request_.destination);
      return delivery != nullptr && delivery->claim_alive;
    });
  }

  Snapshot& snapshot_;
  Changes& changes_;
  const ClaimRequest& request_;
  std::map<PathKey, Path> paths_;
  std::set<FileNumber> decided_;
  std::vector<Claim> claims_;
  bool has_enough_ = false;
};

/// As many at a time as are wanted; more if what was found was not good for much.
Result<void> claim_by_query(Snapshot& snapshot, const RouteState& route, Claiming& claiming,
                            const ClaimRequest& request, Wait wait) {
  FileSearch search(deliverable(request));
  const auto next = [&](std::size_t limit) -> Result<std::vector<FileNumber>> {
    if (wait == Wait::kNo) return search.unlocked_candidates(snapshot, route, limit);
    auto numbers = search.candidates(snapshot, route, limit);
    if (!numbers) return numbers;
    return snapshot.lock(*numbers, wait);
  };
  std::size_t page = std::min(request.query.limit, kLargestPage);
  while (!claiming.is_done()) {
    const std::size_t before = claiming.claims().size();
    const auto numbers = next(page);
    if (!numbers) return numbers.error();
    if (numbers->empty()) break;
    auto claimed = claiming.claim_locked(*numbers, wait, &search);
    if (!claimed) return claimed;
    const std::size_t claims = claiming.claims().size();
    page = claims > before ? request.query.limit - claims : page * 4;
    page = std::min(page, kLargestPage);
  }
  return {};
}

Result<void> claim_by_ids(Snapshot& snapshot, Claiming& claiming,
                          const std::vector<std::string>& ids) {
  const auto known = snapshot.find(ids);
  if (!known) return known.error();
  std::vector<FileNumber> numbers;
  std::set<FileNumber> seen;
  for (const std::string& id : ids) {
    const auto number = known->find(id);
    if (number != known->end() && seen.insert(number->second).second) {
      numbers.push_back(number->second);
    }
  }
  return claiming.claim(numbers);
}

}  // namespace

Result<std::vector<Claim>> PostgresMetastore::claim(const ClaimRequest& request) {
  const View viewpoint = view_of(request.destination);
  bool is_behind = request.ids.empty() && !viewpoint->is_private;
  auto claims = claim_found(request, viewpoint, is_behind);
  if (is_behind) {
    if (auto done = bring_up_to_date(*viewpoint); !done) return done.error();
    is_behind = false;
    claims = claim_found(request, viewpoint, is_behind);
  }
  return claims;
}

/// IS_BEHIND: whether it matters that the route is up to date; then whether it is not, and nothing
/// has been done.
Result<std::vector<Claim>> PostgresMetastore::claim_found(const ClaimRequest& request,
                                                          const View& viewpoint, bool& is_behind) {
  const bool has_to_be_current = is_behind;
  bool is_untidy = false;
  using Answer = Result<std::vector<Claim>>;
  std::vector<View> views{viewpoint};
  if (view()->fingerprint != viewpoint->fingerprint) views.push_back(view());
  auto claims = change(views, [&](Snapshot& snapshot, Changes& changes) -> Answer {
    is_behind = false;
    // To pass over what agents hold; it is looked at again before anything is decided.
    if (auto looked = snapshot.look_who_lives(); !looked) return looked.error();
    is_untidy = snapshot.liveness().is_untidy();
    if (!snapshot.liveness().is_alive(request.agent)) {
      return make_error(ErrorKind::kBusy, "agent {}: the metastore takes it for dead",
                        request.agent);
    }
    Claiming claiming(snapshot, changes, request);
    if (!request.ids.empty()) {
      auto claimed = claim_by_ids(snapshot, claiming, request.ids);
      if (!claimed) return claimed.error();
      return std::move(claiming.claims());
    }
    const auto route = find_route(snapshot.connection(), *viewpoint);
    if (!route) return route.error();
    is_behind = has_to_be_current && !route->is_current();
    if (is_behind) return make_error(ErrorKind::kBusy, "not up to date");
    for (const Wait wait : {Wait::kNo, Wait::kYes}) {
      auto claimed = claim_by_query(snapshot, *route, claiming, request, wait);
      if (!claimed) return claimed.error();
      // Who has something does not wait for more while others may wait for it.
      if (!claiming.claims().empty()) break;
    }
    return std::move(claiming.claims());
  });
  if (claims && is_untidy) {
    if (auto tidied = tidy_agents(database_); !tidied) return tidied.error();
  }
  return claims;
}

}  // namespace ferry::metastore::postgres

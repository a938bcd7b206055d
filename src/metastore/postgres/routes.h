// Where files stand, as somebody sees it who knows certain destinations.
//
// Every file is judged by the rules when somebody first looks from a viewpoint, and again when it
// changes: by whoever changes it, if that looks from the same viewpoint; else by the next who asks.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "metastore/postgres/snapshot.h"

namespace ferry::metastore::postgres {

/// Files that are judged alike. JUDGEMENT has views of what the class owns.
struct Class {
  std::int64_t id = 0;
  std::string destination;
  std::string error_kind;
  Standing standing = Standing::kPending;
  std::optional<TransferStatus> status;
  bool is_open = false;
  bool is_by_any = false;
  bool is_due_to_go = false;

  using Key = std::tuple<std::string, int, int, std::string, bool, bool, bool>;
  Key key() const;
};

Class class_of(const Judgement& judgement);

/// The judgements of FILE that have a standing, and are not told by delivered_sums.
std::vector<Class> judge(const KnownFile& file, const Viewpoint& viewpoint);

struct Route {
  std::int64_t id = 0;
  std::string fingerprint;
  bool is_complete = false;
};

/// In a writing transaction: keeps others from adding routes until it ends.
Result<std::vector<Route>> hold_routes(Connection& connection);

/// How the route for VIEWPOINT stands, in a transaction of any kind; no id: there is none.
struct RouteState {
  Route route;
  bool has_unjudged = false;
  bool is_current() const { return route.id != 0 && route.is_complete && !has_unjudged; }
};
Result<RouteState> find_route(Connection& connection, const Viewpoint& viewpoint);

Result<std::vector<Class>> classes(Connection& connection, std::int64_t route);

/// Of files in a route: new judgements, in the place of those that it has.
class Rejudgement {
 public:
  /// Asks what has to be known before it is written. FILES are locked, and outlive it.
  static Result<Rejudgement> of(std::span<const KnownFile* const> files, std::int64_t route,
                                const Viewpoint& viewpoint, Connection& connection);
  /// HAVE_STANDINGS: the route may have judgements of the files.
  Result<void> write(Connection& connection, bool have_standings);

 private:
  struct Judged {
    const KnownFile* file;
    Class of;
  };
  using Ids = std::map<Class::Key, std::int64_t>;

  explicit Rejudgement(std::int64_t route) : route_(route) {}
  Result<void> find_ids(Connection& connection);
  Result<void> enter_missing_classes(Connection& connection);
  Result<void> insert_standings(Connection& connection) const;

  std::int64_t route_;
  std::vector<FileNumber> numbers_;
  std::vector<Judged> judged_;
  Ids ids_;
};

/// Takes their standings in all routes from files that are no more.
Result<void> forget_standings(Connection& connection, const std::vector<FileNumber>& numbers);

/// In transactions of its own: makes the route if there is none, and judges all that is unjudged.
Result<void> bring_up_to_date(Database& database, const Viewpoint& viewpoint,
                              const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace ferry::metastore::postgres

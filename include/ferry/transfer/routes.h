// Routes: which destinations want a file, under which name, and what happens to it on the way.
//
// Data flow: the configuration gives Routes; the metastore asks them once for each file version who
// wants it (so that status and the `pending` marker follow them); the agent asks them for the route
// of each file that it selects. Routes are never stored: a changed configuration holds for all that
// is not delivered yet. Pure, immutable, thread-safe.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/acceptance.h"
#include "ferry/base/file.h"
#include "ferry/base/glob.h"
#include "ferry/base/result.h"
#include "ferry/metastore/records.h"
#include "ferry/transfer/name_template.h"
#include "ferry/transfer/transform.h"

namespace ferry::transfer {

/// What becomes of the source once all destinations that want it have it.
enum class AfterDelivery : std::uint8_t { kKeep, kArchive, kDelete };

/// What becomes of a file whose name is taken at the destination by another content. What is there
/// with the very content counts as delivered, unless it is replaced.
enum class IfExists : std::uint8_t {
  kReplace,
  kSkip,     // it is not sent, and counts as done
  kFail,     // it is not sent, and given up
  kVersion,  // it gets a name of its own: see version_name
};
inline constexpr std::array<std::string_view, 4> kIfExistsNames{"replace", "skip", "fail",
                                                                "version"};

/// What of the source a delivered file has beside its content.
enum class Preserve : std::uint8_t {
  kMtime,  // to the second
  kMode,   // rwx for owner, group and others, and nothing else
};

/// Which files of a route go first.
enum class Order : std::uint8_t { kAge, kNewest, kSize, kName };

struct Route {
  std::string name;
  std::vector<Glob> match;                    // one of them has to match; empty: all files
  std::vector<std::string> landings;          // names of landing areas; empty: all
  std::vector<std::string> destinations;      // names
  std::vector<TransformSettings> transforms;  // in this order
  std::optional<NameTemplate> rename;         // without: the file's own path
  AcceptancePolicy acceptance;
  std::chrono::milliseconds delay{0};  // how long a version stands before it goes; see below
  IfExists existing = IfExists::kReplace;
  bool preserves_mtime = false;
  bool preserves_mode = false;
  AfterDelivery after = AfterDelivery::kKeep;
  fs::path archive;  // with kArchive: on the landing area's host
  Order order = Order::kAge;
  std::int64_t priority = 0;  // routes with a higher one go first

  bool is_in_usual_order() const { return order == Order::kAge && priority == 0; }

  /// A file whose landing area is not known (it is empty) may have come from any.
  bool takes(std::string_view landing, const std::string& path) const;
};

enum class Routing : std::uint8_t {
  kFirst,  // the first route that takes the file decides
  kAll,    // every route that takes it; for each destination the first that names it
};

class Routes {
 public:
  Routes(Routing routing, std::vector<Route> routes)
      : routing_(routing), routes_(std::move(routes)) {}

  /// The route by which a file goes to DESTINATION; null: it does not go there.
  const Route* find(std::string_view landing, const std::string& path,
                    std::string_view destination) const;

  /// Names of all destinations that want the file, each once; they live as long as this object.
  std::vector<std::string_view> wanted_by(std::string_view landing, const std::string& path) const;

  /// Whether all destinations that want the file are to get it by ROUTE.
  bool decides_alone(const Route& route, std::string_view landing, const std::string& path) const;

  /// What is to become of the source; if several routes take the file, the most careful answer:
  /// keeping outweighs archiving, which outweighs deleting. Null: keep it.
  const Route* route_after_delivery(std::string_view landing, const std::string& path) const;

  const std::vector<Route>& all() const { return routes_; }

 private:
  template <typename Visitor>
  void for_each_taking(std::string_view landing, const std::string& path, Visitor visit) const;

  Routing routing_;
  std::vector<Route> routes_;
};

/// How long FILE has to wait yet before it goes by ROUTE; zero: it may go. Its last change has to
/// be as old as acceptance.min_age, and its registration as old as delay: a version that is
/// replaced before that never goes. A row without the file's times counts from its own date.
std::chrono::milliseconds remaining_wait(const Route& route, const metastore::FileRecord& file,
                                         Timestamp now);

/// All suffixes of the route's transforms, such as ".csv.gz".
std::string suffix_of(const Route& route);

/// The name that FILE gets below a destination's directory: the route's template, followed by what
/// the transforms add, unless the template ends with that itself. ROUTE may be null.
Result<std::string> remote_name(const Route* route, const metastore::FileRecord& file);

/// The name that version NUMBER of PATH gets beside the first, with the number before its
/// extension, to which SUFFIX belongs: "report.1.csv", or "report.1.csv.gz" with the suffix ".gz".
std::string version_name(std::string_view path, std::uint64_t number, std::string_view suffix);

}  // namespace ferry::transfer

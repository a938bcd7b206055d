// Everything that a user can set. The member initialisers are the defaults.
#pragma once

#include <bitset>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <ranges>
#include <string>
#include <vector>

#include "ferry/base/acceptance.h"
#include "ferry/base/file.h"
#include "ferry/base/log.h"
#include "ferry/http/service.h"
#include "ferry/landing/watch.h"
#include "ferry/metastore/metastore.h"
#include "ferry/sftp/connect.h"
#include "ferry/transfer/agent.h"
#include "ferry/transfer/routes.h"

namespace ferry::app {

/// A number of bytes, written with a unit.
struct Bytes {
  std::uint64_t value = 0;
};

/// A program and its arguments. A program with a '/' in its name is a path; others are looked up in
/// $PATH.
struct CommandWords {
  std::vector<std::string> words;

  bool empty() const { return words.empty(); }
};

/// The same for a program at a server: its name is taken as it is.
struct RemoteCommand {
  std::vector<std::string> words;
};

/// Shell patterns, see Glob, that make sense.
struct Globs : std::vector<std::string> {};

/// Where to listen: see http::Address.
struct ListenAddresses : std::vector<std::string> {};

/// How many threads do a work; 0: as many as there are processors.
struct ThreadCount {
  std::uint64_t value = 0;
};

/// A number that is at least 1.
struct Count {
  std::int64_t value = 1;
};

/// Names of files at a destination, and of control files; absent: the usual ones.
struct FileNames {
  std::optional<transfer::NameTemplate> pattern;
};
struct ControlFileNames {
  std::optional<transfer::NameTemplate> pattern;
};

enum class TransportSetting : std::uint8_t {
  kAuto,  // see sftp::choose_transport
  kLibssh2,
  kOpenSsh,
};

/// A time zone of tzdata(5), such as Europe/Berlin; empty: the host's.
struct TimeZone {
  std::string name;
};

/// The absolute path of a directory, or a URL.
struct MetastoreLocation {
  std::string text;

  bool is_given() const { return !text.empty(); }
  bool is_directory() const { return text.starts_with('/'); }
  /// Empty if it is a URL.
  fs::path directory() const { return is_directory() ? fs::path(text) : fs::path(); }

  bool operator==(const MetastoreLocation&) const = default;
};

struct GeneralSettings {
  MetastoreLocation metastore;
  fs::path state_dir;  // empty: see state_directory.h
  TimeZone timezone;
  transfer::Routing routing = transfer::Routing::kFirst;
  std::chrono::milliseconds lock_timeout = metastore::Options{}.lock_timeout;
};

struct LogSettings {
  log::Level level = log::Level::kInfo;
  log::Format format = log::Format::kText;
};

/// What a landing area or a route takes.
struct AcceptanceSettings {
  EmptyFiles empty = AcceptancePolicy{}.empty;
  std::optional<Bytes> min_size;
  std::optional<Bytes> max_size;
  std::vector<std::string> extensions;
  std::vector<MagicBytes> magic;
  std::chrono::milliseconds min_age = AcceptancePolicy{}.min_age;
  CommandWords validate;
  std::chrono::milliseconds validate_timeout = AcceptancePolicy{}.validate_timeout;
};

/// How to get to a server.
struct ConnectionSettings {
  sftp::Url url;
  std::vector<fs::path> identity;
  std::vector<fs::path> known_hosts;
  bool accept_new_host_key = false;
  bool legacy_algorithms = false;
  bool use_agent = true;
  fs::path password_file;
  fs::path passphrase_file;
  std::string password;    // from the environment; never shown
  std::string passphrase;  // likewise
  TransportSetting transport = TransportSetting::kAuto;
};

struct LandingSettings : AcceptanceSettings {
  std::string name;
  fs::path path;
  ConnectionSettings connection;  // where it lies on a server, instead of PATH

  bool is_remote() const { return !connection.url.host.empty(); }
  Globs ignore;
  std::chrono::milliseconds settle = landing::LandingArea{}.settle;
  fs::path quarantine;  // empty: below the area
  std::chrono::milliseconds unsettled_after = landing::LandingArea{}.unsettled_after;
  // What a command line makes of it: see landing::LandingArea.
  std::optional<landing::AreaParts> only;
  bool moves_aside = true;
};

struct WatchSettings {
  std::chrono::milliseconds rescan_interval = landing::WatchOptions{}.rescan_interval;
  std::chrono::milliseconds poll_interval = landing::WatchOptions{}.poll_interval;
  ThreadCount hash_threads{landing::WatchOptions{}.hash_threads};
};

struct DestinationSettings : ConnectionSettings {
  std::string name;
  std::string control_dir;
  ControlFileNames control_name;
  transfer::ControlFormat control = transfer::ControlFormat::kJson;
  fs::path control_sign;
  transfer::Sidecar sidecar = transfer::Sidecar::kNone;
  std::chrono::milliseconds control_keep{0};                // 0: for ever
  std::chrono::milliseconds part_keep{0};                   // likewise
  std::optional<transfer::BandwidthLimit> bandwidth_limit;  // absent: the one for all
  Count connections{transfer::Destination{}.connections};
};

struct RouteSettings : AcceptanceSettings {
  std::string name;
  Globs match;
  std::vector<std::string> landing;
  std::vector<std::string> to;
  std::vector<std::string> transforms;
  FileNames rename;
  std::chrono::milliseconds delay = transfer::Route{}.delay;
  transfer::IfExists existing = transfer::IfExists::kReplace;
  std::vector<transfer::Preserve> preserve;
  transfer::AfterDelivery after = transfer::AfterDelivery::kKeep;
  fs::path archive;
  transfer::Order order = transfer::Order::kAge;
  std::uint64_t priority = 0;
};

struct TransformSettings {
  std::string name;
  const transfer::TransformType* type = transfer::find_transform_type("command");
  CommandWords command;
  std::chrono::milliseconds time_limit = transfer::TransformSettings{}.time_limit;
  std::uint64_t level = 0;  // 0: the type's own default
  transfer::LineEnding ending = transfer::TransformSettings{}.ending;
  std::string from;
  std::string to;
  std::optional<std::string> suffix;  // absent: the type's own
};

/// Since midnight.
struct TimeOfDay {
  std::chrono::minutes since_midnight{0};
};

/// Indexed by std::chrono::weekday::c_encoding: 0 is Sunday.
struct Weekdays {
  std::bitset<7> days = std::bitset<7>().set();
};

/// Files that should land every day.
struct ExpectSettings {
  std::string name;
  std::vector<std::string> landing;  // names; empty: any
  Globs match;                       // empty: any
  TimeOfDay by;
  TimeZone timezone;  // whose clocks and days; without one of its own: the configuration's
  Weekdays days;
  Count count{1};
  Bytes min_size{0};
};

enum class EventKind : std::uint8_t { kFailed, kGivenUp, kQuarantined, kLate, kRecovered, kBatch };

/// Who is told of what.
struct NotifySettings {
  std::string name;
  std::vector<EventKind> on{EventKind::kFailed, EventKind::kGivenUp, EventKind::kQuarantined,
                            EventKind::kLate, EventKind::kRecovered};
  CommandWords command;
  std::chrono::milliseconds interval = std::chrono::minutes(1);
  std::chrono::milliseconds time_limit = std::chrono::minutes(1);
};

struct TransferSettings {
  Count max_attempts{metastore::Demand{}.max_attempts};
  bool fsync = true;
  transfer::Verify verify = transfer::TransferOptions{}.verify;
  RemoteCommand verify_command{transfer::TransferOptions{}.verify_command};
  transfer::BatchMode batch = transfer::TransferOptions{}.batch;
  // Absent: no bound for a single run, TransferPlan's own for one that follows.
  std::optional<Count> batch_files;
  std::optional<Bytes> batch_bytes;
  std::optional<std::chrono::milliseconds> batch_time;
  transfer::BandwidthLimit bandwidth_limit;
  Bytes window{sftp::LineLimits{}.window_bytes};
  Count files_in_flight{static_cast<std::int64_t>(transfer::TransferOptions{}.files_in_flight)};
  std::chrono::milliseconds stall_timeout = sftp::LineLimits{}.stall_timeout;
  Count retries{transfer::Retries{}.limit};
  std::chrono::milliseconds retry_delay = transfer::Retries{}.first_delay;
  std::chrono::milliseconds retry_after = std::chrono::seconds(30);
  std::chrono::milliseconds connect_timeout = sftp::ConnectOptions{}.timeout;
  std::chrono::milliseconds deadline{0};  // of a whole run; 0: none
  fs::path spool;                         // empty: below the metastore
  Bytes spool_limit{transfer::TransferOptions{}.spool_limit};
};

struct ServeSettings {
  ListenAddresses listen{std::vector<std::string>{"127.0.0.1:8022"}};
  fs::path tokens;  // empty: in the metastore's directory
  fs::path tls_certificate;
  fs::path tls_key;
  Bytes max_upload{http::ServiceOptions{}.max_upload};
  std::chrono::milliseconds resume_within = http::ServiceOptions{}.resume_within;
  Count max_connections{static_cast<std::int64_t>(http::ServiceOptions{}.max_connections)};
  Count max_requests{static_cast<std::int64_t>(http::ServiceOptions{}.max_requests)};
};

struct Settings {
  GeneralSettings general;
  LogSettings log;
  WatchSettings watch;
  TransferSettings transfer;
  ServeSettings serve;
  std::vector<LandingSettings> landings;
  std::vector<DestinationSettings> destinations;
  std::vector<RouteSettings> routes;  // in the order of the file
  std::vector<TransformSettings> transforms;
  std::vector<ExpectSettings> expected;
  std::vector<NotifySettings> notified;
  /// How many landing areas the configuration file has, whichever --landing selects.
  std::size_t configured_landings = 0;
  /// The destinations of the configuration file, whichever --to selects.
  std::vector<std::string> configured_destinations;
};

/// The landing areas of SETTINGS, which must outlive the view, that lie on this host.
inline auto local_landings(const Settings& settings) {
  return settings.landings | std::views::filter(std::not_fn(&LandingSettings::is_remote));
}

}  // namespace ferry::app

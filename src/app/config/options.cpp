#include "app/config/options.h"

#include <algorithm>
#include <array>
#include <deque>
#include <iterator>

#include "app/config/option_values.h"

namespace ferry::app {
namespace {

GeneralSettings& settings_in(const Scope& scope, const GeneralSettings*) {
  return scope.settings->general;
}
LogSettings& settings_in(const Scope& scope, const LogSettings*) {
  return scope.settings->log;
}
WatchSettings& settings_in(const Scope& scope, const WatchSettings*) {
  return scope.settings->watch;
}
TransferSettings& settings_in(const Scope& scope, const TransferSettings*) {
  return scope.settings->transfer;
}
ServeSettings& settings_in(const Scope& scope, const ServeSettings*) {
  return scope.settings->serve;
}
LandingSettings& settings_in(const Scope& scope, const LandingSettings*) {
  return *scope.landing;
}
/// Of the route, where the scope has one.
AcceptanceSettings& settings_in(const Scope& scope, const AcceptanceSettings*) {
  if (scope.route != nullptr) return *scope.route;
  return *scope.landing;
}
DestinationSettings& settings_in(const Scope& scope, const DestinationSettings*) {
  return *scope.destination;
}
RouteSettings& settings_in(const Scope& scope, const RouteSettings*) {
  return *scope.route;
}
TransformSettings& settings_in(const Scope& scope, const TransformSettings*) {
  return *scope.transform;
}
ExpectSettings& settings_in(const Scope& scope, const ExpectSettings*) {
  return *scope.expect;
}
NotifySettings& settings_in(const Scope& scope, const NotifySettings*) {
  return *scope.notify;
}

ConnectionSettings& settings_in(const Scope& scope, const ConnectionSettings*) {
  if (scope.destination != nullptr) return *scope.destination;
  return scope.landing->connection;
}

template <typename Class, typename T>
Class class_of(T Class::*);
template <typename Class, typename T>
T type_of(T Class::*);

template <auto kMember>
using ClassOf = decltype(class_of(kMember));
template <auto kMember>
using TypeOf = decltype(type_of(kMember));

template <auto kMember, bool kIsPositive>
Result<void> set(const Scope& scope, const Value& value) {
  const ClassOf<kMember>* tag = nullptr;
  auto read = Codec<TypeOf<kMember>>::read(value, scope.base);
  if (!read) return read.error();
  if constexpr (kIsPositive) {
    if (read->count() == 0) return make_error(ErrorKind::kInvalid, "must be more than 0");
  }
  settings_in(scope, tag).*kMember = std::move(*read);
  return {};
}

template <auto kMember>
Value get(const Scope& scope) {
  const ClassOf<kMember>* tag = nullptr;
  return Codec<TypeOf<kMember>>::write(settings_in(scope, tag).*kMember);
}

struct Traits {
  bool repeatable = false;
  bool selects = false;
  std::string_view key_help = "";
};

template <auto kMember, bool kIsPositive = false>
Option option(Section section, std::string_view key, std::string_view flag,
              std::string_view metavar, std::string_view help, unsigned commands,
              Traits traits = {}) {
  using Values = Codec<TypeOf<kMember>>;
  return {section,
          key,
          flag,
          metavar,
          help,
          commands,
          &set<kMember, kIsPositive>,
          &get<kMember>,
          traits.repeatable,
          traits.selects,
          traits.key_help,
          Values::choices(),
          Values::kType,
          false};
}

using General = GeneralSettings;
using Log = LogSettings;
using Landing = LandingSettings;
using Acceptance = AcceptanceSettings;
using Watch = WatchSettings;
using Dest = DestinationSettings;
using Transfer = TransferSettings;
using Serve = ServeSettings;
using Route = RouteSettings;
using Transform = TransformSettings;
using Expect = ExpectSettings;
using Notify = NotifySettings;

constexpr unsigned kWriters = kWatchBit | kUploadBit | kTransferBit | kImportBit | kQuarantineBit |
                              kRetryBit | kResendBit | kCompactBit | kMetastoreBit | kDoctorBit |
                              kServeBit | kPushBit;
constexpr unsigned kFlows = kTransferBit | kServeBit | kConfigBit | kPushBit;
constexpr unsigned kDialers = kFlows | kVerifyBit | kDoctorBit;
constexpr unsigned kFinders = kWatchBit | kServeBit | kConfigBit | kPushBit;
constexpr unsigned kJudges = kFinders | kUploadBit;
constexpr unsigned kTellers = kFlows | kVerifyBit | kListBit;
constexpr unsigned kFileOnly = 0;
constexpr bool kPositive = true;  // a time: 0 would be none at all, and no 'never'
constexpr Traits kRepeatable{.repeatable = true};

constexpr Traits selects(std::string_view key_help) {
  return {.repeatable = true, .selects = true, .key_help = key_help};
}

// clang-format off
std::vector<Option> make_options() {
  using enum Section;
  return {
    option<&General::metastore>(kGeneral, "metastore", "metastore", "DIR",
        "where the two tables live (FERRY_METASTORE)", kEveryCommand),
    option<&General::state_dir>(kGeneral, "state_dir", "state-dir", "DIR",
        "with a metastore in a database: where this host keeps what is its own, such as journals and staged uploads",
        kWatchBit | kUploadBit | kServeBit | kTokenBit | kFlows | kVerifyBit | kOtherBit),
    option<&General::lock_timeout>(kGeneral, "lock_timeout", "lock-timeout", "TIME",
        "how long to wait for other writers of the metastore", kWriters | kConfigBit),
    option<&General::timezone>(kGeneral, "timezone", "timezone", "ZONE",
        "what days and times without an offset mean, such as Europe/Berlin; without: the host's",
        kTellers | kOtherBit),
    option<&General::routing>(kGeneral, "routing", "", "MODE",
        "first: the first route that takes a file decides; all: every route that takes it", kFileOnly),
    option<&Log::level>(kLog, "level", "log-level", "LEVEL",
        "log what is at least as serious: debug, info, warning, error or off", kEveryCommand),
    option<&Log::format>(kLog, "format", "log-format", "FORMAT",
        "how log lines look: text, or json (an object a line)", kEveryCommand),
    option<&Landing::path>(kLanding, "path", "landing", "DIR",
        "a landing area: a directory, an sftp:// URL, or the name of a configured one",
        kWatchBit | kUploadBit | kFlows | kVerifyBit | kQuarantineBit | kDoctorBit | kServeBit |
            kListBit,
        selects("the directory")),
    option<&Landing::ignore>(kLanding, "ignore", "ignore", "GLOB",
        "never register files whose name or relative path matches, such as '*.bak'", kJudges, kRepeatable),
    option<&Landing::settle>(kLanding, "settle", "settle", "TIME",
        "how long a file must rest if the kernel cannot tell who writes it", kFinders),
    option<&Landing::unsettled_after>(kLanding, "unsettled_after", "unsettled-after", "TIME",
        "warn about a file that is still being written after this long", kFinders),
    option<&Landing::quarantine>(kLanding, "quarantine", "quarantine", "DIR",
        "where abnormal files are moved to, on the same file system; else .quarantine in the area",
        kFinders | kTransferBit | kQuarantineBit | kServeBit),
    option<&Acceptance::empty>(kLanding, "empty", "empty", "WHAT",
        "what to do with empty files: deliver or quarantine", kJudges),
    option<&Acceptance::min_size>(kLanding, "min_size", "min-size", "SIZE",
        "quarantine smaller files, but for empty ones", kJudges),
    option<&Acceptance::max_size>(kLanding, "max_size", "max-size", "SIZE",
        "quarantine larger files", kJudges),
    option<&Acceptance::extensions>(kLanding, "extensions", "extension", "EXT",
        "quarantine files whose names do not end with a dot and one of these, such as csv",
        kJudges, kRepeatable),
    option<&Acceptance::magic>(kLanding, "magic", "magic", "HEX",
        "quarantine files that do not begin with one of these bytes, such as 504b0304",
        kJudges, kRepeatable),
    option<&Acceptance::min_age>(kLanding, "min_age", "min-age", "TIME",
        "register files only when they are this old", kFinders),
    option<&Acceptance::validate>(kLanding, "validate", "", "COMMAND",
        "quarantine files that this program, given as a list with its arguments, refuses: it reads "
        "the file from its standard input and ends with 0 to accept it", kFileOnly),
    option<&Acceptance::validate_timeout, kPositive>(kLanding, "validate_timeout", "validate-timeout", "TIME",
        "refuse the file when the validating command takes longer", kJudges),
    option<&Watch::rescan_interval, kPositive>(kWatch, "rescan_interval", "rescan-interval", "TIME",
        "how often to compare the landing areas with the registry", kFinders),
    option<&Watch::poll_interval, kPositive>(kWatch, "poll_interval", "poll-interval", "TIME",
        "the same on file systems without events (NFS, SMB, FUSE), and on servers", kFinders),
    option<&Watch::hash_threads>(kWatch, "hash_threads", "hash-threads", "N",
        "threads that read and hash files; 0: one per processor, at most 8", kFinders),
    option<&Dest::url>(kDestination, "url", "to", "URL|NAME",
        "sftp://user@host:port/dir, or the name of a configured destination", kDialers,
        selects("the server and the directory to deliver to")),
    option<&Dest::identity>(kDestination, "identity", "identity", "FILE",
        "private key to log in with", kDialers, kRepeatable),
    option<&Dest::known_hosts>(kDestination, "known_hosts", "known-hosts", "FILE",
        "host keys to trust, instead of ~/.ssh/known_hosts and the system's", kDialers, kRepeatable),
    option<&Dest::accept_new_host_key>(kDestination, "accept_new_host_key", "accept-new-host-key", "",
        "add the key of a host that is not known yet; a changed key is always refused", kDialers),
    option<&Dest::legacy_algorithms>(kDestination, "legacy_algorithms", "legacy-algorithms", "",
        "propose outdated algorithms too (SHA-1 in signatures, key exchange and MACs; CBC ciphers)",
        kDialers),
    option<&Dest::use_agent>(kDestination, "use_agent", "no-agent", "",
        "do not ask the agent at SSH_AUTH_SOCK for keys", kDialers),
    option<&Dest::password_file>(kDestination, "password_file", "password-file", "FILE",
        "read the password here (or set FERRY_PASSWORD)", kDialers),
    option<&Dest::passphrase_file>(kDestination, "passphrase_file", "passphrase-file", "FILE",
        "read the private key's passphrase here (or set FERRY_PASSPHRASE)", kDialers),
    option<&Dest::control_dir>(kDestination, "control_dir", "control-dir", "DIR",
        "remote directory of the control files, instead of the destination's", kDialers),
    option<&Dest::control_name>(kDestination, "control_name", "", "TEMPLATE",
        "name of the control files, made from {batch_id}, {destination} and {date:FORMAT}", kFileOnly),
    option<&Dest::control>(kDestination, "control", "", "FORMAT",
        "what the list of a batch's files is pushed as: json, sha256sums, or none", kFileOnly),
    option<&Dest::control_sign>(kDestination, "control_sign", "", "FILE",
        "key to sign control files with, as ssh-keygen does: NAME.sig is pushed before them", kFileOnly),
    option<&Dest::control_keep>(kDestination, "control_keep", "", "TIME",
        "remove control files, and their signatures, from the destination that are older than this; 0s: never",
        kFileOnly),
    option<&Dest::part_keep>(kDestination, "part_keep", "", "TIME",
        "remove part files that nobody has written to for this long, at least 1d, from below the destination's "
        "directory; 0s: never", kFileOnly),
    option<&Dest::sidecar>(kDestination, "sidecar", "", "WHAT",
        "what is pushed beside each file: sha256 (NAME.sha256), done (NAME.done), or none", kFileOnly),
    option<&Dest::bandwidth_limit>(kDestination, "bandwidth_limit", "", "LIMIT",
        "bytes a second to this destination, instead of the limit for all; off: none", kFileOnly),
    option<&Dest::connections>(kDestination, "connections", "connections", "N",
        "open at most this many connections", kFlows),
    option<&Dest::transport>(kDestination, "transport", "transport", "NAME",
        "what speaks SSH: libssh2, openssh (the program ssh, with its configuration), or auto: libssh2, "
        "unless the keys or ssh_config need the other",
        kDialers),
    option<&Route::match>(kRoute, "match", "", "GLOB",
        "take files of this name or relative path; without: all", kFileOnly, kRepeatable),
    option<&Route::landing>(kRoute, "landing", "", "NAME",
        "take files of these landing areas only", kFileOnly, kRepeatable),
    option<&Route::to>(kRoute, "to", "", "NAME",
        "the destinations that want the files", kFileOnly, kRepeatable),
    option<&Acceptance::empty>(kRoute, "empty", "", "WHAT",
        "what to do with empty files: deliver them, or quarantine what no other route delivers", kFileOnly),
    option<&Acceptance::min_size>(kRoute, "min_size", "", "SIZE",
        "do not deliver smaller files, but for empty ones", kFileOnly),
    option<&Acceptance::max_size>(kRoute, "max_size", "", "SIZE",
        "do not deliver larger files", kFileOnly),
    option<&Acceptance::extensions>(kRoute, "extensions", "", "EXT",
        "do not deliver files whose names do not end with a dot and one of these, such as csv",
        kFileOnly, kRepeatable),
    option<&Acceptance::magic>(kRoute, "magic", "", "HEX",
        "do not deliver files that do not begin with one of these bytes, such as 504b0304",
        kFileOnly, kRepeatable),
    option<&Acceptance::min_age>(kRoute, "min_age", "", "TIME",
        "deliver files only when their last change is this old", kFileOnly),
    option<&Route::delay>(kRoute, "delay", "", "TIME",
        "deliver files only when they have been registered for this long: what is replaced before "
        "that is not delivered", kFileOnly),
    option<&Acceptance::validate>(kRoute, "validate", "", "COMMAND",
        "do not deliver files that this program, given as a list with its arguments, refuses: it reads "
        "the file from its standard input and ends with 0 to accept it", kFileOnly),
    option<&Acceptance::validate_timeout, kPositive>(kRoute, "validate_timeout", "", "TIME",
        "refuse the file when the validating command takes longer", kFileOnly),
    option<&Route::transforms>(kRoute, "transforms", "", "NAME",
        "what is done to the files on the way, in this order: [transform.NAME], gzip, zstd or line-endings",
        kFileOnly, kRepeatable),
    option<&Route::rename>(kRoute, "rename", "", "TEMPLATE",
        "the name at the destination, made from {path}, {dir}, {name}, {stem}, {ext}, {landing}, {id}, "
        "{date:FORMAT} and {mtime:FORMAT}", kFileOnly),
    option<&Route::existing>(kRoute, "existing", "", "WHAT",
        "what becomes of a file if the destination has another one of its name: replace that, skip it, "
        "fail, or version (give it a name of its own, such as report.1.csv)", kFileOnly),
    option<&Route::preserve>(kRoute, "preserve", "", "WHAT",
        "what else of a source the delivered file gets: mtime (its last change) and mode (its permissions, "
        "without setuid, setgid and sticky bits)", kFileOnly, kRepeatable),
    option<&Route::after>(kRoute, "after", "", "WHAT",
        "what becomes of a source that all destinations have: keep, archive or delete", kFileOnly),
    option<&Route::archive>(kRoute, "archive", "", "DIR",
        "where after = \"archive\" moves sources: a directory of the host that the landing area is on",
        kFileOnly),
    option<&Route::order>(kRoute, "order", "", "WHICH",
        "which of its files go first: age (those that were registered first), newest, size (the smallest) "
        "or name", kFileOnly),
    option<&Route::priority>(kRoute, "priority", "", "N",
        "files of routes with a higher priority go first", kFileOnly),
    option<&Transform::type>(kTransform, "type", "", "TYPE",
        "command, gzip, zstd, line-endings or charset; without: what the transform is called, else "
        "command", kFileOnly),
    option<&Transform::command>(kTransform, "command", "", "WORD",
        "program and arguments of a filter from stdin to stdout; FERRY_PATH and FERRY_ID tell it which "
        "file it is; exit status 75: to be tried again", kFileOnly, kRepeatable),
    option<&Transform::time_limit, kPositive>(kTransform, "time_limit", "", "TIME",
        "for a command and one file", kFileOnly),
    option<&Transform::level>(kTransform, "level", "", "N",
        "for gzip, 1 to 9, and zstd, 1 to 19; 0: their own default", kFileOnly),
    option<&Transform::ending>(kTransform, "ending", "", "ENDING",
        "for line-endings: lf or crlf", kFileOnly),
    option<&Transform::from>(kTransform, "from", "", "CHARSET",
        "for charset: what the files have, such as ISO-8859-15 (iconv -l lists them)", kFileOnly),
    option<&Transform::to>(kTransform, "to", "", "CHARSET",
        "for charset: what the destination wants, such as UTF-8", kFileOnly),
    option<&Transform::suffix>(kTransform, "suffix", "", "TEXT",
        "what the name gets at its end; without: .gz, .zst, or nothing", kFileOnly),
    option<&Expect::landing>(kExpect, "landing", "", "NAME",
        "in which landing areas the files land; without: in any", kFileOnly, kRepeatable),
    option<&Expect::match>(kExpect, "match", "", "GLOB",
        "what their names or relative paths are like; without: anything", kFileOnly, kRepeatable),
    option<&Expect::by>(kExpect, "by", "", "HH:MM",
        "the time of day by which they have to be at their destinations", kFileOnly),
    option<&Expect::timezone>(kExpect, "timezone", "", "ZONE",
        "whose clocks and days these are; without: the configuration's timezone", kFileOnly),
    option<&Expect::days>(kExpect, "days", "", "DAYS",
        "on which days they come, such as mon-fri or sat,sun", kFileOnly),
    option<&Expect::count>(kExpect, "count", "", "N", "how many there are in a day", kFileOnly),
    option<&Expect::min_size>(kExpect, "min_size", "", "SIZE", "smaller files do not count", kFileOnly),
    option<&Notify::on>(kNotify, "on", "", "EVENT",
        "what to tell of: failed, given_up, quarantined, late, recovered and batch", kFileOnly, kRepeatable),
    option<&Notify::command>(kNotify, "command", "", "WORD",
        "the program and its arguments, run without a shell, that gets the message on its standard input",
        kFileOnly, kRepeatable),
    option<&Notify::interval>(kNotify, "interval", "", "TIME",
        "how long one message waits after the one before it: what happens meanwhile comes together", kFileOnly),
    option<&Notify::time_limit, kPositive>(kNotify, "time_limit", "", "TIME",
        "how long the program may run", kFileOnly),
    option<&Transfer::max_attempts>(kTransfer, "max_attempts", "max-attempts", "N",
        "leave a file alone after it failed this often", kFlows),
    option<&Transfer::fsync>(kTransfer, "fsync", "no-fsync", "",
        "do not ask the server to put files on stable storage", kFlows),
    option<&Transfer::verify>(kTransfer, "verify", "verify", "HOW",
        "before the final name is given: none, size, readback (of the whole file), or remote-command",
        kFlows),
    option<&Transfer::verify_command>(kTransfer, "verify_command", "verify-command", "WORD",
        "for verify remote-command: program and arguments that print the SHA-256 of the files whose "
        "paths are appended; needs an account with a shell", kFlows, kRepeatable),
    option<&Transfer::batch>(kTransfer, "batch", "batch", "MODE",
        "independent, or all-or-nothing: one failure undoes what the run delivered", kFlows),
    option<&Transfer::batch_files>(kTransfer, "batch_files", "batch-files", "N",
        "the most files of a batch, which has one control file; without: no bound, or 10,000 with "
        "--follow", kFlows),
    option<&Transfer::batch_bytes>(kTransfer, "batch_bytes", "batch-bytes", "SIZE",
        "the most bytes of a batch, unless it is one larger file; without: no bound, or 16GiB with "
        "--follow", kFlows),
    option<&Transfer::batch_time>(kTransfer, "batch_time", "batch-time", "TIME",
        "after this long what is delivered is listed, and what is on its way goes on in the next "
        "batch; without: no bound, or 10m with --follow", kFlows),
    option<&Transfer::bandwidth_limit>(kTransfer, "bandwidth_limit", "bandwidth-limit", "LIMIT",
        "bytes a second over all connections, such as 10M or '08:00-18:00=10M'", kFlows),
    option<&Transfer::window>(kTransfer, "window", "window", "SIZE",
        "the most bytes on the way and not yet acknowledged, per connection; if the round trip is "
        "short, less is used", kDialers),
    option<&Transfer::files_in_flight>(kTransfer, "files_in_flight", "files-in-flight", "N",
        "files on the way at once, per connection", kFlows),
    option<&Transfer::stall_timeout, kPositive>(kTransfer, "stall_timeout", "stall-timeout", "TIME",
        "give a connection up after this long without progress", kDialers),
    option<&Transfer::retries>(kTransfer, "retries", "retries", "N",
        "retry what may pass this often within a run", kFlows),
    option<&Transfer::retry_delay>(kTransfer, "retry_delay", "retry-delay", "TIME",
        "wait about this long before the first retry, and twice as long before each next", kFlows),
    option<&Transfer::retry_after>(kTransfer, "retry_after", "retry-after", "TIME",
        "with --follow: leave a failed file alone this long, and twice as long after each failure",
        kFlows),
    option<&Transfer::connect_timeout, kPositive>(kTransfer, "connect_timeout", "connect-timeout", "TIME",
        "for each step of connecting", kDialers),
    option<&Transfer::deadline>(kTransfer, "deadline", "deadline", "TIME",
        "end the run after this long; what is not delivered stays pending; 0s: never", kFlows),
    option<&Transfer::spool>(kTransfer, "spool", "spool", "DIR",
        "where transformed files wait to be sent, instead of the metastore's directory", kFlows),
    option<&Transfer::spool_limit>(kTransfer, "spool_limit", "spool-limit", "SIZE",
        "the most that may wait there", kFlows),
    option<&Serve::listen>(kServe, "listen", "listen", "ADDRESS",
        "IP addresses with ports, or unix:/PATH, to listen on instead of 127.0.0.1:8022; tokens are "
        "needed if others can connect to one",
        kServeBit | kConfigBit, kRepeatable),
    option<&Serve::tokens>(kServe, "tokens", "tokens", "FILE",
        "who may ask the service for what, instead of tokens.jsonl in the metastore's directory",
        kServeBit | kTokenBit | kConfigBit),
    option<&Serve::tls_certificate>(kServe, "tls_certificate", "tls-certificate", "FILE",
        "speak TLS with this certificate (PEM, with those that lead to it)", kServeBit | kConfigBit),
    option<&Serve::tls_key>(kServe, "tls_key", "tls-key", "FILE",
        "the certificate's private key (PEM, without a passphrase)", kServeBit | kConfigBit),
    option<&Serve::max_upload>(kServe, "max_upload", "max-upload", "SIZE",
        "refuse larger uploads", kServeBit | kConfigBit),
    option<&Serve::resume_within>(kServe, "resume_within", "resume-within", "TIME",
        "keep what came of an interrupted upload for so long", kServeBit | kConfigBit),
    option<&Serve::max_connections>(kServe, "max_connections", "max-connections", "N",
        "serve at most this many connections at once", kServeBit | kConfigBit),
    option<&Serve::max_requests>(kServe, "max_requests", "max-requests", "N",
        "answer at most this many requests a second of one token", kServeBit | kConfigBit),
  };
}
// clang-format on

/// A row that says how to reach a destination, for a landing area on a server.
Option for_landing_area(Option option) {
  static std::deque<std::string> flags;  // the rows keep views of them
  option.section = Section::kLanding;
  option.remote_only = true;
  if (option.selects) {
    // On the command line --landing takes URLs.
    option.selects = option.repeatable = false;
    option.metavar = "URL";
    option.help = "sftp://user@host:port/dir: a landing area on a server, instead of 'path'";
    option.key_help = {};
    option.flag = {};
    option.commands = 0;
    return option;
  }
  const bool negative = option.flag.starts_with("no-");
  const std::string_view word = option.flag.substr(negative ? 3 : 0);
  option.flag = flags.emplace_back(fmt::format("{}landing-{}", negative ? "no-" : "", word));
  option.commands |= kWatchBit | kUploadBit | kQuarantineBit | kServeBit;
  option.commands &= ~kPushBit;  // it takes files of this host
  option.help = option.help.substr(0, option.help.find(" (or set "));  // that is for destinations
  return option;
}

bool is_of_connection(const Option& option) {
  static constexpr std::array<std::string_view, 9> kKeys{"url",
                                                         "identity",
                                                         "known_hosts",
                                                         "accept_new_host_key",
                                                         "legacy_algorithms",
                                                         "use_agent",
                                                         "password_file",
                                                         "passphrase_file",
                                                         "transport"};
  return option.section == Section::kDestination &&
         std::ranges::find(kKeys, option.key) != kKeys.end();
}

}  // namespace

std::string_view to_string(Section section) {
  static constexpr std::array<std::string_view, 11> kNames{
      "",          "log",    "landing", "watch",    "destination", "route",
      "transform", "expect", "notify",  "transfer", "serve"};
  return kNames.at(static_cast<std::size_t>(section));
}

bool is_named(Section section) {
  using enum Section;
  return section == kLanding || section == kDestination || section == kRoute ||
         section == kTransform || section == kExpect || section == kNotify;
}

std::string_view required_key(Section section) {
  switch (section) {
    case Section::kDestination:
      return "url";
    case Section::kRoute:
      return "to";
    case Section::kExpect:
      return "by";
    case Section::kNotify:
      return "command";
    default:
      return "";
  }
}

std::span<const Option> options() {
  static const std::vector<Option> table = [] {
    std::vector<Option> all = make_options();
    std::vector<Option> more;
    for (const Option& option : all) {
      if (is_of_connection(option)) more.push_back(for_landing_area(option));
    }
    std::ranges::move(more, std::back_inserter(all));
    return all;
  }();
  return table;
}

Value default_value(const Option& option) {
  Settings settings;
  LandingSettings landing;
  DestinationSettings destination;
  RouteSettings route;
  TransformSettings transform;
  ExpectSettings expect;
  NotifySettings notify;
  return option.get({&settings, &landing, &destination, {}, &route, &transform, &expect, &notify});
}

std::string default_text(const Option& option) {
  const Value value = default_value(option);
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  return "";
}

}  // namespace ferry::app

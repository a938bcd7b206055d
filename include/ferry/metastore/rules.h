// The rules: where a file stands with a destination, what may be delivered, which version replaces
// which, what is settled. metastore/README.md tells them in words.
//
// Pure functions on records. Every store obeys them, whatever it keeps to answer sooner.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/metastore/records.h"

namespace ferry::metastore {

/// Where a file stands with one destination: the last row that transfer_logs has for the pair.
struct Delivery {
  std::string_view destination;
  TransferStatus status = TransferStatus::kInProgress;
  bool claim_alive = false;  // kInProgress only: the agent still runs
  Timestamp date;
  Timestamp claimed;  // when this attempt began, as far as the logs say so; else the same as date
  /// The updated_date of the file's row that was claimed, if the logs say so.
  std::optional<Timestamp> file_updated_date;
  std::int64_t attempt = 0;
  std::int64_t bytes = 0;        // as sent
  std::int64_t duration_ms = 0;  // of the last attempt, once it ended
  std::string_view agent;
  std::string_view batch_id;
  std::string_view error_kind;     // kFailed only
  std::string_view error_message;  // kFailed only
};

/// What to call a file's standing with a destination, in this order of precedence.
enum class Standing : std::uint8_t {
  kQuarantined,  // and not delivered before
  kSuccessful,
  kInProgress,  // claimed by an agent that is alive
  kFailed,      // may be tried again until max_attempts
  kPending,     // ready; never tried, released after a failure, or its agent died
  kSuperseded,  // replaced by a newer version before it was delivered
  kMissing,     // gone from the landing area before it was delivered
  kUnrouted,    // ready, but no destination wants it
};
inline constexpr std::size_t kStandings = static_cast<std::size_t>(Standing::kUnrouted) + 1;

std::string_view to_string(Standing standing);  // "pending", …
std::optional<Standing> parse_standing(std::string_view text);

/// DELIVERY: null if transfer_logs has no row.
Standing standing_of(const FileRecord& file, const Delivery* delivery);

/// The one that wants to know about DESTINATION among a file's deliveries, or null. Foreign rows
/// may leave out where the file went: they hold for every destination without rows of its own.
const Delivery* find_delivery(std::span<const Delivery> deliveries, std::string_view destination);

/// In place of max_attempts: the file was asked for by name.
inline constexpr std::int64_t kAskedFor = std::numeric_limits<std::int64_t>::max();

/// True if an agent that drains everything would take the file: ready, and pending or failed with
/// attempts left. What failed as abnormal is taken again when the registry has something newer to
/// say of it, or when it is asked for.
bool is_deliverable(const FileRecord& file, const Delivery* delivery, std::int64_t max_attempts);

/// The number of the next attempt. An agent that died has not failed: its number is taken again.
std::int64_t next_attempt(const Delivery* delivery);

/// The error kind of a failed delivery that was given up: nothing of it is left at the destination.
inline constexpr std::string_view kAbandoned = "abandoned";

/// TEXT if it is one of to_string(ErrorKind), or kAbandoned; else "other": rows that others wrote
/// may have any text there.
std::string_view known_error_kind(std::string_view text);

/// True if DELIVERY may have left a part of FILE at the destination that no run will go on from.
bool leaves_stale_part(const FileRecord& file, const Delivery& delivery);

// Who wants what.

using WantedBy =
    std::function<std::vector<std::string_view>(std::string_view landing, const std::string& path)>;

/// What a process knows of the destinations. All who work on one metastore should know the same;
/// who knows others gets answers of its own.
struct Demand {
  /// The destinations, each once. Empty: whichever the logs name; one delivery is enough.
  std::vector<std::string> destinations{};
  /// If it depends on the file: those of DESTINATIONS that want it. The names outlive the demand.
  WantedBy wanted_by{};
  /// Whether a file is to be taken out of its landing area once everybody has it.
  std::function<bool(std::string_view landing, const std::string& path)> is_taken_away{};
  /// Another text whenever these may answer otherwise. Without one nobody else can know that
  /// the answers are the same, and what follows from them is worked out anew for this process.
  std::string routing{};
  /// Other labels that the registry's `landing` column may have for an area, and the area's own:
  /// an area that was watched by its path before it got a name is the same area.
  std::map<std::string, std::string> landing_aliases{};
  /// A row that names no landing area stands for any; if there are several it belongs to none,
  /// and nobody can deliver it.
  bool has_several_landings = false;
  /// A file whose delivery failed this often is left alone until somebody asks for it by name.
  std::int64_t max_attempts = 5;
};

/// Where a file stands with one destination that it concerns.
struct Judgement {
  std::string_view destination;  // empty: none is known, or none wants it
  /// If it is claimed: as if the agent were dead.
  Standing standing = Standing::kPending;
  std::optional<TransferStatus> status;  // of the delivery, if there is one
  std::string_view agent;                // kInProgress: whose claim it is
  std::string_view error_kind;           // kFailed: see known_error_kind
  /// An agent may have to deliver it: never tried, to be tried again, or claimed by one that may
  /// die. What the `pending` marker stands for.
  bool is_open = false;
  /// Some row that names no destination says so.
  bool is_by_any = false;
  /// Not where it stands with one, but that everybody has it and it is to be taken away.
  bool is_due_to_go = false;
};

/// Appends a judgement for each destination that wants FILE or has got it, and one if it is due to
/// go. Without destinations in DEMAND: for each that the logs name. If that gives none: one without
/// a destination.
void judge(const FileRecord& file, std::span<const Delivery> deliveries, const Demand& demand,
           std::vector<Judgement>& judgements);

/// What JUDGEMENT says now, that its agent is alive or not.
Standing standing_now(const Judgement& judgement, bool is_agent_alive);

/// True while a destination that wants the file has not got it, whatever the file's state.
bool is_undelivered(const FileRecord& file, std::span<const Delivery> deliveries,
                    const Demand& demand);

/// False if routes lead FILE to none of the destinations that have got it any more (of DESTINATION
/// alone, unless that is empty). Of those that routes do not know by name nobody can tell.
bool is_still_wanted(const FileRecord& file, std::span<const Delivery> deliveries,
                     const Demand& demand, std::string_view destination);

// Versions of a path.

/// What became of one file given to Metastore::register_files.
struct Registration {
  enum class Outcome : std::uint8_t {
    kInserted,   // a new version
    kUpdated,    // the same bytes under a new identity: the record follows it
    kDuplicate,  // known as it is; the record of what is held follows its identity
  };
  Outcome outcome = Outcome::kInserted;
  std::string id;
  std::string superseded_id;  // the pending older version that this one replaced; or empty
};

/// Appends to ROWS what has to be entered for FOUND, in order. LATEST is the latest version of its
/// path, or null; IS_REPLACEABLE is asked of it: nobody has got it, and no agent holds it.
Registration decide_registration(FileRecord found, Timestamp now, const FileRecord* latest,
                                 const std::function<bool()>& is_replaceable,
                                 std::vector<FileRecord>& rows);

/// OLDER with another state, as of NOW: a row differs from the one before by its date, too.
FileRecord in_state(FileRecord older, FileState state, std::string_view reason, Timestamp now);
FileRecord as_superseded(FileRecord older, Timestamp now, std::string_view newer_id);

/// True if LATEST, which may be null or the file itself, takes FILE's place.
bool is_replaced_by(const FileRecord& file, const FileRecord* latest);

enum class ClaimVerdict : std::uint8_t {
  kClaim,
  kLeave,      // as it is
  kSupersede,  // a newer version takes its place
};
/// LATEST as above. IS_OTHER_HELD: a running agent holds another version of the path for the same
/// destination; of two that deliver at once the older version might come last.
ClaimVerdict decide_claim(const FileRecord& file, std::span<const Delivery> deliveries,
                          std::string_view destination, std::int64_t max_attempts,
                          const FileRecord* latest, bool is_other_held);

/// True if somebody else has to do with the file than AGENT: another that runs holds it, or it has
/// been delivered. DELIVERY: null if transfer_logs has no row.
bool is_out_of_hand(const Delivery* delivery, std::string_view agent);

/// True if AGENT, which runs, has the file in hand.
bool is_in_hand(const Delivery* delivery, std::string_view agent);

/// True if what became of another version of a path keeps an agent from going on with one that it
/// had in hand: the other is being delivered, or was, and is newer.
bool is_in_the_way(const Delivery* delivery_of_other, bool is_newer);

/// For how long settled files stay in the tables if nobody says otherwise.
inline constexpr std::chrono::hours kKeepSettled{30 * 24};

/// True if nobody will ask for the file again: it is not a path's current version in a landing
/// area, nobody will deliver it, nobody has to decide about it, and nothing happened to it at or
/// after SINCE.
bool is_settled(const FileRecord& file, std::span<const Delivery> deliveries, bool is_latest,
                const Demand& demand, Timestamp since);

}  // namespace ferry::metastore

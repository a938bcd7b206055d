// The table of options: each row is a key of the configuration file and a flag on the command line.
// Loading a file, the command line, --help and `ferry config show` all read this table.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/config/settings.h"
#include "ferry/base/result.h"

namespace ferry::app {

/// Who takes an option on the command line.
enum CommandBit : unsigned {
  kWatchBit = 1U << 0,
  kTransferBit = 1U << 1,
  kStatusBit = 1U << 2,
  kListBit = 1U << 3,
  kHistoryBit = 1U << 4,
  kImportBit = 1U << 5,
  kConfigBit = 1U << 6,
  kVerifyBit = 1U << 7,
  kRetryBit = 1U << 8,
  kCompactBit = 1U << 9,
  kQuarantineBit = 1U << 10,
  kDoctorBit = 1U << 11,
  kUploadBit = 1U << 12,
  kResendBit = 1U << 13,
  kServeBit = 1U << 14,
  kCompletionBit = 1U << 15,
  kTokenBit = 1U << 16,
  kPushBit = 1U << 17,
  kOtherBit = 1U << 18,  // those that take the general options, and none of their own
  kMetastoreBit = 1U << 19,
  kEveryCommand = ~0U,
};

/// Tables of the configuration file.
enum class Section : std::uint8_t {
  kGeneral,
  kLog,
  kLanding,
  kWatch,
  kDestination,
  kRoute,
  kTransform,
  kExpect,
  kNotify,
  kTransfer,
  kServe,
};
std::string_view to_string(Section section);  // "", "log", "landing", …

/// Any number of tables, each with a name: [landing.NAME].
bool is_named(Section section);
/// The key that each of its tables must have; empty: none.
std::string_view required_key(Section section);

/// What a file or a command line can say. A command line has only texts and lists of texts.
using Value = std::variant<bool, std::int64_t, std::string, std::vector<std::string>>;

/// Where values go: settings, and of a named section the one table that is meant.
struct Scope {
  Settings* settings = nullptr;
  LandingSettings* landing = nullptr;
  DestinationSettings* destination = nullptr;
  fs::path base = {};  // relative paths start here
  RouteSettings* route = nullptr;
  TransformSettings* transform = nullptr;
  ExpectSettings* expect = nullptr;
  NotifySettings* notify = nullptr;
};

struct Option {
  Section section;
  std::string_view key;
  std::string_view flag;     // "no-…" sets a switch to false; empty: in a file only
  std::string_view metavar;  // empty: a switch
  std::string_view help;
  unsigned commands;  // CommandBits
  Result<void> (*set)(const Scope&, const Value&);
  Value (*get)(const Scope&);
  bool repeatable = false;
  bool selects = false;                   // the flag chooses landing areas or destinations
  std::string_view key_help;              // where the key's meaning differs from the flag's
  std::vector<std::string_view> choices;  // the words that it may be; empty: anything
  std::string_view type;                  // a word for how a value is written: "duration"
  bool remote_only = false;               // of a landing area: means nothing for a directory here
};

std::span<const Option> options();

/// The value if nobody sets one; an empty text or list: none.
Value default_value(const Option& option);

/// The default as --help prints it; empty if there is none worth showing.
std::string default_text(const Option& option);

}  // namespace ferry::app

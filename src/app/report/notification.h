// What is worth telling a person, given what has been told already. Pure.
//
// It goes by where files stand, and not by what happens: a run that nobody made loses nothing, a
// dead destination with ten thousand files is one event, and what is over when somebody looks again
// was never told.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/config/settings.h"
#include "ferry/base/json.h"
#include "ferry/base/time.h"

namespace ferry::app {

/// How files stand now.
struct Situation {
  struct Example {
    std::string path;
    std::string reason;
  };
  struct Trouble {
    std::map<std::string, std::uint64_t> failed;  // by the kind of the error
    std::uint64_t given_up = 0;
    std::vector<Example> examples;
  };
  struct Late {
    std::string deadline;
    std::int64_t landed = 0;
    std::int64_t arrived = 0;
    std::int64_t count = 0;
  };
  struct Batch {
    std::string destination;
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
  };

  std::map<std::string, Trouble> destinations;  // those that have any
  std::map<std::string, Example> quarantined;   // by the ids of files
  std::map<std::string, Late> late;             // by the names of expectations
  std::map<std::string, Batch> batches;         // by their ids, as far back as they are kept
};

/// What somebody has been told.
struct Told {
  std::map<std::string, std::set<std::string>> failed;  // kinds of errors, by destination
  std::map<std::string, std::uint64_t> given_up;        // by destination
  std::set<std::string> quarantined;                    // ids
  std::map<std::string, std::string> late;              // deadlines, by expectation
  std::set<std::string> batches;                        // ids
  Timestamp time{};                                     // of the last message

  bool operator==(const Told&) const = default;
};

Json to_json(const Told& told);
/// kCorrupt if JSON is nothing that to_json wrote.
Result<Told> told_from(const Json& json);

struct Event {
  EventKind kind;
  Json data;         // "event", and what belongs to it
  std::string text;  // a line for people
};

/// What has changed since TOLD, of these KINDS.
std::vector<Event> news(const Situation& now, const Told& told, std::span<const EventKind> kinds);

/// Once the news has been told.
Told told_of(const Situation& now, Timestamp time);

}  // namespace ferry::app

// Destinations that this host's agents cannot reach: a file for each in a directory, made by the
// first failure, removed by the next success, and there for whoever looks, also when no agent runs.
// None of it is put on stable storage.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/json.h"
#include "ferry/base/result.h"
#include "ferry/base/time.h"

namespace ferry {

struct Outage {
  std::string destination{};
  std::string kind{};  // to_string(ErrorKind)
  std::string message{};
  Timestamp since{};
  Timestamp last_try{};
  std::optional<Timestamp> next_try{};  // absent: nobody has said that there will be one
};

Json to_json(const Outage& outage);

/// Of any number of processes; a note that is written meanwhile by another may win.
class Outages {
 public:
  explicit Outages(fs::path directory) : directory_(std::move(directory)) {}

  /// DESTINATION was tried in vain at TIME. A note that is there keeps its `since`.
  Result<void> note(std::string_view destination, const Error& error, Timestamp time,
                    std::optional<Timestamp> next_try) const;
  void clear(std::string_view destination) const;

  /// By destination. What is no note is left out. An error: nobody knows.
  Result<std::vector<Outage>> all() const;

 private:
  fs::path file_of(std::string_view destination) const;

  fs::path directory_;
};

}  // namespace ferry

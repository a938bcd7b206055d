// What `ferry doctor` looks at.
#pragma once

#include <string>
#include <vector>

#include "app/commands/command.h"
#include "app/config/settings.h"
#include "ferry/transfer/probe.h"

namespace ferry::app {

using transfer::Health;

struct Diagnosis {
  std::string subject;  // "metastore /var/lib/ferry", "destination b", …
  std::string check;    // "lock", "space", …
  Health health = Health::kWell;
  std::string message;
  std::string cure;                       // what to do; may be empty
  ExitStatus status = ExitStatus::kDone;  // with kTrouble: of the command
};

class Examination {
 public:
  explicit Examination(StopToken& stop) : stop_(stop) {}

  void configuration(const fs::path& file);
  /// COMPARES_INDEX: with the tables, which reads all of them.
  void metastore(const Settings& settings, bool compares_index);
  void landing_areas(const Settings& settings);
  void routes(const Settings& settings);  // and their transforms
  void destinations(const Settings& settings);

  const std::vector<Diagnosis>& diagnoses() const { return diagnoses_; }
  bool is_well() const;
  ExitStatus status() const;

 private:
  void well(std::string check, std::string message);
  void note(std::string check, std::string message, std::string cure = {});
  void trouble(std::string check, std::string message, std::string cure, ExitStatus status);

  void metastore_rows(const Settings& settings, bool compares_index);
  void registry(metastore::Upkeep& upkeep);
  void metastore_index(metastore::Upkeep& upkeep, const std::string& cure);
  void state_on_disk(const Settings& settings);
  void places(const Settings& settings);
  void metastore_lock(const fs::path& directory, const Settings& settings);
  void landing_area(const LandingSettings& landing);
  void program(std::string check, const CommandWords& command);
  void directory(std::string check, const fs::path& path);
  void remote_landing_area(const LandingSettings& landing, const Settings& settings);
  void signing_key(const fs::path& key);
  void destination(const DestinationSettings& destination, const Settings& settings);

  StopToken& stop_;
  std::string subject_;
  std::vector<Diagnosis> diagnoses_;
};

}  // namespace ferry::app

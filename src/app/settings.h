// Everything that a user can set. The member initialisers are the defaults.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/base/log.h"
#include "ferry/landing/watch.h"
#include "ferry/metastore/metastore.h"
#include "ferry/sftp/connect.h"
#include "ferry/transfer/agent.h"

namespace ferry::app {

/// A number of bytes, written with a unit.
struct Bytes {
  std::uint64_t value = 0;
};

/// A number that is at least 1.
struct Count {
  std::int64_t value = 1;
};

using sftp::Transport;

struct GeneralSettings {
  fs::path metastore;
  std::chrono::milliseconds lock_timeout = metastore::Options{}.lock_timeout;
};

struct LogSettings {
  log::Level level = log::Level::kInfo;
  log::Format format = log::Format::kText;
};

struct LandingSettings {
  std::string name;
  fs::path path;
  std::vector<std::string> ignore;
  std::chrono::milliseconds settle = landing::LandingArea{}.settle;
};

struct WatchSettings {
  std::chrono::milliseconds rescan_interval = landing::WatchOptions{}.rescan_interval;
  std::chrono::milliseconds poll_interval = landing::WatchOptions{}.poll_interval;
  std::uint64_t hash_threads = landing::WatchOptions{}.hash_threads;
};

struct DestinationSettings {
  std::string name;
  sftp::Url url;
  std::vector<fs::path> identity;
  std::vector<fs::path> known_hosts;
  bool accept_new_host_key = false;
  bool use_agent = true;
  fs::path password_file;
  fs::path passphrase_file;
  std::string password;    // from the environment; never shown
  std::string passphrase;  // likewise
  std::string control_dir;
  Count connections{transfer::Destination{}.connections};
  Transport transport = Transport::kLibssh2;
};

struct TransferSettings {
  Count max_attempts{metastore::Options{}.max_attempts};
  bool fsync = true;
  transfer::Verify verify = transfer::TransferOptions{}.verify;
  transfer::BatchMode batch = transfer::TransferOptions{}.batch;
  transfer::BandwidthLimit bandwidth_limit;
  Bytes window{transfer::Limits{}.window_bytes};
  Count files_in_flight{static_cast<std::int64_t>(transfer::Limits{}.files_in_flight)};
  std::chrono::milliseconds stall_timeout = transfer::Limits{}.stall_timeout;
  Count retries{transfer::Retries{}.limit};
  std::chrono::milliseconds retry_delay = transfer::Retries{}.first_delay;
  std::chrono::milliseconds retry_after = std::chrono::seconds(30);
  std::chrono::milliseconds connect_timeout = sftp::ConnectOptions{}.timeout;
  std::chrono::milliseconds deadline{0};  // of a whole run; 0: none
};

struct Settings {
  GeneralSettings general;
  LogSettings log;
  WatchSettings watch;
  TransferSettings transfer;
  std::vector<LandingSettings> landings;
  std::vector<DestinationSettings> destinations;
  /// Those of the configuration file, whichever --to selects.
  std::vector<std::string> configured_destinations;
};

}  // namespace ferry::app

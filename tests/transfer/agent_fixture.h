// What tests of whole runs need: a real OpenSSH server, a real metastore, a landing area.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <set>
#include <thread>
#include <utility>

#include "ferry/base/json.h"
#include "ferry/transfer/agent.h"
#include "sftp/openssh_server.h"
#include "temporary_directory.h"

namespace ferry::transfer::testing {

using metastore::Delivery;
using metastore::FileRecord;
using metastore::TransferStatus;

class Recorder final : public Observer {
 public:
  void on_start(std::uint64_t files, std::uint64_t total) override {
    started_files = files;
    started_bytes = total;
  }
  void on_bytes(std::uint64_t acknowledged) override {
    bytes += acknowledged;
    if (on_progress) on_progress();
  }
  void on_delivered(const FileOutcome& file) override { delivered.emplace(file.path); }
  void on_failed(const FileOutcome& file, const Error& error) override {
    MESSAGE(std::string(file.path), ": ", error.message);
    failed.emplace(file.path, error);
  }

  std::uint64_t started_files = 0;
  std::uint64_t started_bytes = 0;
  std::uint64_t bytes = 0;
  std::function<void()> on_progress;
  std::set<std::string> delivered;
  std::map<std::string, Error> failed;
};

struct AgentFixture {
  sftp::testing::OpenSshServer server;
  ferry::testing::TemporaryDirectory folder;
  fs::path landing = folder.path() / "landing";
  std::unique_ptr<metastore::Metastore> store;
  Destination destination;
  TransferOptions options;
  Recorder recorder;
  StopToken stop;

  AgentFixture() {
    REQUIRE(make_directories(landing));
    store = std::move(*metastore::open_metastore((folder.path() / "metastore").string(), {}));
    destination.name = "b";
    destination.connect = server.connect_options();
    destination.directory = server.root().string();
    options.landings = {{"in", landing}};
    options.control_files = folder.path() / "batches";
    options.journals = folder.path() / "journals";
    options.servers = folder.path() / "servers";
    options.spool = folder.path() / "spool";
    options.retries.first_delay = std::chrono::milliseconds(20);
    destination.connect.limits.stall_timeout = std::chrono::seconds(20);
  }

  fs::path remote(const std::string& path) const { return server.root() / path; }

  void land(const std::string& path, std::string_view content) const {
    REQUIRE(make_directories((landing / path).parent_path()));
    REQUIRE(replace_file(landing / path, content));
  }
  std::string land_and_register(const std::string& path, std::string_view content) {
    land(path, content);
    struct stat status{};
    REQUIRE(::stat((landing / path).c_str(), &status) == 0);
    FileRecord record;
    record.path = path;
    record.landing = "in";
    record.identity = identity_of(status);
    record.checksum = sha256(content);
    const auto registered = store->register_files({record});
    REQUIRE(registered);
    return registered->front().id;
  }
  static Checksum sha256(std::string_view content) {
    Hasher hasher(HashAlgorithm::kSha256);
    hasher.update(as_bytes(content));
    return hasher.finish();
  }

  Outcome<TransferSummary> ended() { return deliver(*store, destination, options, recorder, stop); }
  Result<TransferSummary> run() {
    auto summary = ended();
    if (!summary) return summary.error().error;
    return std::move(*summary);
  }

  /// Of a run that brought one batch to its end.
  static const BatchSummary& only_batch(const auto& summary) {
    REQUIRE(summary);
    REQUIRE(summary->batches.size() == 1);
    return summary->batches.front();
  }
  /// The paths that a control file lists, in its order.
  static std::vector<std::string> listed_in(const std::string& control_file) {
    std::vector<std::string> paths;
    const auto control = Json::parse(read_file(control_file).value());
    for (const auto& file : control["files"]) paths.push_back(file["path"]);
    CHECK(control["count"] == paths.size());
    return paths;
  }

  std::map<std::string, TransferStatus> statuses() {
    std::map<std::string, TransferStatus> result;
    REQUIRE(store->visit({}, [&](const FileRecord& file, std::span<const Delivery> deliveries) {
      if (const auto* delivery = metastore::find_delivery(deliveries, "b")) {
        result[file.path] = delivery->status;
      }
    }));
    return result;
  }
  /// Content in which no two chunks are alike.
  static std::string pattern(std::size_t size) {
    std::string content;
    content.reserve(size + 16);
    for (std::uint64_t i = 0; content.size() < size; ++i) content += std::to_string(i * 7919);
    content.resize(size);
    return content;
  }
  static void spoil(const fs::path& path) {
    const auto fd = open_file(path, O_WRONLY);
    if (!fd) return;  // it is gone already
    CHECK(write_full(fd->get(), as_bytes("spoiled"), path));
  }
  /// In order.
  std::vector<std::string> names_at_destination() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(server.root())) {
      names.push_back(entry.path().filename().string());
    }
    std::ranges::sort(names);
    return names;
  }
};

}  // namespace ferry::transfer::testing

// Temporary metastores and a vocabulary for the tests.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/filesystem/directory.hpp>
#include <boost/filesystem/operations.hpp>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "ferry/base/file.h"
#include "ferry/metastore/metastore.h"
#ifdef FERRY_POSTGRESQL
#include "postgres_backend.h"
#endif
#include "temporary_directory.h"

namespace ferry::metastore::testing {

inline constexpr const char* kTo = "warehouse";
inline constexpr const char* kLandingArea = "in";

using ferry::testing::TemporaryDirectory;

template <typename T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().message);
  return *std::move(result);
}
inline void must(const Result<void>& result) {
  if (!result) FAIL(result.error().message);
}

inline Checksum checksum_of(std::string_view content) {
  Hasher hasher(HashAlgorithm::kSha256);
  hasher.update(as_bytes(content));
  return hasher.finish();
}

/// What a watcher reports: CONTENT at PATH; another INODE is another file with the same bytes.
inline FileRecord found(std::string path, std::string_view content, std::uint64_t inode = 1) {
  FileRecord record;
  record.path = std::move(path);
  record.checksum = checksum_of(content);
  record.landing = kLandingArea;
  record.identity = FileIdentity{.device = 7,
                                 .inode = inode,
                                 .size = content.size(),
                                 .mtime_ns = static_cast<std::int64_t>(content.size()),
                                 .ctime_ns = 42};
  record.source = FileSource::kWatch;
  return record;
}

/// What is done with a store, in few words.
class Vocabulary {
 public:
  static Options options() {
    Options options;
    options.demand.destinations = {kTo};
    options.demand.max_attempts = 3;
    return options;
  }

  static Registration put(Metastore& store, FileRecord file) {
    return must(store.register_files({std::move(file)})).at(0);
  }

  static ClaimRequest request(const AgentPresence& agent, std::vector<std::string> ids = {}) {
    ClaimRequest request;
    request.destination = kTo;
    request.batch_id = "batch";
    request.agent = agent.name();
    request.ids = std::move(ids);
    return request;
  }
  static std::vector<Claim> claim(Metastore& store, const AgentPresence& agent,
                                  std::vector<std::string> ids) {
    return must(store.claim(request(agent, std::move(ids))));
  }

  static TransferRecord row(std::string id, TransferStatus status, std::int64_t attempt = 1) {
    TransferRecord record;
    record.id = std::move(id);
    record.status = status;
    record.date = now();
    record.destination = kTo;
    record.agent = "some-agent";
    record.attempt = attempt;
    if (status == TransferStatus::kFailed) record.error = TransferError{"io", "no luck", true};
    return record;
  }
  static void append(Metastore& store, const TransferRecord& record) {
    must(store.append_transfers(std::span(&record, 1)));
  }
  /// A file whose delivery names no destination, and so holds for any; returns its id.
  static std::string deliver_to_any(Metastore& store) {
    TransferRecord anywhere =
        row(put(store, found("x.csv", "one")).id, TransferStatus::kSuccessful);
    anywhere.destination.clear();
    append(store, anywhere);
    return anywhere.id;
  }

  /// Every file's standing with the destination, by path and then in order.
  static std::map<std::string, std::vector<std::string>> standings(Metastore& store) {
    std::map<std::string, std::vector<std::string>> all;
    must(store.visit({}, [&](const FileRecord& file, std::span<const Delivery> deliveries) {
      all[file.path].emplace_back(to_string(standing_of(file, find_delivery(deliveries, kTo))));
    }));
    return all;
  }
  static std::vector<FileRecord> files(Metastore& store, const FileQuery& query = {}) {
    std::vector<FileRecord> all;
    must(store.visit(query, [&](const FileRecord& file, auto) { all.push_back(file); }));
    return all;
  }
  static std::vector<std::string> paths(Metastore& store, const FileQuery& query) {
    std::vector<std::string> all;
    for (const FileRecord& file : files(store, query)) all.push_back(file.path);
    return all;
  }
  static std::optional<FileRecord> latest(Metastore& store, const std::string& path) {
    return must(store.latest(kLandingArea, std::span(&path, 1))).at(0);
  }
};

/// A place for one store of some kind.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual Result<std::unique_ptr<Metastore>> open(Options options) const = 0;
  virtual Result<std::unique_ptr<Metastore>> look(Options options) const = 0;
  /// Waits until the store has noticed that a process has ended.
  virtual void notice_end_of(pid_t) const {}
};

class JsonlBackend : public Backend {
 public:
  Result<std::unique_ptr<Metastore>> open(Options options) const override {
    return open_metastore(directory().string(), std::move(options));
  }
  Result<std::unique_ptr<Metastore>> look(Options options) const override {
    return open_metastore_for_reading(directory().string(), std::move(options));
  }
  fs::path directory() const { return folder_.path() / "metastore"; }

 private:
  TemporaryDirectory folder_;
};

#ifdef FERRY_POSTGRESQL
class PostgresBackend : public Backend {
 public:
  Result<std::unique_ptr<Metastore>> open(Options options) const override {
    return open_metastore(location_, std::move(options));
  }
  Result<std::unique_ptr<Metastore>> look(Options options) const override {
    return open_metastore_for_reading(location_, std::move(options));
  }
  /// The server is told by the kernel, and frees the agent's lock after that. Others leave the
  /// agent some time to come back: here it is over.
  void notice_end_of(pid_t process) const override {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (PostgresServer::get().run(
               fmt::format("SELECT count(*) FROM pg_stat_activity WHERE application_name = "
                           "'ferry {}'",
                           process)) != "0") {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
    }
    PostgresServer::get().run(
        fmt::format("SET search_path = {}; UPDATE agents SET missed_since = now() - interval '1 "
                    "minute' WHERE name LIKE '%-{}-%'",
                    location_.substr(location_.rfind("%3D") + 3), process));
  }
  const std::string& location() const { return location_; }

 private:
  const std::string location_ = PostgresServer::get().make_database();
};
#endif

using Backends = std::map<std::string, std::unique_ptr<Backend> (*)()>;

inline Backends make_backends() {
  Backends all{{"jsonl", [] { return std::unique_ptr<Backend>(new JsonlBackend); }}};
#ifdef FERRY_POSTGRESQL
  if (!postgres_programs().empty()) {
    all["postgresql"] = [] { return std::unique_ptr<Backend>(new PostgresBackend); };
  } else {
    REQUIRE_MESSAGE(std::getenv("FERRY_REQUIRE_POSTGRESQL") == nullptr, "no PostgreSQL here");
    MESSAGE("no PostgreSQL here: its store is not tested");
  }
#endif
  return all;
}

/// All kinds of stores, by name. One that is added here runs through the whole contract.
inline const Backends& backends() {
  static const Backends all = make_backends();
  return all;
}

class Contract : public Vocabulary {
 public:
  Contract(std::string kind, std::unique_ptr<Backend> place)
      : kind_name(std::move(kind)), backend(std::move(place)) {}

  std::unique_ptr<Metastore> open(Options given = options()) const {
    return must(backend->open(std::move(given)));
  }
  std::unique_ptr<Metastore> look(Options given = options()) const {
    return must(backend->look(std::move(given)));
  }

  std::string kind_name;
  std::unique_ptr<Backend> backend;
};

/// A case that every kind of store has to pass.
#define CONTRACT(name) CONTRACT_CASE(name, DOCTEST_ANONYMOUS(ContractCase))
#define CONTRACT_CASE(name, Case)                          \
  struct Case : testing::Contract {                        \
    using Contract::Contract;                              \
    void run();                                            \
  };                                                       \
  TEST_CASE(name) {                                        \
    for (const auto& [kind, make] : testing::backends()) { \
      CAPTURE(kind);                                       \
      Case(kind, make()).run();                            \
    }                                                      \
  }                                                        \
  void Case::run()

/// With what speaks of the files of the JSON-lines store.
class StoreFixture : public Contract {
 public:
  StoreFixture() : Contract("jsonl", std::make_unique<JsonlBackend>()) {}

  fs::path directory() const { return dynamic_cast<const JsonlBackend&>(*backend).directory(); }
  fs::path file(const std::string& name) const { return directory() / name; }
  bool exists(const std::string& name) const { return fs::exists(file(name)); }
  std::string content(const std::string& name) const { return must(read_file(file(name))); }

  void write(const std::string& name, std::string_view text) const {
    must(make_directories(file(name).parent_path()));
    auto fd = must(open_file(file(name), O_WRONLY | O_CREAT | O_TRUNC));
    must(write_full(fd.get(), as_bytes(text), file(name)));
  }
  void add(const std::string& name, std::string_view text) const {
    auto fd = must(open_file(file(name), O_WRONLY | O_CREAT | O_APPEND));
    must(write_full(fd.get(), as_bytes(text), file(name)));
  }
  /// That the index says what the tables say.
  void check_index() const {
    const auto store = look();
    for (const std::string& difference : must(store->upkeep().verify())) FAIL_CHECK(difference);
  }
};

using Standings = std::map<std::string, std::vector<std::string>>;

/// Runs WORK in a process of its own and returns its exit code.
template <typename Work>
pid_t in_child(Work work) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(work());
  return child;
}

inline int exit_code(pid_t child) {
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace ferry::metastore::testing

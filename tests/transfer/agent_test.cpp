// Whole runs against a real OpenSSH server and a real metastore.
#include "ferry/transfer/agent.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "ferry/base/lock.h"
#include "transfer/agent_fixture.h"
#include "transfer/deliver/journal.h"
#include "transfer/naming/remote_path.h"

using namespace ferry;
using namespace ferry::transfer;
using namespace ferry::transfer::testing;

namespace {
struct Fixture : AgentFixture {
  /// What is noted of delivering "a", which has CONTENT.
  Journal begin_journal(const std::string& id, const std::string& content,
                        const std::string& part) const {
    struct stat status{};
    REQUIRE(::stat((landing / "a").c_str(), &status) == 0);
    REQUIRE(make_directories(options.journals));
    auto journal = Journal::begin(options.journals,
                                  {.id = id,
                                   .destination = "b",
                                   .final_path = remote("a").string(),
                                   .source = identity_of(status),
                                   .checksum = sha256(content)},
                                  part);
    REQUIRE(journal);
    return std::move(*journal);
  }
};
}  // namespace

TEST_CASE_FIXTURE(Fixture, "nothing pending: nothing happens, not even a connection") {
  destination.connect.port = sftp::testing::unused_port();
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->batches.empty());
  CHECK(summary->selected == 0);
}

TEST_CASE_FIXTURE(Fixture, "files arrive whole, the control file names them, the log says so") {
  const std::string large(3'000'000, 'x');
  const std::string id = land_and_register("sub/dir/a b.csv", "hello");
  land_and_register("größe.txt", large);
  land_and_register("empty", "");
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->successful == 3);
  CHECK(summary->failed == 0);
  CHECK(summary->bytes == large.size() + 5);
  CHECK(read_file(remote("sub/dir/a b.csv")).value() == "hello");
  CHECK(read_file(remote("größe.txt")).value() == large);
  CHECK(read_file(remote("empty")).value().empty());

  const BatchSummary& batch = only_batch(summary);
  CHECK(batch.selected == 3);
  CHECK(batch.successful == 3);
  CHECK(batch.bytes == large.size() + 5);
  const auto control = Json::parse(read_file(batch.control_file).value());
  CHECK(control["batch_id"] == batch.id);
  CHECK(control["count"] == 3);
  const auto entry = std::ranges::find(
      control["files"], id, [](const Json& file) { return file["id"].get<std::string>(); });
  REQUIRE(entry != control["files"].end());
  CHECK((*entry)["path"] == "sub/dir/a b.csv");
  CHECK((*entry)["checksum"] == sha256("hello").to_string());

  const auto history = store->history(id)->at(0);
  REQUIRE(history.transfers.size() == 2);
  CHECK(history.transfers[0].status == TransferStatus::kInProgress);
  CHECK(history.transfers[1].status == TransferStatus::kSuccessful);
  CHECK(history.transfers[1].remote_path == remote("sub/dir/a b.csv").string());
  CHECK(history.transfers[1].checksum == sha256("hello"));
  CHECK(history.transfers[1].bytes == 5);

  CHECK(recorder.started_files == 3);
  CHECK(recorder.bytes == recorder.started_bytes);
  CHECK(recorder.delivered.size() == 3);
  INFO("no part file is left behind");
  CHECK(names_at_destination().size() == 4);
}

TEST_CASE_FIXTURE(Fixture, "a second run has nothing to do") {
  land_and_register("a", "1");
  REQUIRE(run());
  CHECK(run()->batches.empty());
}

TEST_CASE_FIXTURE(Fixture, "a new version replaces the old one at B") {
  land_and_register("a", "old");
  REQUIRE(run());
  land_and_register("a", "newer");
  CHECK(run()->successful == 1);
  CHECK(read_file(remote("a")).value() == "newer");
}

TEST_CASE_FIXTURE(Fixture, "the control file goes to a directory of its own where asked") {
  destination.control_directory = (server.root() / "control").string();
  land_and_register("a", "1");
  const auto summary = run();
  const std::string& control_file = only_batch(summary).control_file;
  CHECK(fs::path(control_file).parent_path() == server.root() / "control");
  CHECK(fs::exists(control_file));
}

TEST_CASE_FIXTURE(Fixture, "what is not the registered bytes fails alone") {
  land_and_register("good", "1");
  land_and_register("bad", "1");
  land_and_register("gone", "1");
  land("bad", "2");
  fs::remove(landing / "gone");
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->successful == 1);
  CHECK(summary->failed == 2);
  CHECK(recorder.failed.at("bad").kind == ErrorKind::kAbnormal);
  CHECK(statuses() == std::map<std::string, TransferStatus>{{"bad", TransferStatus::kFailed},
                                                            {"gone", TransferStatus::kFailed},
                                                            {"good", TransferStatus::kSuccessful}});
  CHECK_FALSE(fs::exists(remote("bad")));
  CHECK(listed_in(only_batch(summary).control_file) == std::vector<std::string>{"good"});
}

TEST_CASE_FIXTURE(Fixture, "a file that changes while it is sent is not published") {
  std::size_t size = 0;
  SUBCASE("as a whole") {
    size = 1'500'000;
  }
  SUBCASE("in chunks") {
    size = 8'000'000;
  }
  land_and_register("a", std::string(size, 'x'));
  recorder.on_progress = [&] {
    const auto fd = open_file(landing / "a", O_WRONLY);
    CHECK(write_full(fd->get(), as_bytes("y"), "a"));
  };
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->failed == 1);
  CHECK(only_batch(summary).control_file.empty());
  CHECK(names_at_destination().empty());
}

TEST_CASE_FIXTURE(Fixture, "a directory that cannot be made fails its files alone") {
  land_and_register("taken/a", "1");
  land_and_register("free/a", "1");
  std::ofstream(remote("taken").native()) << "a file";
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->successful == 1);
  CHECK(recorder.failed.at("taken/a").message.find("taken") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture,
                  "a target that cannot be replaced keeps what it is; no part file stays") {
  land_and_register("a", "1");
  REQUIRE(make_directories(remote("a/occupied")));
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->failed == 1);
  CHECK(fs::exists(remote("a/occupied")));
  CHECK(names_at_destination() == std::vector<std::string>{"a"});
}

TEST_CASE_FIXTURE(Fixture, "a destination that refuses us changes nothing here") {
  land_and_register("a", "1");
  SUBCASE("unknown key") {
    destination.connect.identities = {server.unauthorized_key("stranger", "ed25519")};
    CHECK(run().error().kind == ErrorKind::kRefused);
  }
  SUBCASE("wrong host key") {
    destination.connect.known_hosts = {server.wrong_known_hosts()};
    CHECK(run().error().kind == ErrorKind::kRefused);
  }
  SUBCASE("no directory to be had") {
    std::ofstream(remote("file").native()) << "x";
    destination.directory = remote("file/below").string();
    CHECK(run().error().kind == ErrorKind::kRefused);
  }
  SUBCASE("nobody there") {
    destination.connect.port = sftp::testing::unused_port();
    CHECK(run().error().kind == ErrorKind::kUnreachable);
  }
  CHECK(statuses().empty());
}

TEST_CASE_FIXTURE(Fixture, "a lost connection is replaced, and nobody notices") {
  for (int i = 0; i < 20; ++i) {
    land_and_register("f" + std::to_string(i), std::string(1'000'000, static_cast<char>('a' + i)));
  }
  land_and_register("large", pattern(24'000'000));
  int cuts = 0;
  recorder.on_progress = [&] {
    if (cuts < 3 && recorder.bytes > static_cast<std::uint64_t>(cuts + 1) * 8'000'000) {
      ++cuts;
      server.cut_connections();
    }
  };
  const auto summary = run();
  REQUIRE(summary);
  CHECK(cuts == 3);
  CHECK(summary->successful == 21);
  CHECK(recorder.failed.empty());
  CHECK(read_file(remote("large")).value() == pattern(24'000'000));
  for (int i = 0; i < 20; ++i) {
    CHECK(read_file(remote("f" + std::to_string(i))).value() ==
          std::string(1'000'000, static_cast<char>('a' + i)));
  }
}

TEST_CASE_FIXTURE(Fixture, "when no connection can be had any more, what is left fails with it") {
  land_and_register("large", pattern(24'000'000));
  options.retries = {.limit = 2, .first_delay = std::chrono::milliseconds(10)};
  bool stopped = false;
  recorder.on_progress = [&] {
    if (recorder.bytes > 12'000'000 && !std::exchange(stopped, true)) server.stop();
  };
  const auto summary = run();
  REQUIRE(summary);
  CHECK(summary->failed == 1);
  const auto kind = recorder.failed.at("large").kind;
  CHECK((kind == ErrorKind::kUnreachable || kind == ErrorKind::kConnectionLost));
  REQUIRE(summary->lost);
  CHECK(summary->lost->kind == kind);
  CHECK(summary->unlisted == 0);

  INFO("and the next run goes on from what was acknowledged");
  server.start();
  recorder.on_progress = {};
  const std::uint64_t before = recorder.bytes;
  CHECK(run()->successful == 1);
  CHECK(recorder.bytes - before < 20'000'000);
  CHECK(read_file(remote("large")).value() == pattern(24'000'000));
}

TEST_CASE_FIXTURE(Fixture, "a stop leaves the rest pending, and the next run goes on from there") {
  constexpr std::size_t kSize = 32'000'000;
  for (int i = 0; i < 2; ++i) land_and_register("f" + std::to_string(i), pattern(kSize));
  destination.connections = 1;
  recorder.on_progress = [&] {
    if (recorder.bytes > kSize * 3 / 2) stop.request_stop();
  };
  CHECK(run()->was_stopped);
  CHECK(statuses()["f0"] == TransferStatus::kSuccessful);
  CHECK(statuses()["f1"] == TransferStatus::kInProgress);
  CHECK_FALSE(fs::exists(remote("f1")));
  StopToken again;
  Recorder second;
  CHECK(deliver(*store, destination, options, second, again)->successful == 1);
  CHECK(second.bytes < kSize * 3 / 4);
  CHECK(read_file(remote("f1")).value() == pattern(kSize));
  INFO("nothing is left of it afterwards");
  CHECK(fs::is_empty(options.journals));
  for (const std::string& name : names_at_destination()) CHECK_FALSE(name.ends_with(".part"));
}

TEST_CASE_FIXTURE(Fixture, "what an earlier run left is not trusted blindly") {
  constexpr std::size_t kSize = 16'000'000;
  const std::string id = land_and_register("a", pattern(kSize));
  recorder.on_progress = [&] {
    if (recorder.bytes > kSize / 2) stop.request_stop();
  };
  CHECK(run()->was_stopped);
  const fs::path part = Journal::part_path_in(options.journals, id, "b");
  REQUIRE(fs::exists(part));
  std::string expected = pattern(kSize);
  SUBCASE("the part file is gone") {
    fs::remove(part);
  }
  SUBCASE("the part file is shorter than what was acknowledged") {
    fs::resize_file(part, 1000);
  }
  SUBCASE("the source is another one now") {
    expected = std::string(kSize, 'n');
    land_and_register("a", expected);
  }
  SUBCASE("the source was touched") {
    land("a", expected);
  }
  StopToken again;
  Recorder second;
  CHECK(deliver(*store, destination, options, second, again)->successful == 1);
  CHECK(second.bytes == kSize);
  CHECK(read_file(remote("a")).value() == expected);
}

TEST_CASE_FIXTURE(Fixture, "reading back finds what the server keeps otherwise than it was sent") {
  options.verify = Verify::kReadback;
  land_and_register("small", "hello");
  land_and_register("large", pattern(9'000'000));
  SUBCASE("nothing is wrong") {
    CHECK(run()->successful == 2);
  }
  SUBCASE("the part file is tampered with") {
    recorder.on_progress = [&] {
      for (const auto& entry : fs::directory_iterator(server.root())) {
        if (entry.path().filename().string().starts_with(".large")) spoil(entry.path());
      }
    };
    const auto summary = run();
    CHECK(summary->successful == 1);
    CHECK(recorder.failed.at("large").message.find("gives back") != std::string::npos);
    CHECK_FALSE(fs::exists(remote("large")));
    INFO("and nothing of it is taken up again");
    recorder.on_progress = {};
    CHECK(run()->successful == 1);
    CHECK(read_file(remote("large")).value() == pattern(9'000'000));
  }
}

TEST_CASE_FIXTURE(Fixture, "a part file of the wrong size gets no name") {
  land_and_register("a", pattern(9'000'000));
  recorder.on_progress = [&] {
    for (const auto& entry : fs::directory_iterator(server.root())) {
      const auto fd = open_file(entry.path(), O_WRONLY);
      if (fd) CHECK(::ftruncate(fd->get(), 1) == 0);
    }
  };
  CHECK(run()->failed == 1);
  CHECK(recorder.failed.at("a").message.contains("has 1 bytes"));
  CHECK(names_at_destination().empty());
}

TEST_CASE("a full destination is told from other failures") {
  if (!sftp::testing::OpenSshServer::can_have_own_mounts()) {
    MESSAGE("skipped: needs root, who may have a mount namespace");
    return;
  }
  const sftp::testing::OpenSshServer small({.root_bytes = 6'000'000});
  Fixture fixture;
  fixture.destination.connect = small.connect_options();
  fixture.destination.directory = small.root().string();
  fixture.options.retries.limit = 1;
  fixture.land_and_register("large", Fixture::pattern(9'000'000));
  REQUIRE(fixture.run());
  const Error error = fixture.recorder.failed.at("large");
  CHECK(to_string(error.kind) == to_string(ErrorKind::kRemoteFull));
  CHECK(error.message.contains("bytes left"));
  INFO("and what it has of the file is kept for the next run");
  CHECK_FALSE(fs::is_empty(fixture.options.journals));
}

TEST_CASE_FIXTURE(Fixture, "all or nothing") {
  options.batch = BatchMode::kAllOrNothing;
  land_and_register("small", "hello");
  land_and_register("large", pattern(9'000'000));
  const std::string id = land_and_register("doubtful", "1");
  SUBCASE("all of it") {
    const auto summary = run();
    CHECK(summary->successful == 3);
    CHECK_FALSE(only_batch(summary).control_file.empty());
    CHECK(read_file(remote("large")).value() == pattern(9'000'000));
  }
  SUBCASE("a source that fails: nothing, and no trace") {
    fs::remove(landing / "doubtful");
    const auto summary = run();
    REQUIRE(summary);
    CHECK(summary->failed == 3);
    CHECK(only_batch(summary).control_file.empty());
    CHECK(names_at_destination().empty());
    CHECK(recorder.failed.at("small").message.find("rolled back") != std::string::npos);
  }
  SUBCASE("a name that cannot be given: what had its name loses it again, but for what was there") {
    std::ofstream(remote("small").native()) << "older";
    REQUIRE(make_directories(remote("doubtful/occupied")));
    const auto summary = run();
    REQUIRE(summary);
    CHECK(summary->failed == 3);
    CHECK_FALSE(fs::exists(remote("large")));
    CHECK(fs::exists(remote("small")));
    for (const std::string& name : names_at_destination()) CHECK_FALSE(name.ends_with(".part"));
    INFO("once nothing is in the way, the next run delivers the batch");
    fs::remove_all(remote("doubtful"));
    CHECK(run()->successful == 3);
  }
}

TEST_CASE_FIXTURE(Fixture, "whether a rename that was asked for was done is looked up") {
  const std::string content = pattern(9'000'000);
  const std::string id = land_and_register("a", content);
  const std::string part = part_path(remote("a").string(), part_token("batch", id, 0));
  Journal journal = begin_journal(id, content, part);
  REQUIRE(journal.add({0, content.size()}, true, {}));
  REQUIRE(journal.add_rename_asked());
  SUBCASE("it was") {
    REQUIRE(replace_file(remote("a"), content));
    CHECK(run()->successful == 1);
    CHECK(recorder.bytes == 0);
  }
  SUBCASE("nobody knows: nothing is there, so it is sent") {
    CHECK(run()->successful == 1);
    CHECK(read_file(remote("a")).value() == content);
  }
  SUBCASE("it was not: what has the name is an older file") {
    REQUIRE(replace_file(part, content));
    REQUIRE(replace_file(remote("a"), std::string(content.size(), 'o')));
    CHECK(run()->successful == 1);
    CHECK(read_file(remote("a")).value() == content);
    CHECK(recorder.bytes == 0);
  }
  SUBCASE("the part file is gone, and what has the name is another file of the same size") {
    REQUIRE(replace_file(remote("a"), std::string(content.size(), 'o')));
    CHECK(run()->successful == 1);
    CHECK(read_file(remote("a")).value() == content);
  }
}

TEST_CASE_FIXTURE(Fixture, "a part that is older than what was noted of it is read back") {
  const std::string content = pattern(9'000'000);
  const std::string id = land_and_register("a", content);
  const std::string part = part_path(remote("a").string(), part_token("batch", id, 0));
  Journal journal = begin_journal(id, content, part);
  std::string other = content;
  other[0] ^= 1;
  REQUIRE(replace_file(part, other));
  struct stat status{};
  REQUIRE(::stat(part.c_str(), &status) == 0);
  const auto modified = static_cast<std::uint32_t>(status.st_mtime);
  std::uint64_t noted = content.size();
  SUBCASE("all of it was noted") {}
  SUBCASE("some of it") {
    noted = 5'000'000;
  }
  REQUIRE(journal.add({0, noted}, true, modified + 10));
  CHECK(run()->successful == 1);
  CHECK(read_file(remote("a")).value() == content);
  for (const std::string& name : names_at_destination()) CHECK_FALSE(name.ends_with(".part"));
}

TEST_CASE_FIXTURE(Fixture, "a server is tried for large files, and what it has of one waits") {
  land_and_register("small", "hello");
  CHECK(run()->successful == 1);
  CHECK_FALSE(fs::exists(options.servers));
  land_and_register("large", pattern(9'000'000));
  CHECK(run()->successful == 1);
  fs::path verdict = fs::directory_iterator(options.servers)->path();

  const std::string content = pattern(9'500'000);
  const std::string id = land_and_register("a", content);
  const std::string part = part_path(remote("a").string(), part_token("batch", id, 0));
  Journal journal = begin_journal(id, content, part);
  REQUIRE(journal.add({0, content.size()}, true, {}));
  REQUIRE(replace_file(part, content));
  fs::remove(verdict);
  verdict += ".trying";
  const std::uint64_t before = recorder.bytes;
  {
    const auto somebody = FileLock::try_acquire(verdict);
    REQUIRE(somebody->has_value());
    options.retries.limit = 1;
    CHECK(run()->failed == 1);
    CHECK(fs::exists(part));
  }
  CHECK(run()->successful == 1);
  CHECK(recorder.bytes == before);
  CHECK(read_file(remote("a")).value() == content);
}

TEST_CASE_FIXTURE(Fixture, "what a dead agent left of a file that was replaced is removed") {
  const std::string id = land_and_register("a", pattern(16'000'000));
  destination.connections = 1;
  recorder.on_progress = [&] {
    if (recorder.bytes > 4'000'000) stop.request_stop();
  };
  CHECK(run()->was_stopped);
  const std::string part = Journal::part_path_in(options.journals, id, "b");
  REQUIRE(fs::exists(part));
  land_and_register("a", "new");
  StopToken again;
  Recorder second;
  CHECK(deliver(*store, destination, options, second, again)->successful == 1);
  CHECK(read_file(remote("a")).value() == "new");
  CHECK_FALSE(fs::exists(part));
  CHECK(fs::is_empty(options.journals));
  CHECK(store->history(id)->at(0).transfers.back().error->kind == "abandoned");
}

TEST_CASE_FIXTURE(Fixture, "two agents at once deliver each file once") {
  constexpr int kFiles = 400;
  for (int i = 0; i < kFiles; ++i) land_and_register("f" + std::to_string(i), "content");
  auto other_store =
      std::move(*metastore::open_metastore((folder.path() / "metastore").string(), {}));
  Recorder other;
  std::thread second([&] {
    StopToken no_stop;
    CHECK(deliver(*other_store, destination, options, other, no_stop));
  });
  CHECK(run());
  second.join();
  CHECK(recorder.delivered.size() + other.delivered.size() == kFiles);
  CHECK(statuses().size() == kFiles);
}

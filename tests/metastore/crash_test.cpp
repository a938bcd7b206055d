// A process that is killed at any time: nothing that it was told is done is lost, nothing is there
// twice, and the index says what the tables say.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <random>
#include <set>
#include <sstream>
#include <thread>

#include "store_fixture.h"

namespace ferry::metastore {
namespace {

using testing::exit_code;
using testing::found;
using testing::in_child;
using testing::kTo;
using testing::must;
using testing::StoreFixture;
using enum TransferStatus;

class CrashFixture : public StoreFixture {
 public:
  /// Registers, claims, records and compacts until it is killed. Says in the file REPORT what the
  /// store told it is done: R or S, and an id, a line.
  int work(int round) const {
    auto store = open();
    const auto agent = must(store->join());
    const auto report = must(open_file(report_, O_WRONLY | O_CREAT | O_APPEND));
    const auto tell = [&](char what, const std::string& id) {
      must(write_full(report.get(), as_bytes(fmt::format("{} {}\n", what, id)), report_));
    };
    for (int i = 0;; ++i) {
      const auto one =
          put(*store, found(fmt::format("{}.csv", i % 20), fmt::format("{}:{}", round, i)));
      tell('R', one.id);
      ClaimRequest wanted = request(*agent);
      wanted.query.limit = 2;
      for (const Claim& claim : must(store->claim(wanted))) {
        append(*store, row(claim.file.id, i % 5 == 0 ? kFailed : kSuccessful, claim.attempt));
        if (i % 5 != 0) tell('S', claim.file.id);
      }
      if (i % 6 == 5) must(store->upkeep().compact(now() - std::chrono::seconds(i % 2)));
    }
  }

  /// The ids that REPORT has with this letter.
  std::set<std::string> told(char what) const {
    std::set<std::string> ids;
    std::istringstream lines(fs::exists(report_) ? must(read_file(report_)) : std::string());
    for (std::string line; std::getline(lines, line);) {
      if (line.size() == 38 && line[0] == what) ids.insert(line.substr(2));
    }
    return ids;
  }

  void check_nothing_is_lost_or_twice() const {
    const auto store = look();
    const auto delivered = told('S');
    for (const std::string& id : told('R')) {
      const auto history = must(store->history(id));
      REQUIRE(history.size() == 1);
      std::set<std::string> rows;
      for (const FileRecord& one : history[0].file) CHECK(rows.insert(to_line(one)).second);
      for (const TransferRecord& one : history[0].transfers) {
        CHECK(rows.insert(to_line(one)).second);
      }
      const auto successes =
          std::ranges::count(history[0].transfers, kSuccessful, &TransferRecord::status);
      CHECK(successes <= 1);
      if (delivered.contains(id)) CHECK(successes == 1);
    }
  }

 protected:
  const fs::path report_ = directory().parent_path() / "report";
};

TEST_CASE_FIXTURE(CrashFixture, "a kill at any time loses nothing, and the index fits the tables") {
  std::mt19937 random(11);
  constexpr int kRounds = 200;
  constexpr std::size_t kFewestDelivered = 10;
  // Where others take the processor children that live as long die young: later ones live longer.
  const auto is_enough = [&](int round) {
    return round >= kRounds && (told('S').size() > kFewestDelivered || round >= 5 * kRounds);
  };
  for (int round = 0; !is_enough(round); ++round) {
    CAPTURE(round);
    const pid_t child = in_child([&] { return work(round); });
    const unsigned longest = 25'000U * (1 + static_cast<unsigned>(round) / kRounds);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % longest));
    ::kill(child, SIGKILL);
    REQUIRE(exit_code(child) == 128 + SIGKILL);
    // The next writer finishes what a compaction had begun.
    for (const std::string& difference : must(open()->upkeep().verify())) FAIL_CHECK(difference);
  }
  check_nothing_is_lost_or_twice();
  CHECK(told('S').size() > kFewestDelivered);
}

TEST_CASE_FIXTURE(CrashFixture, "where the index has no room the tables have everything") {
  // A file of this process may not grow beyond this: the tables are smaller, an index is not.
  const auto in_little_room = [&](auto task) {
    return exit_code(in_child([&] {
      ::signal(SIGXFSZ, SIG_IGN);
      const struct rlimit limit{.rlim_cur = 40'000, .rlim_max = 40'000};
      if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 77;
      return task() ? 0 : 1;
    }));
  };
  const auto register_and_deliver = [&](const std::string& path) {
    auto store = backend->open(options());
    if (!store) return false;
    const auto registered = (*store)->register_files({found(path, path)});
    if (!registered) return false;
    const auto done = row(registered->at(0).id, kSuccessful);
    if (!(*store)->append_transfers(std::span(&done, 1))) return false;
    return (*store)->totals(kTo)->by_standing[1].files > 0 &&
           (*store)->upkeep().damaged_rows() == 0U;
  };
  SUBCASE("from the beginning") {}
  SUBCASE("once it is there") {
    put(*open(), found("first.csv", "first"));
  }
  for (int i = 0; i < 20; ++i) {
    CAPTURE(i);
    REQUIRE(in_little_room([&] { return register_and_deliver(fmt::format("{}.csv", i)); }) == 0);
  }
  CHECK(must(look()->totals(kTo))[Standing::kSuccessful].files == 20);
  check_index();
}

}  // namespace
}  // namespace ferry::metastore

#include "metastore/jsonl/tables/table.h"

#include <sys/resource.h>

#include <csignal>

#include "store_fixture.h"

namespace ferry::metastore {
namespace {

using testing::exit_code;
using testing::in_child;
using testing::must;
using Fit = Table::Fit;

/// A table and how far it was read.
class Reader {
 public:
  explicit Reader(const fs::path& path)
      : directory_(std::make_unique<Directory>(must(Directory::open(path)))),
        table_(*directory_, "t") {}

  Fit compare() { return must(table_.compare(position)); }
  std::vector<std::string> read(std::uint64_t until = std::numeric_limits<std::uint64_t>::max()) {
    std::vector<std::string> lines;
    must(table_.read(
        position,
        [&](const Table::Line& line) {
          lines.push_back(
              fmt::format("{}:{}", line.number, line.is_too_long ? "too long" : line.text));
        },
        until));
    return lines;
  }
  /// What is new, where nothing else has changed.
  std::vector<std::string> read_on() {
    const Fit fit = compare();
    CHECK(fit != Fit::kOther);
    return fit == Fit::kSame ? std::vector<std::string>() : read();
  }
  std::vector<std::string> read_anew() {
    position = {};
    return read_on();
  }
  Table& table() { return table_; }

  Position position;

 private:
  std::unique_ptr<Directory> directory_;
  Table table_;
};

class TableFixture : public testing::StoreFixture {
 public:
  TableFixture() { must(make_directories(directory())); }

  Reader reader() const { return Reader(directory()); }
  std::size_t fragments() const {
    if (!exists("damaged")) return 0;
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(file("damaged")), fs::directory_iterator()));
  }
};

using Lines = std::vector<std::string>;

TEST_CASE_FIXTURE(TableFixture, "a reader takes whole lines, each once") {
  Reader one = reader();
  CHECK(one.read_on() == Lines{});
  write("t.jsonl", "a\nb\nhal");
  CHECK(one.read_on() == Lines{"1:a", "2:b"});
  CHECK(one.compare() == Fit::kSame);
  add("t.jsonl", "f\n");
  CHECK(one.read_on() == Lines{"3:half"});
  CHECK(one.compare() == Fit::kSame);
}

TEST_CASE_FIXTURE(TableFixture, "a reader may stop before the end") {
  write("t.jsonl", "a\nbc\nd\n");
  Reader one = reader();
  REQUIRE(one.compare() == Fit::kGrown);
  CHECK(one.read(1) == Lines{});  // no line ends there
  CHECK(one.read(2) == Lines{"1:a"});
  CHECK(one.read(4) == Lines{});
  CHECK(one.position.offset == 2);
  CHECK(one.read() == Lines{"2:bc", "3:d"});
}

TEST_CASE_FIXTURE(TableFixture, "a line that is too long is told of, and the others are read") {
  const std::string longest((1 << 20) - 1, 'y');
  for (const int more : {1, 2, 1 << 20, 3 << 20}) {
    const std::string longer = longest + std::string(static_cast<std::size_t>(more), 'x');
    write("t.jsonl", "a\n" + longer + "\n" + longest + "\nb\nc");
    Reader one = reader();
    CHECK(one.read_on() == Lines{"1:a", "2:too long", "3:" + longest, "4:b"});
    CHECK(one.position.lines == 4);
  }
}

TEST_CASE_FIXTURE(TableFixture, "a line can be read again") {
  const std::string longer(100'000, 'x');
  write("t.jsonl", "a\n\n" + longer + "\nb\ntorn");
  Reader one = reader();
  one.read_on();
  CHECK(must(one.table().line_at(0)) == "a");
  CHECK(must(one.table().line_at(3)) == longer);
  CHECK(must(one.table().line_at(3 + longer.size() + 1)) == "b");
  CHECK(must(one.table().line_at(0)) == "a");
  CHECK(one.table().line_at(3 + longer.size() + 3).error().kind == ErrorKind::kCorrupt);
  CHECK(one.table().line_at(1 << 30).error().kind == ErrorKind::kCorrupt);
}

TEST_CASE_FIXTURE(TableFixture, "whatever is not appended makes it another table") {
  write("t.jsonl", "a\nb\n");
  Reader one = reader();
  one.read_on();
  SUBCASE("a file that takes its name") {
    must(replace_file(file("t.jsonl"), "a\nb\n"));
    CHECK(must(one.table().is_replaced()));
  }
  SUBCASE("being cut") {
    write("t.jsonl", "a\n");
  }
  SUBCASE("being written anew") {
    write("t.jsonl", "longer than before\n");
  }
  SUBCASE("being gone") {
    fs::remove(file("t.jsonl"));
  }
  SUBCASE("a byte that changes") {
    auto fd = must(open_file(file("t.jsonl"), O_WRONLY));
    REQUIRE(::pwrite(fd.get(), "x", 1, 0) == 1);
  }
  SUBCASE("a byte that changes where a line is added") {
    auto fd = must(open_file(file("t.jsonl"), O_WRONLY));
    REQUIRE(::pwrite(fd.get(), "x", 1, 0) == 1);
    add("t.jsonl", "c\n");
  }
  CHECK(one.compare() == Fit::kOther);
}

TEST_CASE_FIXTURE(TableFixture, "what a table appended it does not read again, others do") {
  Reader writer = reader();
  REQUIRE(writer.compare() == Fit::kSame);
  CHECK(must(writer.table().append(writer.position, "a\nb\n", 2)));
  CHECK(writer.compare() == Fit::kSame);
  add("t.jsonl", "c\n");
  CHECK(writer.read_on() == Lines{"3:c"});
  CHECK(reader().read_on() == Lines{"1:a", "2:b", "3:c"});
}

TEST_CASE_FIXTURE(TableFixture, "lines that somebody appends at the same time are read by both") {
  write("t.jsonl", "a\n");
  Reader writer = reader();
  writer.read_on();
  add("t.jsonl", "stranger\n");
  CHECK_FALSE(must(writer.table().append(writer.position, "b\n", 1)));
  CHECK(writer.read_on() == Lines{"2:stranger", "3:b"});
}

TEST_CASE_FIXTURE(TableFixture, "a torn tail is cut off and kept aside") {
  write("t.jsonl", "a\ntorn");
  Reader writer = reader();
  CHECK(writer.read_on() == Lines{"1:a"});
  CHECK(must(writer.table().mend_tail(writer.position, [](auto) { return false; })));
  CHECK(content("t.jsonl") == "a\n");
  REQUIRE(fragments() == 1);
  CHECK(must(read_file(fs::directory_iterator(file("damaged"))->path())) == "torn");
  CHECK(writer.read_on() == Lines{});
  CHECK_FALSE(must(writer.table().mend_tail(writer.position, [](auto) { return false; })));
  must(writer.table().append(writer.position, "b\n", 1));
  CHECK(content("t.jsonl") == "a\nb\n");
}

TEST_CASE_FIXTURE(TableFixture, "a last line that lacks only its end gets it") {
  write("t.jsonl", "a\nwhole");
  Reader writer = reader();
  CHECK(writer.read_on() == Lines{"1:a"});
  must(writer.table().mend_tail(writer.position,
                                [](std::string_view line) { return line == "whole"; }));
  CHECK(writer.read_on() == Lines{"2:whole"});
  CHECK(content("t.jsonl") == "a\nwhole\n");
  CHECK(fragments() == 0);
}

TEST_CASE_FIXTURE(TableFixture, "a group that does not fit is taken back whole") {
  write("t.jsonl", "a\n");
  const pid_t child = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{.rlim_cur = 5, .rlim_max = 5};
    Reader writer = reader();
    writer.read_on();
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
    const auto written = writer.table().append(writer.position, "bb\ncc\ndd\n", 3);
    if (written || written.error().kind != ErrorKind::kIo) return 4;
    // As if nothing had been tried: nobody has to read the table again.
    if (writer.compare() != Fit::kSame) return 5;
    return writer.table().append(writer.position, "b\n", 1) ? 0 : 6;
  });
  CHECK(exit_code(child) == 0);
  CHECK(content("t.jsonl") == "a\nb\n");
}

TEST_CASE_FIXTURE(TableFixture, "pieces are copied as they are") {
  std::string text;
  for (int i = 0; i < 300'000; ++i) text += fmt::format("{}\n", i);
  write("t.jsonl", text);
  Reader one = reader();
  one.compare();
  std::string copy;
  const auto append = [&](std::string_view bytes) {
    copy += bytes;
    return Result<void>();
  };
  must(one.table().copy(10, 1'500'000, append));
  CHECK(copy == text.substr(10, 1'500'000 - 10));
  CHECK(one.table().copy(0, text.size() + 1, append).error().kind == ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace ferry::metastore
